"""Values of a composed configuration that the schema does not allow, each as one sentence."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import ValidationError

from fer_lightning.config import CONF
from fer_lightning.config.suggestions import keys, meant
from fer_lightning.errors import UserError
from fer_lightning.kinds import KIND, shown
from fer_lightning.launch.schema.use import COMMANDS

Path = tuple[str | int, ...]  # of a value: the keys and positions that lead to it
POINTER = re.compile(r"\$\{([\w.]+)\}")  # a value that is another option's
LONGEST = 100  # characters of a value in a sentence


def check_values(cfg: DictConfig, command: str, carrier: str | None = None) -> None:
    """Refuse a composed configuration that holds a value which cannot be.

    Args:
        cfg: What ``conf/COMMAND.yaml`` and the options compose to.
        command: Name of that file.
        carrier: The checkpoint that brings some of the options, for the sentence; None for none.

    Raises:
        UserError: Naming the first such option as it is written on the command line.
    """
    try:
        _refuse(cfg, command)
    except UserError as error:
        if carrier is None:
            raise
        raise UserError(f"{carrier} brings options that cannot be: {error}") from error


def _refuse(cfg: DictConfig, command: str) -> None:
    values, unresolved = _resolved(cfg)
    try:
        COMMANDS[command].model_validate(values)
    except ValidationError as found:
        errors = found.errors(include_url=False)
        if error := next((error for error in errors if error["loc"][0] not in unresolved), None):
            raise UserError(_sentence(cfg, values, error, command)) from None
    for path, value in _leaves(values):
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{_option(cfg, path)}={value} must be a finite number, such as 0.1")
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
    """Return a value whose texts are Unicode; pydantic takes no byte of a file name that is no UTF-8."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value that holds no others, and where it stands."""
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if children is None:
        yield path, value
        return
    for key, child in children:
        yield from _leaves(child, (*path, key))


def _sentence(cfg: DictConfig, values: Mapping, error: Mapping[str, Any], command: str) -> str:
    """Return one of pydantic's errors in words."""
    path, value = _place(error["loc"], values)
    if error["type"] == "missing":
        option = _option(cfg, (*path, error["loc"][-1]))
        choices = sorted(file.stem for file in (CONF / option).glob("*.yaml"))
        return f"{option} is missing: add {option}=" + (f"..., one of {', '.join(choices)}" if choices else "...")
    option = _option(cfg, path)
    if error["type"] == "extra_forbidden":
        return f"{option} is no option{meant(option, [key for key in keys(cfg) if key != option], command)}"
    text = shown(value)
    must = f"{option}={text if len(text) <= LONGEST else text[:LONGEST] + '...'} must be "
    if error["type"] == KIND:
        said = error["ctx"]
        return f"{must}{said['words']}" + f", such as {said['example']}" * bool(said["example"])
    if error["type"] in ("list_type", "dict_type"):
        return f"{must}a {'list, such as []' if error['type'] == 'list_type' else 'node of names, such as {}'}"
    return (
        f"{must}a node that names a class as its _target_, such as the one in conf/ (where a run can do without it, "
        f"~{option} leaves it out)"
    )


def _place(loc: tuple, values: Any) -> tuple[Path, Any]:
    """Return the path of a value, without pydantic's names of kinds in it, and the value."""
    path: list[str | int] = []
    for part in loc:
        if (isinstance(values, dict) and part in values) or (isinstance(values, list) and isinstance(part, int)):
            path.append(part)
            values = values[part]
    return tuple(path), values


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
