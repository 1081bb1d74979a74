"""The machine under a run, known without torch: processes of the training, packages, GPU, processor cores."""

import ctypes
import os
import re
import sys
from importlib.metadata import requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from fer_lightning.errors import UserError


class Build(NamedTuple):
    """Version of torch and of what it was built for."""

    version: str
    cuda: str | None  # version of CUDA; None for a build without
    rocm: str | None  # version of ROCm, which torch also calls CUDA; None for a build without


def rank() -> int:
    """Return the number of this process among those of a training; 0 is the main one, which alone writes.

    torchrun sets RANK, Lightning's launcher LOCAL_RANK (and NODE_RANK), Slurm's srun SLURM_PROCID.
    """
    for names in (("RANK",), ("LOCAL_RANK", "NODE_RANK"), ("SLURM_PROCID",)):
        if names[0] in os.environ:
            return sum(int(os.environ.get(name, 0)) for name in names)
    return 0


def started_processes() -> int:
    """Return how many processes torchrun or srun has started for this training; 1 without them."""
    return int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_STEP_NUM_TASKS") or 1)


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def torchvision_mismatch() -> str:
    """Return the message for a torch and a torchvision that do not fit."""
    needed = next((text for text in requires("torchvision") or () if Requirement(text).name == "torch"), "torch")
    return (
        f"torchvision {version('torchvision')} needs {needed} of the same build (CPU or CUDA), and torch is "
        f"{version('torch')}: pip install --force-reinstall torch torchvision --constraint constraints.txt"
    )


def torch_build() -> Build:
    """Read torch's build from its version.py, because importing torch takes seconds."""
    spec = find_spec("torch")
    text = (Path(spec.origin).parent / "version.py").read_text() if spec and spec.origin else ""
    values = dict(re.findall(r"^(\w+)\b[^=\n]*= '(.+)'", text, re.MULTILINE))
    return Build(values.get("__version__", ""), values.get("cuda"), values.get("hip"))


def check_gpu(accelerator: str) -> None:
    """Refuse a GPU where torch was built without one, or there is no driver. Other faults are left to torch."""
    if accelerator in ("gpu", "cuda") and not may_use_gpu(build := torch_build()):
        raise UserError(no_device(build))


def may_use_gpu(build: Build) -> bool:
    """Return False where torch was built without a GPU, or there is no driver; for ROCm and macOS return True."""
    if build.rocm or sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libcuda.so.1")  # the driver, by the name that torch uses
    except OSError:
        return False
    return build.cuda is not None


def no_device(build: Build) -> str:
    """Return the message for a missing CUDA device."""
    built = f"for CUDA {build.cuda}, so a driver is missing or too old" if build.cuda else "without CUDA"
    return (
        "trainer.accelerator=gpu finds no CUDA device: use trainer=cpu or trainer=auto; torch "
        f"{build.version} is built {built}"
    )
