"""Overrides that a stranger may have written: what of a checkpoint's is composed over our own ``conf/``.

An allow list. What is composed chooses files of ``conf/`` and sets plain values; nothing in it can name code, read the
environment, or say where this machine reads and writes.
"""

import re
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from fer_lightning.errors import UserError

CONF = Path(__file__).parents[2] / "conf"
# Nodes that say which faces and which network a checkpoint belongs to.
DEFINING = (
    *("data", "protocol", "augmentation", "embedder", "loss", "miner", "classifier", "optimizer", "scheduler"),
    *("model", "table6", "experiment", "seed", "objective"),
)
# Nodes of one run alone; none of a checkpoint's is ever composed.
RUN_ONLY = (
    *("trainer", "logger", "callbacks", "paths", "hydra", "hparams_search", "debug"),
    *("run_id", "run_name", "job_type", "resume_from", "init_from", "checkpoint", "sweep"),
)
# Values of the machine, not of the network; a checkpoint's own weights stand in for the last two.
MACHINE = (
    "data.cache_dir",
    "data.num_workers",
    "data.worker_timeout",
    "embedder.pretrained",
    "embedder.checkpoint_path",
)


def allowed(overrides: object, source: str) -> list[str]:
    """Return those of a checkpoint's overrides that define its faces and network.

    Args:
        overrides: As the checkpoint holds them.
        source: The checkpoint, for messages.

    Raises:
        UserError: Naming the first override that is more than a file of ``conf/`` or a plain value.
    """
    if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
        raise UserError(f"{source} is no fer_lightning checkpoint: its overrides are no list of texts")
    parser = OverridesParser.create()
    kept = []
    for text in overrides:
        try:
            override = parser.parse_override(text)
            node = re.split("[./]", override.key_or_group)[0]
            if node in RUN_ONLY:
                continue
            reason = _refusal(node, override)
        except (HydraException, RecursionError) as error:
            raise UserError(f"{source} carries the override {text!r:.200}, which cannot be read: not loaded") from error
        if reason:
            raise UserError(f"{source} carries the override {text!r:.200}, {reason}: not loaded")
        if override.key_or_group not in MACHINE:
            kept.append(text)
    return kept


def _refusal(node: str, override: Override) -> str | None:
    """Return why an override is not composed, or None."""
    key = override.key_or_group
    if node not in DEFINING:
        return "which is no option"
    if override.is_delete() or override.is_sweep_override() or override.package is not None:
        return "which does more than set a value"
    value = override.value()
    if (CONF / key).is_dir():
        name = str(value)
        if value is not None and not (re.fullmatch(r"\w[\w-]*", name) and (CONF / key / f"{name}.yaml").is_file()):
            return f"which chooses no file of conf/{key}"
        return None
    if not re.fullmatch(r"[A-Za-z]\w*(\.[A-Za-z0-9]\w*)*", key) or not plain(value):
        return "which could run code"
    if isinstance(value, dict) and any(name.startswith(f"{key}.") for name in MACHINE):
        return "which replaces a whole node"
    return None


def plain(value: object) -> bool:
    """Return whether a value is made of numbers and texts alone: no interpolation, no key of ``instantiate``'s."""
    if isinstance(value, str):
        return "${" not in value
    if isinstance(value, list):
        return all(map(plain, value))
    if isinstance(value, dict):
        return all(not str(key).startswith("_") and plain(key) and plain(item) for key, item in value.items())
    return value is None or isinstance(value, (bool, int, float))
