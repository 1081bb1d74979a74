"""Failures that are nobody's bug (memory, disk, drivers, settings that a library refuses) as one sentence each."""

import errno
import gc
import inspect
import os
import re
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fer_lightning.errors import UserError
from fer_lightning.launch.environment import torchvision_mismatch

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)
# What a library says -> what to do about it; {} takes what the pattern's group found.
REMEDIES = (
    (
        r"DataLoader worker .*(?:killed by signal|exited unexpectedly)",
        "a process that prepares batches was killed, often because /dev/shm is too small: use data.num_workers=0, or "
        "start the container with --shm-size=2g",
    ),
    (
        r"DataLoader timed out after (\S+) seconds",
        "no batch came for {} seconds, so a process that prepares them hangs: use data.num_workers=0, or raise "
        "data.worker_timeout",
    ),
    (
        r"(\S+) does not have a deterministic implementation",
        "{} has no deterministic form on this device: use trainer.deterministic=warn",
    ),
    (
        r"Deterministic behavior was enabled .*(CUBLAS_WORKSPACE_CONFIG=\S+)",
        "trainer.deterministic=true needs {} in the environment: set it, or use trainer.deterministic=warn",
    ),
    (r"Expected more than 1 value per channel", "batch norm needs two faces or more: make data.batch_size larger"),
    (
        r"gloo.*(?:closed by peer|reset by peer)",
        "another process of this training has ended: what it said stands above",
    ),
    (r"(`?val_check_interval`? .*)", "trainer.val_check_interval: {}"),
)


class Diagnosis(Callback):
    """Replace what ended a job by its diagnosis, for the console and for the table of a sweep alike."""

    def __init__(self) -> None:
        self.process = os.getpid()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Replace the exception; the original one stays its cause."""
        if job_return.status != JobStatus.FAILED:
            return
        error = job_return._return_value
        if sentence := diagnose(error, config):
            diagnosis = UserError(sentence)
            diagnosis.__cause__ = error
            job_return.return_value = diagnosis
            traceback.clear_frames(error.__traceback__)  # the frames hold the model, hence the memory that ran out
            gc.collect()
            if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
                torch.cuda.empty_cache()
        elif os.getpid() != self.process:  # a launcher's: the exception travels back without its traceback
            error.add_note("".join(traceback.format_tb(error.__traceback__)))


def diagnose(error: BaseException, cfg: DictConfig | None = None) -> str | None:
    """Return one sentence with the remedy, or None for an error that is not known here."""
    if isinstance(error.__cause__, UserError):  # raised while Hydra instantiated a node
        return str(error.__cause__)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or re.search(r"out of memory|not enough memory: you tried", text):
        size = f" (it is {cfg.data.batch_size})" if cfg is not None else ""
        return (
            f"out of memory: make data.batch_size{size} or data.eval_batch_size smaller, or use "
            f"trainer.precision=bf16-mixed ({text or type(error).__name__:.200})"
        )
    if isinstance(error, OSError) and error.errno in FULL:
        path = Path(error.filename or (cfg.paths.output_dir if cfg is not None else "."))
        place = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
        free = shutil.disk_usage(place).free
        return (
            f"the disk is full at {path} ({free:,} bytes free, {error.strerror}): free some space or choose another "
            "hydra.run.dir; checkpoints written before are whole"
        )
    if isinstance(error, OSError) and error.errno in CLOSED and error.filename:
        return (
            f"{error.filename} cannot be opened or written ({error.strerror}): choose another hydra.run.dir "
            "(hydra.sweep.dir for a sweep), which sets paths.output_dir, or another paths.cache_dir"
        )
    if "torchvision::nms" in text:
        return torchvision_mismatch()
    if found := re.search(r"Argument\(s\) (.+) are not valid for transform (\w+)", text):
        takes = inspect.signature(getattr(sys.modules["albumentations"], found[2])).parameters
        return f"augmentation: {found[2]} does not take {found[1]}: use {', '.join(takes)}"
    for pattern, remedy in REMEDIES:
        if found := re.search(pattern, text):
            return remedy.format(*found.groups())
    if type(error).__name__ == "MisconfigurationException":  # Lightning's, of its own arguments
        return f"trainer: {text}"
    return None
