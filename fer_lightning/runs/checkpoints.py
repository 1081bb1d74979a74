"""What a checkpoint says of itself, and reading it safely."""

import logging
import re
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from packaging.version import InvalidVersion, Version
from torch import Tensor

import fer_lightning
from fer_lightning.config.overrides import allowed
from fer_lightning.errors import UserError
from fer_lightning.runs.form import deviation
from fer_lightning.runs.places import checkpoint_file, others

log = logging.getLogger(__name__)

KEY = "fer_lightning"
RESUMPTION = "resumption"
# What is read of every checkpoint, and what is read of one to go on from: the same keys and types.
FORM: dict[str, Any] = {"state_dict": {}, KEY: {"version": ""}}
RESUMABLE_FORM: dict[str, Any] = {
    "epoch": 0,
    "global_step": 0,
    "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 0}}}},
    "callbacks": {},
    "optimizer_states": [],
    "lr_schedulers": [{"last_epoch": 0}],
    KEY: {"data": "", "data_fingerprint": ""},
    RESUMPTION: {"streams": [], "monitored": None},
}
EXPANSION = 4  # bytes of tensors for each byte of the file, at most; two names may share one tensor


def newest(folder: Path) -> Path:
    """Return the valid checkpoint of a run that has trained longest; refuse a run without one."""
    steps = {}
    for path in sorted((folder / "checkpoints").glob("*.ckpt")):
        try:
            steps[path] = (load_resumable(str(path))["global_step"], path.stat().st_mtime)
        except UserError as error:
            log.warning("passed over: %s", error)
    if not steps:
        raise UserError(f"{folder} holds no valid checkpoint: start the run anew in another folder")
    return max(steps, key=lambda path: steps[path])


def load(path: str, option: str) -> dict:
    """Return what a checkpoint of ours holds, on the CPU; nothing that it names is imported or called.

    Args:
        path: The file.
        option: Name of the option that gave it, for messages.

    Raises:
        UserError: If the file is missing, damaged, no checkpoint of ours, of a newer version, names code to run, or
            holds tensors that would take more memory than it could fill.
    """
    file = checkpoint_file(path, option)
    try:
        _check_archive(file)
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        if words := deviation(checkpoint, FORM) or _unsound_tensors(checkpoint, file.stat().st_size):
            raise ValueError(words)
        overrides = checkpoint[KEY].get("overrides")
        if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
            raise ValueError("its overrides are no list of texts")
        version = Version(checkpoint[KEY]["version"])
    except Exception as error:
        code = re.search(r"GLOBAL (\S+)", str(error))  # in torch's refusal to unpickle
        reason = f"names code to run ({code[1]})" if code else "is damaged or no fer_lightning checkpoint"
        detail = error if type(error) is ValueError else type(error).__name__
        raise UserError(
            f"{option}={path} ({file.stat().st_size:,} bytes) {reason} ({detail!s:.200}): {others(file)}"
        ) from error
    if version > Version(fer_lightning.__version__):
        raise UserError(
            f"{option}={path} was written by fer_lightning {version}, and this is {fer_lightning.__version__}: "
            "update it"
        )
    return checkpoint


def load_for_trainer(path: str, option: str) -> dict:
    """Return what ``load`` does of a checkpoint that Lightning can take.

    Raises:
        UserError: As ``load``; or if it was written by no Lightning, or by one of another age.
    """
    checkpoint, own = load(path, option), Version(metadata.version("lightning"))
    try:
        same_age = Version(checkpoint["pytorch-lightning_version"]).major == own.major
    except (KeyError, TypeError, InvalidVersion):
        same_age = False
    if not same_age:
        written = f"{checkpoint.get('pytorch-lightning_version')!r:.50}"
        raise UserError(
            f"{option}={path} says it was written by Lightning {written}, and this is {own}: {others(Path(path))}"
        )
    return checkpoint


def load_resumable(path: str) -> dict:
    """Return what ``load`` does of a checkpoint that a training can go on from.

    Raises:
        UserError: As ``load_for_trainer``; or if it lacks what a training needs. ``Resumption`` looks further into it.
    """
    checkpoint = load_for_trainer(path, "resume_from")
    if words := deviation(checkpoint, RESUMABLE_FORM):
        raise not_resumable(path, words)
    return checkpoint


def not_resumable(path: str, words: str) -> UserError:
    """Return the refusal of a checkpoint whose weights may be whole, but not what else a training needs of it."""
    return UserError(
        f"resume_from={path} holds no training that could go on: {words}; give another checkpoint, take its weights "
        "alone with init_from=, or start anew"
    )


def read_overrides(path: str) -> list[str]:
    """Return the overrides that define a checkpoint's faces and network, for composing our own ``conf/`` again.

    Raises:
        UserError: As ``load``; or if an override does more than choose a file of ``conf/`` or set a plain value.
    """
    return allowed(load(path, "checkpoint")[KEY]["overrides"], f"checkpoint={path}")


def _check_archive(file: Path) -> None:
    """Raise an error where an archive is not what torch wrote, byte for byte; torch itself reads over most damage."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for member in members:  # torch packs nothing, so what is packed is a bomb
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"compressed member {member.filename!r}")
        if sum(member.file_size for member in members) > file.stat().st_size:
            raise ValueError("its members overlap")
        if damaged := archive.testzip():
            raise ValueError(f"wrong checksum of {damaged!r}")


def _unsound_tensors(checkpoint: Mapping[str, Any], size: int) -> str | None:
    """Return what is wrong with the tensors of a checkpoint, or None; few bytes of a file can claim any number."""
    for name in ("state_dict", "current_model_state", "averaging_state"):  # the latter two of averaged weights
        weights = checkpoint.get(name, {})
        if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
            return f"its {name} holds what is no tensor"
    total = 0
    for tensor in _tensors(checkpoint):
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            return f"a tensor without numbers, or packed: {tensor.layout}, {tensor.device}"
        total += tensor.numel() * tensor.element_size()
    return f"its tensors would take {total:,} bytes" if total > EXPANSION * size else None


def _tensors(content: object) -> Iterator[Tensor]:
    """Yield every tensor in dicts, lists and tuples, each list once however often it stands there."""
    waiting, seen = [content], set()
    while waiting:
        content = waiting.pop()
        if isinstance(content, Tensor):
            yield content
        elif isinstance(content, dict | list | tuple) and id(content) not in seen:
            seen.add(id(content))
            waiting.extend(content.values() if isinstance(content, dict) else content)
