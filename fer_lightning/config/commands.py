"""List the options of each command: its file in conf/ names its nodes, their classes describe the rest."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import cast

from omegaconf import DictConfig, OmegaConf

from fer_lightning.config import CONF
from fer_lightning.config.nodes import NODES
from fer_lightning.config.signatures import Kind, Option, Signature, resolve, signature, takes

MODULE = "fer_lightning.config.nodes"
TARGET = re.compile(r"^(?:(\w+):[^\n]*\n  )?_target_: ([\w.]+)", re.MULTILINE)  # of a file's node, or of one in it


@cache
def nodes(command: str) -> tuple[str, ...]:
    """Return the nodes of a command: the groups that its file chooses from, and the keys that it sets."""
    content = cast(DictConfig, OmegaConf.load(CONF / f"{command}.yaml"))
    names: list[str] = []
    for entry in content.pop("defaults"):
        if isinstance(entry, str):
            names += () if entry == "_self_" else nodes(entry)
            continue
        for group, choice in entry.items():
            if choice is not None and group != "hydra" and not group.startswith("override "):
                names.append(group)
    names += map(str, content)
    return tuple(name for name in NODES if name in names)


def node_kind(name: str) -> Kind:
    """Return the kind of a node of the table."""
    kind = NODES[name].kind
    if kind != "fields":
        return resolve(kind, MODULE)
    options = {
        key.removeprefix(f"{name}."): Option(node.kind, MODULE, node.meaning, required=True)
        for key, node in NODES.items()
        if key.startswith(f"{name}.")
    }
    return Kind("fields", options)


def class_options(target: str) -> Signature:
    """Return the options of a class, one of ours or of a library."""
    from fer_lightning.config.library import library_options  # needs pydantic

    described = signature(target) or Signature({}, closed=False)
    if described.closed or described.options:
        return described
    return described._replace(options=library_options(target))


def accepts(target: str, name: str) -> bool:
    """Return whether a class takes an argument; of a class whose arguments cannot be read this is assumed."""
    if described := signature(target):
        return name in described.options or not described.closed
    arguments = takes(target)
    return arguments is None or name in arguments


def chosen_by(option: str) -> list[str]:
    """Return the choices that have an option, such as ``optimizer=sgd`` for ``optimizer.momentum``.

    Choices whose class takes it, but whose file does not give it, need a plus sign: they count if there are no others.
    """
    group, _, name = option.partition(".")
    choices = []
    for choice, node, target in _made_by(group) if name else ():
        key = option.removeprefix(f"{node}.")
        if option == node or ("." not in key and accepts(target, key) and key in class_options(target).options):
            choices.append(f"{group}={choice}")
    line = re.compile(rf"^ *{option.rpartition('.')[2]}:", re.MULTILINE)
    files = {choice: CONF / f"{choice.replace('=', '/')}.yaml" for choice in choices}
    return [choice for choice in choices if line.search(files[choice].read_text(encoding="utf-8"))] or choices


@cache
def group_targets(group: str) -> tuple[tuple[str, str], ...]:
    """Return the nodes that the files of a group make, such as ``callbacks.media``, each with its class."""
    inner = NODES[group].kind.startswith("dict")
    return tuple(dict.fromkeys((node, target) for _, node, target in _made_by(group) if inner or node == group))


def _made_by(group: str) -> Iterator[tuple[str, str, str]]:
    """Yield what the files of a group make: the choice, the node, its class."""
    for path in sorted((CONF / group).glob("*.yaml")):
        for name, target in TARGET.findall(path.read_text(encoding="utf-8")):
            yield path.stem, group if name in ("", group) else f"{group}.{name}", target


def meanings(command: str) -> dict[str, str]:
    """Return the options of a command in the order of the table of nodes, and one line on each.

    Returns:
        ``optimizer`` -> "what changes the weights after each batch", ``optimizer.lr`` -> "learning rate" and so on. An
        option that only some choices of its group have is there too.
    """
    lines: dict[str, str] = {}
    for name in nodes(command):
        lines[name] = NODES[name].meaning
        for prefix, target in group_targets(name):
            described = class_options(target)
            lines.setdefault(prefix, described.summary)
            lines |= _meanings(prefix, described.options)
        lines |= {key: node.meaning for key, node in NODES.items() if key.startswith(f"{name}.") and node.meaning}
    return lines


def _meanings(prefix: str, options: Mapping[str, Option]) -> Iterator[tuple[str, str]]:
    for name, option in options.items():
        yield f"{prefix}.{name}", option.meaning
        kind = resolve(option.kind, option.module)
        if kind.form == "fields":
            yield from _meanings(f"{prefix}.{name}", kind.content)
