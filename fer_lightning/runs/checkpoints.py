"""What a checkpoint says of itself, and reading it safely."""

import logging
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from packaging.version import InvalidVersion, Version
from torch import Tensor, nn

import fer_lightning
from fer_lightning.data.classes import classes_of
from fer_lightning.errors import UserError
from fer_lightning.models.certainty import read_calibration
from fer_lightning.models.network import Network
from fer_lightning.models.weights import check_weights
from fer_lightning.runs.form import deviation
from fer_lightning.runs.overrides import CONF, allowed, plain
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
    "lr_schedulers": [],
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


def take_weights(model: nn.Module, path: str) -> None:
    """Give a model the embedder's weights of a checkpoint and nothing else of it; refuse another network's."""
    prefix = "embedder."
    saved = load(path, "init_from")["state_dict"]
    weights = {name.removeprefix(prefix): tensor for name, tensor in saved.items() if name.startswith(prefix)}
    embedder = model.get_submodule("embedder")
    check_weights(embedder, weights, f"init_from={path}")
    embedder.load_state_dict(weights)
    log.info("starts from the embedder's weights in %s", path)


def load_module(checkpoint: str | Path) -> Any:
    """Return the network of a checkpoint as an ``ExpressionModule``, on the CPU, for Lightning's ``Trainer.predict``.

    Args:
        checkpoint: Path of the file; a stranger's may be given.

    Raises:
        UserError: As ``load`` and ``rebuild``.
    """
    from fer_lightning.models.module import ExpressionModule  # the one thing here that needs Lightning

    parts = ("loss", "miner", "optimizer", "scheduler", "abstention")
    untrained: dict[str, Any] = dict.fromkeys(parts)
    saved, source = load(str(checkpoint), "checkpoint"), f"checkpoint={checkpoint}"
    classes = classes_of(saved[KEY], source)
    make = partial(ExpressionModule, **untrained, classes=classes, triplet_margin=0.0, objective="")
    module: Any = rebuild(saved, source, make)
    module.calibration = read_calibration(saved, source)
    return module


def rebuild(saved: Mapping, source: str, make: Callable[..., Network]) -> Network:
    """Return the network that settings and weights describe, on the CPU and ready to predict.

    Args:
        saved: What a checkpoint holds: "hyper_parameters" and "state_dict" are read.
        source: Name of the file in messages, after the option that gave it.
        make: ``Network``, or what else takes ``embedder``, ``classifier`` and ``mirrored``.

    Raises:
        UserError: If they name anything but an embedder and a classifier of ours, or make no network.
    """
    parts = {node: own_part(node, saved, source) for node in ("embedder", "classifier")}
    try:
        network = make(**parts, mirrored=saved["hyper_parameters"].get("mirrored") is True)
        items = saved["state_dict"].items()
        weights = {name: tensor for name, tensor in items if name.startswith(("embedder.", "classifier."))}
        check_weights(network, weights, "it", fitted=True)
        network.load_state_dict(weights)
    except Exception as error:  # whatever a stranger's numbers do to a network
        raise UserError(f"{source} makes no network: {error!s:.300}") from error
    return network.eval()


def own_part(node: str, saved: Mapping, source: str) -> dict[str, Any]:
    """Return a part's configuration out of a checkpoint, if it names a class of conf/NODE and gives it plain values.

    Raises:
        UserError: If it does more than that.
    """
    settings = saved.get("hyper_parameters")
    config = settings.get(node) if isinstance(settings, dict) else None
    if not isinstance(config, dict):
        raise UserError(f"{source} does not say what its {node} is: python eval.py can still score it")
    own = [OmegaConf.select(OmegaConf.load(path), "_target_") for path in (CONF / node).glob("*.yaml")]
    target, arguments = config.get("_target_"), {name: config[name] for name in config.keys() - {"_target_"}}
    if not plain(target) or target not in own or not plain(arguments):
        raise UserError(f"{source} says of its {node} what could run code: not loaded")
    # The weights are the checkpoint's: nothing is fetched, no other file is read.
    elsewhere = {"pretrained": False, "checkpoint_path": ""}
    return config | {name: value for name, value in elsewhere.items() if name in config}


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
