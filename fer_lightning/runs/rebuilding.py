"""Rebuilding a network from a checkpoint: all of it, or the embedder's weights alone."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from fer_lightning.config import find_files
from fer_lightning.config.overrides import plain
from fer_lightning.config.values import check_node
from fer_lightning.config.verbs import program
from fer_lightning.data.classes import classes_of
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import read_calibration
from fer_lightning.models.network import Network, check_weights
from fer_lightning.runs.checkpoints import KEY, config_dir_remedy, load

log = logging.getLogger(__name__)


def take_weights(model: nn.Module, path: str) -> None:
    """Load the embedder's weights of a checkpoint or bundle into a model; refuse those of another network."""
    content, prefix, source = load(path, "init_from"), "embedder.", f"init_from={path}"
    items = content["state_dict"].items()
    weights = {name.removeprefix(prefix): tensor for name, tensor in items if name.startswith(prefix)}
    embedder = model.get_submodule("embedder")
    try:
        check_weights(embedder, weights, source)
    except UserError as error:
        files = _files_of("embedder", part_config("embedder", content, source)["_target_"])
        raise UserError(f"{error}, such as embedder={files[0].stem}") from None
    embedder.load_state_dict(weights)
    log.info("starts from the embedder's weights in %s", path)


def load_module(checkpoint: str | Path) -> Any:
    """Return the network of a checkpoint as an ``ExpressionModule``, on the CPU, for Lightning's ``Trainer.predict``.

    The file may come from a stranger: nothing that it names is run.
    """
    from fer_lightning.models.module import ExpressionModule  # here, since nothing else in this module needs Lightning

    untrained: dict[str, Any] = dict.fromkeys(("loss", "miner", "optimizer", "scheduler", "abstention"))
    content, source = load(str(checkpoint), "checkpoint"), f"checkpoint={checkpoint}"
    classes = classes_of(content[KEY], source)
    make = partial(ExpressionModule, **untrained, classes=list(classes), triplet_margin=0.0, objective="")
    module: Any = rebuild(content, source, make)
    module.calibration = read_calibration(content, source)
    return module


def rebuild(content: Mapping, source: str, make: Callable[..., Network]) -> Network:
    """Return the network of a checkpoint, on the CPU and ready to predict.

    Args:
        content: Content of the checkpoint, of which "hyper_parameters" and "state_dict" are read.
        source: Option and path of the checkpoint, for messages.
        make: ``Network``, or another function of ``embedder``, ``classifier`` and ``mirrored``.

    Raises:
        UserError: If its parts are not an embedder and a classifier of ours, or settings and weights do not fit.
    """
    parts = {node: part_config(node, content, source) for node in ("embedder", "classifier")}
    try:
        for node, config in parts.items():
            check_node(node, config)
        mirrored = content["hyper_parameters"].get("mirrored") is True
        items = content["state_dict"].items()
        weights = {name: tensor for name, tensor in items if name.startswith(("embedder.", "classifier."))}
        check_weights(_draft(parts, mirrored), weights, "it", fitted=True)
        network = make(**parts, mirrored=mirrored)
        network.load_state_dict(weights)
    except Exception as error:  # a stranger's settings may cause any error
        raise UserError(f"{source} makes no network: {error!s:.300}") from error
    return network.eval()


def _draft(parts: Mapping[str, dict[str, Any]], mirrored: bool) -> Network:
    """Return a network whose weights have shapes and take no memory: a stranger's settings may ask for any amount."""
    try:
        with torch.device("meta"):
            return Network(**parts, mirrored=mirrored)
    except Exception:  # some networks of timm read numbers while they are made
        return Network(**parts, mirrored=mirrored)


def part_config(node: str, content: Mapping, source: str) -> dict[str, Any]:
    """Return the configuration of a node from a checkpoint; refuse a class that conf/NODE does not name, and code."""
    settings = content.get("hyper_parameters")
    config = settings.get(node) if isinstance(settings, dict) else None
    if not isinstance(config, dict):
        raise UserError(f"{source} does not say what its {node} is: {program('eval')} can still score it")
    target, arguments = config.get("_target_"), {name: config[name] for name in config.keys() - {"_target_"}}
    if not plain(target) or not _files_of(node, target) or not plain(arguments):
        remedy = (
            config_dir_remedy(content.get(KEY, {})) or "; a class of your own needs --config-dir=FOLDER with its file"
        )
        raise UserError(f"{source} says of its {node} what could run code: not loaded{remedy}")
    # The weights are in the checkpoint: download nothing, and read no other file.
    local = {"pretrained": False, "checkpoint_path": ""}
    return config | {name: value for name, value in local.items() if name in config}


def _files_of(node: str, target: object) -> list[Path]:
    """Return the files of a group that name a class as their ``_target_``."""
    return [path for path in find_files(node) if OmegaConf.select(OmegaConf.load(path), "_target_") == target]
