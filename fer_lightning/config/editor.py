"""Print a JSON schema of the configuration, by which editors complete and check YAML files."""

import json
from collections.abc import Mapping
from typing import Any

from fer_lightning.config import CONF
from fer_lightning.config.commands import class_options, group_targets, node_kind, nodes
from fer_lightning.config.nodes import NODES
from fer_lightning.config.signatures import Kind, Option, leaf, resolve
from fer_lightning.config.verbs import verb
from fer_lightning.errors import UserError

POINTER = {"type": "string", "pattern": r"\$\{", "description": "the value of another option"}
FOREIGN = {"not": {"pattern": r"^fer_lightning\."}}  # the class that a node of the user's own makes
Schema = dict[str, Any]


@verb(
    "schema",
    "print a JSON schema of the configuration, by which editors complete and check YAML files",
    {"node": {"nargs": "?", "metavar": "GROUP", "help": "of the files in conf/GROUP; without it of all options"}},
)
def print_schema(node: str | None) -> None:
    """Print the JSON schema of a configuration, or of the files of one group of ``conf/``."""
    groups = sorted(name for name in nodes("eval") if (CONF / name).is_dir())
    if node is not None and node not in groups:
        raise UserError(f"schema {node}: there is no such group, use one of {', '.join(groups)}")
    lines = {name: (_node(name), NODES[name].meaning) for name in nodes("eval")}
    schema = _object(lines, closed=True) if node is None else lines[node][0]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"conf/{node or ''}"}
    print(json.dumps({**head, **schema}, indent=2))


def _node(name: str) -> Schema:
    """Return the schema of a node: any class that its files name, or one of the user's own."""
    parts: dict[str, list[Schema]] = {name: []}
    for node, target in group_targets(name):
        described = class_options(target)
        parts.setdefault(node, []).append(_options(described.options, described.closed, {"const": target}))
    kind = node_kind(name)
    if kind.form == "part":
        return {"anyOf": [*parts[name], _options({}, False, FOREIGN)]}
    if kind.form == "dict":
        del parts[name]
        return _object({key.rpartition(".")[2]: ({"anyOf": schemas}, "") for key, schemas in parts.items()}, False)
    return _kind(kind)


def _kind(kind: Kind) -> Schema:
    match kind.form:
        case "value":
            schema = leaf(*kind.content)[0].json_schema()
        case "fields":
            schema = _options(kind.content, True, None)
        case "list":
            schema = {"type": "array", "items": _kind(kind.content)}
        case "dict":
            schema = {"type": "object", "additionalProperties": _kind(kind.content)}
        case _:
            schema = _options({}, False, {})
    return {"anyOf": [schema, {"type": "null"}]} if kind.nullable else schema


def _options(options: Mapping[str, Option], closed: bool, target: Schema | None) -> Schema:
    """Return the schema of a node with some options, and of the class that it makes unless that is None."""
    lines = {name: (_kind(resolve(item.kind, item.module)), item.meaning) for name, item in options.items()}
    if target is None:
        return _object(lines, closed)
    lines |= {f"_{key}_": ({}, "for Hydra's instantiate") for key in ("partial", "recursive", "convert")}
    lines["_target_"] = ({"type": "string", **target}, "the class that is made")
    return {**_object(lines, closed), "required": ["_target_"]}


def _object(lines: Mapping[str, tuple[Schema, str]], closed: bool) -> Schema:
    """Return the schema of a file that may hold a part of the keys; each value may point to another option."""
    properties: Schema = {
        name: {"anyOf": [schema, POINTER], "description": meaning} for name, (schema, meaning) in lines.items()
    }
    properties["defaults"] = {"type": "array", "description": "files that this one is made of"}
    return {"type": "object", "properties": properties, "additionalProperties": not closed}
