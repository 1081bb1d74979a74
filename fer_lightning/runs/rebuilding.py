"""From what a checkpoint holds to a network: whole, as a LightningModule, or an embedder's weights alone."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import nn

from fer_lightning.config import CONF
from fer_lightning.config.overrides import plain
from fer_lightning.config.values import check_node
from fer_lightning.config.verbs import program
from fer_lightning.data.classes import classes_of
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import read_calibration
from fer_lightning.models.network import Network, check_weights
from fer_lightning.runs.checkpoints import KEY, load

log = logging.getLogger(__name__)


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
    make = partial(ExpressionModule, **untrained, classes=list(classes), triplet_margin=0.0, objective="")
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
        for node, config in parts.items():
            check_node(node, config)
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
        raise UserError(f"{source} does not say what its {node} is: {program('eval')} can still score it")
    own = [OmegaConf.select(OmegaConf.load(path), "_target_") for path in (CONF / node).glob("*.yaml")]
    target, arguments = config.get("_target_"), {name: config[name] for name in config.keys() - {"_target_"}}
    if not plain(target) or target not in own or not plain(arguments):
        raise UserError(f"{source} says of its {node} what could run code: not loaded")
    # The weights are the checkpoint's: nothing is fetched, no other file is read.
    elsewhere = {"pretrained": False, "checkpoint_path": ""}
    return config | {name: value for name, value in elsewhere.items() if name in config}
