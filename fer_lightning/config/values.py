"""Refuse a composed configuration that holds a value which cannot be, in one sentence that names the option."""

import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import ValidationError

from fer_lightning.config import CONF
from fer_lightning.config.agreement import check_agreement
from fer_lightning.config.commands import accepts, class_options, group_targets, node_kind, nodes
from fer_lightning.config.signatures import Kind, Signature, leaf, resolve
from fer_lightning.config.suggestions import suggestion
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
    """Refuse a wrong value in a composed configuration.

    ``carrier`` names the file that brought some options, such as a checkpoint.

    Raises:
        UserError: Naming the first such option as it is written on the command line.
    """
    try:
        _Check(cfg, command).run()
    except UserError as error:
        if carrier is None:
            raise
        raise UserError(f"{carrier} brings options that cannot be: {error}") from None  # else the cause is shown alone


def check_node(name: str, node: Mapping[str, Any]) -> None:
    """Refuse a node of plain values that stands in a file, such as the embedder of a checkpoint.

    Raises:
        UserError: Naming the first wrong option.
    """
    _Check(OmegaConf.create({name: node}), "train").value(node, node_kind(name), (name,))
    check_agreement({name: node})


class _Check:
    """Check of one configuration; the first mistake raises a UserError."""

    def __init__(self, cfg: DictConfig, command: str) -> None:
        self.cfg, self.command = cfg, command

    def run(self) -> None:
        """Check each node, then what the nodes must agree on."""
        values, unresolved = _resolved(self.cfg)
        names = nodes(self.command)
        for name in (*names, *(name for name in values if name not in names)):
            if name in values and name in names:
                self.value(values[name], node_kind(name), (name,))
            elif name in values:
                self.unknown((name,))
            elif name not in unresolved:
                self.missing(name)
        check_agreement(values)
        if unresolved and HydraConfig.initialized():  # without it, what points into Hydra's node has no value yet
            raise next(iter(unresolved.values()))

    def value(self, value: Any, kind: Kind, path: Path) -> None:
        """Check a value against its kind."""
        if value is None and kind.nullable:
            return
        match kind.form:
            case "value":
                self.leaf(value, kind, path)
            case "part" | "open part":
                if not isinstance(value, dict) or "_target_" not in value:
                    self.refuse(path, value, NODE)
                self.part(value, kind.form == "part", path)
            case "list":
                if not isinstance(value, list):
                    self.refuse(path, value, "a list, such as []")
                for position, item in enumerate(value):
                    self.value(item, kind.content, (*path, position))
            case "dict" | "fields":
                if not isinstance(value, dict):
                    self.refuse(path, value, "a node of names, such as {}")
                if kind.form == "fields":
                    self.arguments(value, Signature(kind.content, closed=True), True, path)
                    return
                for key, item in value.items():
                    self.value(item, kind.content, (*path, key))

    def leaf(self, value: Any, kind: Kind, path: Path) -> None:
        """Check a value that pydantic knows, and the nodes in it."""
        adapter, says = leaf(*kind.content)
        try:
            adapter.validate_python(value)
        except ValidationError:
            null = ", or null" if kind.nullable else ""
            example = f", such as {says.example}" if says.example else ""
            self.refuse(path, value, f"{says.requirement}{null}{example}")
        self.anything(value, path)

    def part(self, node: dict, complete: bool, path: Path) -> None:
        """Check a node that makes something; unless it is ``complete``, arguments may be missing."""
        arguments = dict(node)
        target = arguments.pop("_target_")
        if not (isinstance(target, str) and CLASS_NAME.fullmatch(target)):
            self.refuse((*path, "_target_"), target, "the name of a class, such as torch.optim.Adam")
        signature = class_options(target)
        described = signature.closed or signature.options  # a class of the user's may need another value
        for key, allowed in HYDRA_KEYS.items():
            setting = arguments.pop(key, allowed)
            if described and shown(setting) != shown(allowed):
                self.refuse((*path, key), setting, shown(allowed))
        self.arguments(arguments, signature, complete, path)
        is_ours = (".".join(map(str, path)), target) in group_targets(str(path[0]))  # not a class of the user's choice
        for name in arguments:
            if is_ours and not accepts(target, name):
                self.unknown((*path, name))

    def arguments(self, values: Mapping, signature: Signature, complete: bool, path: Path) -> None:
        """Check the arguments of a class, or the fields of a node."""
        for name, option in signature.options.items():
            if name in values:
                self.value(values[name], resolve(option.kind, option.module), (*path, name))
            elif option.required and complete:
                self.missing(_option(self.cfg, (*path, name)))
        for name in values.keys() - signature.options.keys():
            if signature.closed:
                self.unknown((*path, name))
            self.anything(values[name], (*path, name))

    def anything(self, value: Any, path: Path) -> None:
        """Check what no kind describes: numbers are finite, and nodes that make something are right."""
        if isinstance(value, float) and not math.isfinite(value):
            self.refuse(path, value, "a finite number, such as 0.1")
        if isinstance(value, dict) and isinstance(value.get("_target_"), str):
            self.part(value, True, path)
        elif isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                self.anything(item, (*path, key))

    def refuse(self, path: Path, value: Any, requirement: str) -> NoReturn:
        """Raise the sentence on a value that must be something else."""
        option, text = _option(self.cfg, path), shown(value)
        short = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
        raise UserError(f"{option}={short} must be {requirement.replace('OPTION', option)}")

    def unknown(self, path: Path) -> NoReturn:
        """Raise the sentence on a key that is no option."""
        option = _option(self.cfg, path)
        raise UserError(f"{option} is no option{suggestion(option, self.cfg, self.command)}")

    def missing(self, option: str) -> NoReturn:
        """Raise the sentence on an option without a value."""
        choices = sorted(file.stem for file in (CONF / option).glob("*.yaml"))
        listed = f", one of {', '.join(choices)}" if choices else ""
        raise UserError(f"{option} is missing: add {option}=...{listed}")


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
