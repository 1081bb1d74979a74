"""What a checkpoint says of itself, and reading it safely."""

import logging
import re
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from packaging.version import Version
from torch import Tensor, nn

import fer_lightning
from fer_lightning.errors import UserError
from fer_lightning.models.network import Network
from fer_lightning.runs.overrides import CONF, allowed, plain

log = logging.getLogger(__name__)

KEY = "fer_lightning"


def newest(folder: Path) -> Path:
    """Return the valid checkpoint of a run that has trained longest; refuse a run without one."""
    steps = {}
    for path in sorted((folder / "checkpoints").glob("*.ckpt")):
        try:
            steps[path] = (load(str(path), "resume_from")["global_step"], path.stat().st_mtime)
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

    untrained: dict[str, Any] = {"loss": None, "miner": None, "optimizer": None, "scheduler": None}
    make = partial(ExpressionModule, **untrained, triplet_margin=0.0, objective="")
    return rebuild(load(str(checkpoint), "checkpoint"), f"checkpoint={checkpoint}", make)


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
        weights = saved["state_dict"].items()
        network.load_state_dict(
            {name: tensor for name, tensor in weights if name.startswith(("embedder.", "classifier."))}
        )
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


def check_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights of another network and list what differs."""
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if "classifier." not in name}
    saved = {name: tuple(tensor.shape) for name, tensor in weights.items() if "classifier." not in name}
    lines = [
        f"{name} saved {saved.get(name, 'not at all')}, configured {own.get(name, 'not at all')}"
        for name in sorted(own.keys() | saved.keys())
        if own.get(name) != saved.get(name)
    ]
    if lines:
        raise UserError(
            f"{source} holds another network ({'; '.join(lines[:3])}{f'; and {len(lines) - 3} more' * (len(lines) > 3)}"
            "): give the embedder and loss options that it was trained with"
        )


def load(path: str, option: str) -> dict:
    """Return what a checkpoint of ours holds, on the CPU; nothing that it names is imported or called.

    Args:
        path: The file.
        option: Name of the option that gave it, for messages.

    Raises:
        UserError: If the file is missing, damaged, no checkpoint of ours, of a newer version, or names code to run.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{option}={path} does not exist: {_others(file)}")
    try:
        with zipfile.ZipFile(file) as archive:  # torch packs nothing, so what is packed is a bomb
            packed = [member.filename for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError(f"compressed member {packed[0]!r}")
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        checkpoint[KEY]["overrides"]
        version = Version(checkpoint[KEY]["version"])
    except Exception as error:
        code = re.search(r"GLOBAL (\S+)", str(error))  # in torch's refusal to unpickle
        reason = f"names code to run ({code[1]})" if code else "is damaged or no fer_lightning checkpoint"
        raise UserError(
            f"{option}={path} ({file.stat().st_size:,} bytes) {reason} ({type(error).__name__}): {_others(file)}"
        ) from error
    if version > Version(fer_lightning.__version__):
        raise UserError(
            f"{option}={path} was written by fer_lightning {version}, and this is {fer_lightning.__version__}: "
            "update it"
        )
    return checkpoint


def read_overrides(path: str) -> list[str]:
    """Return the overrides that define a checkpoint's faces and network, for composing our own ``conf/`` again.

    Raises:
        UserError: As ``load``; or if an override does more than choose a file of ``conf/`` or set a plain value.
    """
    return allowed(load(path, "checkpoint")[KEY]["overrides"], f"checkpoint={path}")


def _others(file: Path) -> str:
    """Return the remedy: other checkpoints beside one that cannot be used."""
    others = sorted(other.name for other in file.parent.glob("*.ckpt") if other.name != file.name)
    return f"beside it are {', '.join(others[:5])}" if others else "give logs/.../checkpoints/best.ckpt"
