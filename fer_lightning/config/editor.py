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
Schema = dict[str, Any]


@verb(
    "schema",
    "print a JSON schema of the configuration, by which editors complete and check YAML files",
    {"node": {"nargs": "?", "metavar": "GROUP", "help": "of the files in conf/GROUP; without it of all options"}},
)
def print_schema(node: str | None) -> None:
    """Print the JSON schema of a configuration, or of the files of one group of ``conf/``.

    Args:
        node: Name of the group, such as optimizer; None for a whole configuration, or a part of it such as
            ``conf/experiment`` holds.

    Raises:
        UserError: If there is no such group.
    """
    names = nodes("eval")
    groups = sorted(name for name in names if (CONF / name).is_dir())
    if node is None:
        schema = _object({name: (_node(name), NODES[name].meaning) for name in names}, closed=True)
    elif node in groups:
        schema = _node(node)
    else:
        raise UserError(f"schema {node}: there is no such group, use one of {', '.join(groups)}")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"conf/{node or ''}"}
    print(json.dumps({**head, **schema}, indent=2))


def _node(name: str) -> Schema:
    """Return the schema of a node: any class that its files name, or one of the user's own."""
    parts: dict[str, list[Schema]] = {}
    for prefix, target in group_targets(name):
        known = class_options(target)
        parts.setdefault(prefix, []).append(_options(known.options, known.closed, {"const": target}))
    kind = node_kind(name)
    if kind.form == "dict":
        inner = {key.rpartition(".")[2]: ({"anyOf": [*schemas, _foreign()]}, "") for key, schemas in parts.items()}
        return _object(inner, closed=False)
    if kind.form == "part":
        return {"anyOf": [*parts.get(name, []), _foreign()]}
    return _kind(kind)


def _foreign() -> Schema:
    return {
        "type": "object",
        "properties": {"_target_": {"type": "string", "not": {"pattern": r"^fer_lightning\."}}},
        "required": ["_target_"],
    }


def _options(options: Mapping[str, Option], closed: bool, target: Schema | None) -> Schema:
    lines = {name: (_kind(resolve(item.kind, item.module)), item.meaning) for name, item in options.items()}
    if target is not None:
        lines["_target_"] = (target, "the class that is made")
        lines |= {f"_{key}_": ({}, "an argument of Hydra's instantiate") for key in ("partial", "recursive", "convert")}
    return _object(lines, closed)


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
            schema = {"type": "object", "required": ["_target_"]}
    return {"anyOf": [schema, {"type": "null"}]} if kind.nullable else schema


def _object(lines: Mapping[str, tuple[Schema, str]], closed: bool) -> Schema:
    """Return the schema of a file that may hold a part of the keys; each value may point to another option."""
    properties: Schema = {
        name: {"anyOf": [schema, POINTER], "description": meaning} for name, (schema, meaning) in lines.items()
    }
    properties["defaults"] = {"type": "array", "description": "files that this one is made of"}
    return {"type": "object", "properties": properties, "additionalProperties": not closed}
