"""Checkpoints and bundles: finding them, and reading them without running code. Only reading needs torch."""

import hashlib
import logging
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.version import Version

from fer_lightning import __version__
from fer_lightning.config import PACKAGE
from fer_lightning.config.overrides import allowed
from fer_lightning.errors import FILE, FOLDER, UserError, path_kind

log = logging.getLogger(__name__)

KEY = "fer_lightning"
PRETRAINED = "pretrained"  # in place of a path: the bundle in the package
RESUMPTION = "resumption"
STATES = ("loops", "callbacks", "optimizer_states", "lr_schedulers", RESUMPTION)  # what a training needs to be resumed
EXPANSION = 4  # bytes of tensors for each byte of the file, at most; two names may share one tensor


def checkpoint_file(path: str, option: str) -> Path:
    """Return the path of a checkpoint, or the folder of a bundle.

    Refuse what is no whole zip archive, and list other checkpoints nearby.
    """
    file = PACKAGE / PRETRAINED if path == PRETRAINED else Path(path)
    kind = path_kind(file)
    if kind == FOLDER:
        from fer_lightning.runs.description import is_bundle  # here, because --help needs no pydantic

        if is_bundle(file):
            return file
    if kind != FILE:
        raise UserError(f"{option}={path:.300} {kind}: {remedy(file)}")
    if not zipfile.is_zipfile(file):
        size = f"{file.stat().st_size:,} bytes"
        raise UserError(
            f"{option}={path} ({size}) is damaged or no fer_lightning checkpoint (no whole archive): {remedy(file)}"
        )
    return file


def remedy(file: Path) -> str:
    """List the other checkpoints beside a file that cannot be used, or inside a folder that was given instead."""
    is_folder = path_kind(file) == FOLDER
    folder = file if is_folder else file.parent
    paths = [*folder.glob("*.ckpt"), *folder.glob("checkpoints/*.ckpt")] if path_kind(folder) == FOLDER else []
    names = sorted(str(path.relative_to(folder)) for path in paths if path != file)[:5]
    if not names:
        return "give logs/.../checkpoints/best.ckpt"
    return f"{'in' if is_folder else 'beside'} it are {', '.join(names)}"


def newest(folder: Path) -> Path:
    """Return the valid checkpoint of a run that has trained longest; refuse a run that has none."""
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
    """Return the content of a checkpoint or a bundle, on the CPU. Nothing that it names is imported or called.

    Raises:
        UserError: If the file is missing, damaged, not written by fer_lightning, or written by a newer version; if it
            names code to run; if its tensors would take much more memory than the file.
    """
    import torch

    file = checkpoint_file(path, option)
    if file.is_dir():
        return _load_bundle(file, f"{option}={path}")
    size = file.stat().st_size
    try:
        _check_archive(file, size)
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        _check_tensors(checkpoint, size)
        version = Version(checkpoint[KEY]["version"])
    except Exception as error:
        code = re.search(r"GLOBAL (\S+)", str(error))  # in torch's refusal to unpickle
        reason = f"names code to run ({code[1]})" if code else "is damaged or no fer_lightning checkpoint"
        detail = error if type(error) is ValueError else type(error).__name__
        raise UserError(f"{option}={path} ({size:,} bytes) {reason} ({detail!s:.200}): {remedy(file)}") from error
    if version > Version(__version__):
        raise UserError(f"{option}={path} was written by fer_lightning {version}, and this is {__version__}: update it")
    return checkpoint


def _load_bundle(folder: Path, source: str) -> dict[str, Any]:
    """Return the content of a bundle as that of a checkpoint; weights in half precision become float32."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load as load_tensors

    from fer_lightning.runs.description import WEIGHTS, read_bundle

    description, weights = read_bundle(folder, source)
    try:
        tensors = load_tensors(weights)
    except SafetensorError as error:
        raise UserError(f"{source} is damaged: {WEIGHTS} cannot be read ({error}); export it again") from error
    fields = asdict(description)
    overrides = None if description.overrides is None else list(description.overrides)
    return {
        "state_dict": {n: tensor.float() if tensor.dtype is torch.half else tensor for n, tensor in tensors.items()},
        "hyper_parameters": {key: fields[key] for key in ("embedder", "classifier", "mirrored", "classes")},
        "calibration": fields["calibration"],
        "pytorch-lightning_version": metadata.version("lightning"),
        "description": description,
        KEY: {**description.origin, "classes": fields["classes"], "overrides": overrides},
    }


def fingerprint(state: Mapping[str, Any]) -> str:
    """Return a hash of the weights and gallery in a state dict, the same in every precision and on any device."""
    digest = hashlib.sha256()
    for name in sorted(name for name in state if name.startswith(("embedder.", "classifier."))):
        tensor = state[name].detach().cpu()
        tensor = tensor.float() if tensor.is_floating_point() else tensor.long()
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_for_trainer(path: str, option: str) -> dict:
    """Return the content of a checkpoint; refuse one that another major version of Lightning wrote."""
    checkpoint, installed = load(path, option), metadata.version("lightning")
    version = str(checkpoint.get("pytorch-lightning_version"))
    if version.partition(".")[0] != installed.partition(".")[0]:
        raise UserError(
            f"{option}={path} was written by Lightning {version:.50}, and this is {installed}: {remedy(Path(path))}"
        )
    return checkpoint


def load_resumable(path: str) -> dict:
    """Return the content of a checkpoint; refuse one that lacks a state that a training needs."""
    checkpoint = load_for_trainer(path, "resume_from")
    if missing := [name for name in STATES if not checkpoint.get(name)]:
        raise not_resumable(path, f"its {missing[0]} is missing or empty")
    return checkpoint


def not_resumable(path: str, reason: str) -> UserError:
    """Return a UserError: no training can go on from this checkpoint. Its weights may be whole."""
    return UserError(
        f"resume_from={path} cannot be resumed ({reason}): give another checkpoint, take its weights alone with "
        "init_from=, or start a new run"
    )


def read_provenance(path: str) -> dict[str, Any]:
    """Return the faces, options and code that made a checkpoint, as ``Provenance`` wrote them."""
    return load(path, "checkpoint")[KEY]


def read_overrides(path: str, typed: Collection[str] = ()) -> list[str]:
    """Return the overrides that define a checkpoint's faces and network, to compose our own ``conf/`` with them.

    Those whose keys are ``typed`` on this command line are left out.

    Raises:
        UserError: As ``load``; or if an override does more than choose a file of ``conf/`` or set a plain value.
    """
    record = read_provenance(path)
    again = "; give the option again on this command line, if you trust it"
    return allowed(record.get("overrides"), f"checkpoint={path}", config_dir_remedy(record), again, typed)


def config_dir_remedy(record: Mapping[str, Any]) -> str:
    """Return the end of a sentence on what is not in ``conf/``, for a checkpoint that was trained with --config-dir."""
    folder = record.get("config_dir")
    if not isinstance(folder, str):
        return ""
    return (
        f"; it was trained with --config-dir={folder:.200}: if you trust that folder, whose classes are run, add it to "
        "train, eval, export, stress, predict or app"
    )


def _check_archive(file: Path, size: int) -> None:
    """Raise a ValueError if an archive is not as torch wrote it. Torch itself does not notice most damage."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for member in members:  # torch never compresses: a compressed member could unpack to any size
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"compressed member {member.filename!r}")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its members overlap")
        if damaged := archive.testzip():
            raise ValueError(f"wrong checksum of {damaged!r}")


def _check_tensors(checkpoint: dict[str, Any], size: int) -> None:
    """Raise a ValueError if weights are no tensors, or tensors claim much more memory than the file has bytes."""
    import torch

    states = [checkpoint["state_dict"]]
    states += [checkpoint[name] for name in ("current_model_state", "averaging_state") if name in checkpoint]
    for weights in states:
        if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
            raise ValueError("its weights hold what is no tensor")
    total = 0
    for tensor in _tensors(checkpoint):
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise ValueError(f"a tensor without numbers, or packed: {tensor.layout}, {tensor.device}")
        total += tensor.numel() * tensor.element_size()
    if total > EXPANSION * size:
        raise ValueError(f"its tensors would take {total:,} bytes")


def _tensors(content: object) -> Iterator[Any]:
    """Yield every tensor in dicts, lists and tuples, and visit each of these once."""
    from torch import Tensor

    waiting, visited = [content], set()
    while waiting:
        content = waiting.pop()
        if isinstance(content, Tensor):
            yield content
        elif isinstance(content, dict | list | tuple) and id(content) not in visited:
            visited.add(id(content))
            waiting.extend(content.values() if isinstance(content, dict) else content)
