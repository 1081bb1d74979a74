"""Values that a configuration computes: run_name, shown_name, sweep_name, wandb_mode, on_terminal, accelerator,
classes, mapped_classes, num_classes, classes_per_batch.

Imported by the entry points before Hydra composes, so it stays light: no torch, no wandb.
"""

import hashlib
import netrc
import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import uuid4

import omegaconf
from omegaconf import DictConfig, ListConfig, OmegaConf

from fer_lightning.config import CONF
from fer_lightning.config.nodes import Role, role
from fer_lightning.data import mapping
from fer_lightning.data.layouts import find_classes
from fer_lightning.data.lists import LabelList
from fer_lightning.data.votes import VOTED
from fer_lightning.errors import UserError

LONGEST = 120  # characters of a name; folders of 255 fit a file system, but not beside others in a path
LONGEST_VALUE = 40  # characters of an option's value in what W&B calls a run
MODES = ("online", "offline", "disabled", "shared")
# Options that every name holds, in its first parts.
NAMED = ("optimizer", "data.batch_size", "trainer.max_epochs", "seed", "data.root")


def run_name(overrides: Sequence[str], *, _root_: DictConfig) -> str:
    """Return a name such as ``adam-bs16-ep8-s0-drawn``: the paper's settings, the faces, then what else was overridden.

    Letters, digits, ".", "_" and "-" only, so that it can be a folder, a W&B name and part of an override. Where other
    characters or the length are lost, the start of a hash keeps two names apart.
    """
    root = _root_.data.root
    parts = [
        _root_.optimizer._target_.rsplit(".", 1)[-1].lower(),
        f"bs{_root_.data.batch_size}",
        f"ep{_root_.trainer.max_epochs}",
        f"s{_root_.seed}",
        "drawn" if root is None else Path(str(root)).stem,
    ]
    lost = False
    for override in overrides:
        option, _, value = override.lstrip("+~").partition("=")
        if option not in NAMED and role(option) <= Role.MACHINE:
            parts.append(f"{option}-{value}")
            lost |= re.fullmatch(r"[\w./-]+", parts[-1]) is None
    name = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-") for part in parts)
    if lost or len(name) > LONGEST:
        name = f"{name[: LONGEST - 7]}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:6]}"
    return name


def shown_name(run_name: str, overrides: Sequence[str]) -> str:
    """Return the name of a run in W&B: its overrides in short, such as ``sgd lr=0.1``, or the option run_name.

    A run's folder has the longer ``run_name``, for two runs of one name would share a folder.
    """
    choices, values = [], []
    for override in overrides:
        option, _, value = override.lstrip("+~").partition("=")
        if option == "run_name":
            return run_name
        if option == "data.root" or role(option) > Role.RUN:
            continue
        if (CONF / option).is_dir():
            choices.append(value)
        else:
            values.append(f"{option.rsplit('.', 1)[-1]}={_in_short(value)}")
    name = " ".join(re.sub(r"[^A-Za-z0-9._=,+-]+", "-", part).strip("-") for part in [*choices, *values] if part)
    return name[:LONGEST] or "default"


def _in_short(value: str) -> str:
    """Return four digits of a number that a search has drawn, the name of a file without its folders, or the value."""
    if re.fullmatch(r"-?\d+\.\d{5,}(e-?\d+)?", value):
        return f"{float(value):.4g}"
    return value.rsplit("/", 1)[-1][:LONGEST_VALUE]


def sweep_name(mode: object, sweep_dir: str) -> str | None:
    """Return the name of the sweep's folder, or None for a single run."""
    return Path(sweep_dir).name if str(mode).endswith("MULTIRUN") else None


def wandb_mode() -> str:
    """Return WANDB_MODE where it is set; else "online" with a W&B key and its server at hand, "offline" without."""
    if mode := os.environ.get("WANDB_MODE"):
        if mode not in MODES:
            raise UserError(f"WANDB_MODE={mode} in the environment is unknown to W&B: use {', '.join(MODES)}")
        return mode
    server = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai")
    try:
        key = os.environ.get("WANDB_API_KEY") or netrc.netrc().authenticators(server.hostname or "")
    except (OSError, netrc.NetrcParseError):
        key = None
    return "online" if key and _reachable(server) else "offline"


@cache
def _reachable(server: SplitResult) -> bool:
    """Return whether a server answers; behind a proxy only W&B itself could tell."""
    if any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ):
        return True
    try:
        port = server.port or (80 if server.scheme == "http" else 443)
        socket.create_connection((server.hostname, port), timeout=3).close()
    except OSError:
        return False
    return True


def run_id(output_dir: str) -> str:
    """Return the id under which a run's folder is known to W&B: its earlier one, or a new one.

    YAML quotes an id of digits, and one like 12e4, which would be numbers.
    """
    config = Path(output_dir) / "config.yaml"
    earlier = config.is_file() and re.search(r"^run_id: '?(\w+)'?$", config.read_text(encoding="utf-8"), re.MULTILINE)
    return earlier[1] if earlier else uuid4().hex[:12]


def on_terminal() -> bool:
    """Return whether a progress bar has a terminal to itself: no for one of several jobs at a time."""
    return sys.stdout.isatty() and parent_process() is None


def accelerator() -> str:
    """Return the accelerator of ``trainer=auto``: on a Mac the CPU, since its GPU has no float64; else Lightning's."""
    return "cpu" if sys.platform == "darwin" else "auto"


def classes(root: Any, votes: Any, labels: Any, columns: Any) -> list[str]:  # none of them is checked yet
    """Return the classes of data.root, by its layout or by data.labels, or those of data.votes."""
    if votes is not None:
        return list(VOTED)
    named = isinstance(columns, Mapping) and all(isinstance(name, str) for name in columns.values())
    return list(find_classes(root, LabelList(labels, columns) if isinstance(labels, str) and named else None))


def mapped_classes(classes: Any, joined: Any) -> Any:
    """Return the classes after data.map; unchanged where a value has a type that the checks refuse."""
    lists = isinstance(classes, list | ListConfig) and isinstance(joined, dict | DictConfig)
    if not lists or not all(isinstance(members, list | ListConfig | None) for members in joined.values()):
        return classes
    return list(mapping.mapped_classes(classes, joined))


def num_classes(classes: object) -> int:
    """Return how many classes there are; 0 where data.classes is no list, which the schema refuses."""
    return len(classes) if isinstance(classes, list | tuple | ListConfig) else 0


def classes_per_batch(most: int, classes: Sequence[str], batch_size: int) -> int:
    """Return ``most``; where there are fewer classes, the largest number of them that divides the batch."""
    number = num_classes(classes)
    if number >= most or not isinstance(batch_size, int):
        return most
    return next((fewer for fewer in range(number, 1, -1) if batch_size % fewer == 0), max(2, number))


# OmegaConf 2.4 warns of the old name; in 2.3 the new one is another function.
register: Any = OmegaConf.register_new_resolver if omegaconf.__version__ < "2.4" else OmegaConf.register_resolver
for resolver in (
    *(run_name, shown_name, sweep_name, wandb_mode, on_terminal, accelerator),
    *(mapped_classes, num_classes, classes_per_batch),
):
    register(resolver.__name__, resolver, replace=True)
for cached in (run_id, classes):
    register(cached.__name__, cached, replace=True, use_cache=True)
