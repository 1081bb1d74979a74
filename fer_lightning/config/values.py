"""Refuse a composed configuration that holds a value which cannot be, in one sentence that names the option."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import ValidationError

from fer_lightning.config import CONF
from fer_lightning.config.agreement import check_agreement
from fer_lightning.config.commands import class_options, node_kind, nodes
from fer_lightning.config.signatures import Kind, Option, leaf, resolve
from fer_lightning.config.suggestions import keys, meant
from fer_lightning.errors import UserError
from fer_lightning.kinds import shown

Path = tuple[str | int, ...]  # keys and positions that lead to a value
POINTER = re.compile(r"\$\{([\w.]+)\}")  # a value that is another option's
CLASS_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
HYDRA_KEYS = {"_partial_": True, "_recursive_": False, "_convert_": "all"}  # the one value that each may have
LONGEST = 100  # characters of a value in a sentence

NODE = (
    "a node that names a class as its _target_, such as the one in conf/ (where a run can do without it, ~OPTION "
    "leaves it out)"
)


def check_values(cfg: DictConfig, command: str, carrier: str | None = None) -> None:
    """Refuse a configuration that holds a wrong value.

    Args:
        cfg: What ``conf/COMMAND.yaml`` and the options compose to.
        command: Name of that file.
        carrier: The checkpoint that brings some of the options, for the sentence; None for none.

    Raises:
        UserError: Naming the first such option as it is written on the command line.
    """
    try:
        _check(cfg, command)
    except UserError as error:
        if carrier is None:
            raise
        raise UserError(f"{carrier} brings options that cannot be: {error}") from error


def _check(cfg: DictConfig, command: str) -> None:
    values, unresolved = _resolved(cfg)
    options = {name: node_kind(name) for name in nodes(command)}
    for name in [*options, *(name for name in values if name not in options)]:
        if name in unresolved:
            continue
        if name not in options:
            raise UserError(_unknown(cfg, (name,), command))
        if name not in values:
            raise UserError(_missing(name))
        for path, value, reason in _mistakes(values[name], options[name], (name,)):
            option = _option(cfg, path)
            if reason == "unknown":
                raise UserError(_unknown(cfg, path, command))
            if reason == "missing":
                raise UserError(_missing(option))
            text = shown(value)
            short = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
            raise UserError(f"{option}={short} must be {reason.replace('OPTION', option)}")
    check_agreement({name: value for name, value in values.items() if name in options})
    if unresolved and HydraConfig.initialized():  # without Hydra's own node, what takes a value from it stays open
        raise next(iter(unresolved.values()))


def _resolved(cfg: DictConfig) -> tuple[dict[str, Any], dict[str, Exception]]:
    """Return the plain values of each node, and why a node has none."""
    values: dict[str, Any] = {}
    unresolved: dict[str, Exception] = {}
    for name in map(str, cfg):
        try:
            node = cfg[name]
            values[name] = _plain(
                OmegaConf.to_container(node, resolve=True, throw_on_missing=True) if OmegaConf.is_config(node) else node
            )
        except MissingMandatoryValue:
            key = name if OmegaConf.is_missing(cfg, name) else f"{name}.{min(OmegaConf.missing_keys(cfg[name]))}"
            unresolved[name] = UserError(f"{key} is missing: add {key}=...")
        except OmegaConfBaseException as error:  # points to what is not there
            unresolved[name] = error
    return values, unresolved


def _plain(value: Any) -> Any:
    """Return a value whose texts are Unicode: pydantic takes no byte of a file name that is no UTF-8."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _mistakes(value: Any, kind: Kind, path: Path) -> Iterator[tuple[Path, Any, str]]:
    """Yield where a value is wrong, the value there, and what it must be; or "missing", or "unknown"."""
    if value is None and kind.nullable:
        return
    match kind.form:
        case "value":
            yield from _leaf_mistakes(value, kind, path)
        case "part" | "open part":
            if not (isinstance(value, dict) and "_target_" in value):
                yield path, value, NODE
                return
            target = value["_target_"]
            if not (isinstance(target, str) and CLASS_NAME.fullmatch(target)):
                yield (*path, "_target_"), target, "the name of a class, such as torch.optim.Adam"
                return
            yield from _part_mistakes(value, target, kind.form == "open part", path)
        case "fields":
            if not isinstance(value, dict):
                yield path, value, "a node of names, such as {}"
                return
            yield from _option_mistakes(value, kind.content, True, False, path)
        case "list":
            if not isinstance(value, list):
                yield path, value, "a list, such as []"
                return
            for position, item in enumerate(value):
                yield from _mistakes(item, kind.content, (*path, position))
        case "dict":
            if not isinstance(value, dict):
                yield path, value, "a node of names, such as {}"
                return
            for key, item in value.items():
                yield from _mistakes(item, kind.content, (*path, key))


def _leaf_mistakes(value: Any, kind: Kind, path: Path) -> Iterator[tuple[Path, Any, str]]:
    adapter, says = leaf(*kind.content)
    try:
        adapter.validate_python(value)
    except ValidationError:
        null = ", or null" if kind.nullable else ""
        example = f", such as {says.example}" if says.example else ""
        yield path, value, f"{says.words}{null}{example}"
        return
    yield from _inner_mistakes(value, path)


def _part_mistakes(value: dict, target: str, incomplete: bool, path: Path) -> Iterator[tuple[Path, Any, str]]:
    """Yield the mistakes in a node that makes something."""
    arguments = {key: item for key, item in value.items() if key != "_target_"}
    for key, allowed in HYDRA_KEYS.items():
        setting = arguments.pop(key, allowed)
        if shown(setting) != shown(allowed):
            yield (*path, key), setting, shown(allowed)
    known = class_options(target)
    yield from _option_mistakes(arguments, known.options, known.closed, incomplete, path)


def _option_mistakes(
    values: Mapping, options: Mapping[str, Option], closed: bool, incomplete: bool, path: Path
) -> Iterator[tuple[Path, Any, str]]:
    """Yield the mistakes in some arguments, or fields."""
    for name, option in options.items():
        if name in values:
            yield from _mistakes(values[name], resolve(option.kind, option.module), (*path, name))
        elif option.required and not incomplete:
            yield (*path, name), None, "missing"
    for name in values.keys() - options.keys():
        if closed:
            yield (*path, name), values[name], "unknown"
        else:
            yield from _inner_mistakes(values[name], (*path, name))


def _inner_mistakes(value: Any, path: Path) -> Iterator[tuple[Path, Any, str]]:
    """Yield the mistakes in what no kind describes: numbers that are not finite, and nodes that make something."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path, value, "a finite number, such as 0.1"
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _inner_mistakes(item, (*path, position))
    elif isinstance(value, dict):
        if isinstance(value.get("_target_"), str):
            yield from _mistakes(value, Kind("part", None), path)
            return
        for key, item in value.items():
            yield from _inner_mistakes(item, (*path, key))


def _missing(option: str) -> str:
    choices = sorted(file.stem for file in (CONF / option).glob("*.yaml"))
    return f"{option} is missing: add {option}=..." + (f", one of {', '.join(choices)}" if choices else "")


def _unknown(cfg: DictConfig, path: Path, command: str) -> str:
    option = _option(cfg, path)
    return f"{option} is no option{meant(option, [key for key in keys(cfg) if key != option], command)}"


def _option(cfg: DictConfig, path: Path) -> str:
    """Return the name of the option that sets a value: of one that points to another option, that other's."""
    node: Any = OmegaConf.to_container(cfg, resolve=False)
    for position, part in enumerate(path):
        try:
            node = node[int(part) if isinstance(node, list) else part]
        except (KeyError, ValueError):  # missing
            break
        if isinstance(node, str) and (pointer := POINTER.fullmatch(node)):
            return _option(cfg, (*pointer[1].split("."), *path[position + 1 :]))
    return ".".join(map(str, path))
