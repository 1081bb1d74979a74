"""Where a run happens: what must hold of the machine before torch is imported, its processes, its warnings."""

import ctypes
import os
import re
import shutil
import sys
import warnings
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from fer_lightning.errors import UserError

ROOM = 2**30  # bytes; checkpoints, logs and figures of a run of FaceNet take about a third of it
# Warnings of libraries that say nothing about a run, each with the reason.
NOTICES = (
    ".*does not have many workers",  # batches come out of one array in memory
    "The `srun` command is available",  # also said where Slurm is not meant
    ".*LeafSpec.* is deprecated",  # Lightning 2.6 on torch 2.15
    ".*your dataloader is not resumable",  # its sampler starts where training stopped
    "It is recommended to use .self.log.*sync_dist",  # every process logs the same number
    "The dirpath has changed from",  # an evaluation writes into a folder of its own
    ".*exists and is not empty",  # the CSV logger and the checkpoints of a run that goes on
)


def quiet() -> None:
    """Silence what libraries say of every run; take for an error what albumentations would ignore with a warning."""
    for notice in NOTICES:
        warnings.filterwarnings("ignore", notice)
    warnings.filterwarnings("error", "Argument.* not valid", UserWarning)


def rank() -> int:
    """Return which process of a training this is; 0 is the main one, which alone writes and speaks.

    Said by torchrun (RANK), Lightning's launcher (LOCAL_RANK, on the node NODE_RANK) or Slurm's srun (SLURM_PROCID).
    """
    for names in (("RANK",), ("LOCAL_RANK", "NODE_RANK"), ("SLURM_PROCID",)):
        if names[0] in os.environ:
            return sum(int(os.environ.get(name, 0)) for name in names)  # of a node and its child: both are not 0
    return 0


def started_processes() -> int:
    """Return how many processes torchrun or srun has started for this training; 1 where neither has."""
    return int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_STEP_NUM_TASKS") or 1)


def check_packages() -> None:
    """Refuse a torchvision that was built for another torch: importing Lightning would fail."""
    try:
        torch, needed = version("torch"), [Requirement(text) for text in requires("torchvision") or ()]
    except PackageNotFoundError:  # pip refuses such an environment; importing says so
        return
    if not all(one.specifier.contains(torch, prereleases=True) for one in needed if one.name == "torch"):
        raise UserError(torchvision_mismatch())


def torchvision_mismatch() -> str:
    """Return what is wrong with torch and torchvision, and the remedy."""
    needed = next((text for text in requires("torchvision") or () if Requirement(text).name == "torch"), "torch")
    return (
        f"torchvision {version('torchvision')} needs {needed} of the same build (CPU or CUDA), and torch is "
        f"{version('torch')}: pip install --force-reinstall torch torchvision --constraint constraints.txt"
    )


class Build(NamedTuple):
    """What torch was built for.

    Attributes:
        version: Its own version.
        cuda: Version of CUDA, None for a build without.
        rocm: Version of ROCm, which answers to the name of CUDA; None for a build without.
    """

    version: str
    cuda: str | None
    rocm: str | None


def torch_build() -> Build:
    """Return what torch was built for, out of its version.py: importing torch would take seconds."""
    spec = find_spec("torch")
    text = (Path(spec.origin).parent / "version.py").read_text() if spec and spec.origin else ""
    found = dict(re.findall(r"^(\w+)\b[^=\n]*= '(.+)'", text, re.MULTILINE))
    return Build(found.get("__version__", ""), found.get("cuda"), found.get("hip"))


def check_gpu(accelerator: str) -> None:
    """Refuse a GPU that cannot be: torch was built for none, or there is no driver. What else is wrong torch says."""
    if accelerator in ("gpu", "cuda") and not may_use_gpu(build := torch_build()):
        raise UserError(no_device(build))


def may_use_gpu(build: Build) -> bool:
    """Return False where torch was built for no GPU, or there is no driver; of ROCm and macOS only torch can tell."""
    if build.rocm or sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libcuda.so.1")  # the name by which torch asks for it
    except OSError:
        return False
    return build.cuda is not None


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def no_device(build: Build) -> str:
    """Return what is wrong where no CUDA device is found, and the remedy."""
    built = f"for CUDA {build.cuda}, so a driver is missing or too old" if build.cuda else "without CUDA"
    return (
        "trainer.accelerator=gpu finds no CUDA device: use trainer=cpu or trainer=auto; torch "
        f"{build.version} is built {built}"
    )


def low_room(folder: Path) -> str | None:
    """Return a warning where the disk of a folder is nearly full, else None."""
    free = shutil.disk_usage(folder).free
    return f"only {free / 2**20:,.0f} MiB are free at {folder}; a run may need more" if free < ROOM else None
