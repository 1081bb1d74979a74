"""What the schema tells others: the meaning of each option, and a JSON schema for editors."""

import json
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from fer_lightning.config import CONF
from fer_lightning.config.verbs import verb
from fer_lightning.errors import UserError
from fer_lightning.kinds import Node, Other
from fer_lightning.launch.schema.commands import Eval
from fer_lightning.launch.schema.use import COMMANDS

POINTER = {"type": "string", "pattern": r"\$\{", "description": "the value of another option"}


def meanings(command: str) -> dict[str, str]:
    """Return the options of a command in the order of the schema, and one line on each.

    Args:
        command: Its name, such as train.

    Returns:
        ``optimizer`` -> "what changes the weights after each batch", ``optimizer.lr`` -> "learning rate" and so on. An
        option that only some choices of its group have is there too.
    """
    return dict(_meanings(COMMANDS[command], ""))


def _meanings(node: type[Node], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in node.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key, field.description or ""
        for member in _nodes(field.annotation):
            yield from _meanings(member, f"{key}.")


def _nodes(annotation: Any) -> Iterator[type[Node]]:
    """Yield the nodes that a field may be; what stands in a list or under a name of its own has no option each."""
    if isinstance(annotation, type) and issubclass(annotation, Node) and annotation is not Other:
        yield annotation
    elif get_origin(annotation) not in (list, dict):
        for part in get_args(annotation):
            yield from _nodes(part)


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
    if node is not None and not ((CONF / node).is_dir() and node in Eval.model_fields):
        groups = sorted(name for name in Eval.model_fields if (CONF / name).is_dir())
        raise UserError(f"schema {node}: there is no such group, use one of {', '.join(groups)}")
    schema = _loosened(Eval.model_json_schema(by_alias=True))
    definitions = schema.pop("$defs")
    if node is not None:
        schema = schema["properties"][node]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"conf/{node or ''}"}
    print(json.dumps({**head, **schema, "$defs": definitions}, indent=2))


def _loosened(schema: Any) -> Any:
    """Return a JSON schema of what a file may hold: a part of the keys, and values that point to other options."""
    if isinstance(schema, list):
        return [_loosened(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {key: _loosened(value) for key, value in schema.items() if key not in ("required", "default", "title")}
    if isinstance(properties := loose.get("properties"), dict):
        for name, value in properties.items():
            known = {"description": value["description"]} if "description" in value else {}
            properties[name] = {"anyOf": [value, POINTER], **known}
        properties["defaults"] = {"type": "array", "description": "files that this one is made of"}
    return loose
