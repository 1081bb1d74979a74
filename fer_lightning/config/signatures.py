"""Read the options of a class or function from its source: kinds from the signature, meanings from ``Args:``.

Of a library's class only the names of its arguments are read. Nothing is imported, so a wrong option is refused without
waiting for torch.
"""

import ast
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any, Literal, NamedTuple

KINDS = "fer_lightning.kinds"
ENTRY = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)  # of ``Args:`` or ``Attributes:``
EMPTY = ("object", "nn.Module", "torch.nn.Module")  # bases that take nothing


class Option(NamedTuple):
    """An argument that a configuration can set."""

    kind: str  # source text of its annotation
    module: str  # module that the text stands in
    meaning: str  # first sentence on it in the docstring
    required: bool  # whether it has no default


class Signature(NamedTuple):
    """Arguments that a configuration can set of a class or function."""

    options: Mapping[str, Option]
    closed: bool  # whether an argument that is not listed is refused
    summary: str = ""  # first line of the docstring


class Kind(NamedTuple):
    """Description of the values that an option takes.

    A part is a node with a ``_target_``, open if it lacks arguments; fields are a node with fixed keys.
    """

    form: Literal["value", "part", "open part", "fields", "list", "dict"]
    content: Any  # text and module of a value, for ``leaf``; the options of fields; else the kind of the items
    nullable: bool = False


@cache
def signature(target: str) -> Signature | None:
    """Return the options of a class or function of ours; None for what is not in the package."""
    module, _, name = target.rpartition(".")
    definition = _names(module).get(name)
    if not target.startswith("fer_lightning.") or not isinstance(definition, ast.ClassDef | ast.FunctionDef):
        return None
    summary = (ast.get_docstring(definition) or "").partition("\n")[0]
    function = _constructor(module, name)
    if function is None:
        return Signature({}, True, summary)
    meanings, arguments = _meanings(definition), function.args
    required = len(arguments.args) - len(arguments.defaults)  # arguments before the first that has a default
    options = {}
    for position, argument in enumerate(arguments.args):
        if argument.annotation is not None and _is_kind(module, text := ast.unparse(argument.annotation)):
            options[argument.arg] = Option(text, module, meanings.get(argument.arg, ""), position < required)
    return Signature(options, arguments.kwarg is None, summary)


@cache
def resolve(text: str, module: str) -> Kind:
    """Return the kind that an annotation describes."""
    inner, nullable = re.subn(r"\s*\|\s*None$", "", text)
    if match := re.match(r"(Open)?Part\b", inner):
        kind = Kind("open part" if match[1] else "part", None)
    elif match := re.fullmatch(r"dict\[str, (.*)\]", inner):
        kind = Kind("dict", resolve(match[1], module))
    elif match := re.fullmatch(r"list\[(.*Part.*)\]", inner):
        kind = Kind("list", resolve(match[1], module))
    elif isinstance(definition := _names(module).get(inner), ast.ClassDef):
        kind = Kind("fields", fields(module, definition))
    else:
        kind = Kind("value", (inner, module))
    return kind._replace(nullable=bool(nullable))


@cache
def takes(target: str) -> frozenset[str] | None:
    """Return the arguments of a class or function of any package; None where its source does not say them all."""
    module, definition = _find(*target.rpartition(".")[::2])
    if isinstance(definition, ast.FunctionDef):
        return None if definition.args.kwarg else _arguments(definition)
    if definition is None:
        return None
    function = _own_constructor(definition)
    listed = _arguments(function) if function else frozenset()
    if function and function.args.kwarg is None:
        return listed
    for base in map(ast.unparse, definition.bases):
        inherited = frozenset() if base in EMPTY else takes(f"{module}.{base}")
        if inherited is None:
            return None
        listed |= inherited
    return listed


@cache
def flaw(target: str) -> str | None:
    """Return why a class or function cannot be imported, as a clause; None if the source leaves a doubt."""
    module, _, name = target.rpartition(".")
    top = module.partition(".")[0]
    try:
        if find_spec(top) is None:
            return f"there is no module {top} (its folder is named by PYTHONPATH=FOLDER in front of the command)"
        path = _file(module)
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) if path else []
    except (ImportError, ValueError, OSError, SyntaxError):
        return None
    names = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    names |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name)}
    if not names or {name, "*", "__getattr__"} & names or _file(target) is not None:
        return None
    close = get_close_matches(name, names, n=1)
    return f"{module} has no {name}" + (f" (did you mean {close[0]}?)" if close else "")


def _find(module: str, name: str) -> tuple[str, ast.ClassDef | ast.FunctionDef | None]:
    """Return a class or function, and the module that it is imported from; None if it is unknown."""
    definition = _names(module).get(name)
    if isinstance(definition, ast.ClassDef | ast.FunctionDef):
        return module, definition
    if not isinstance(definition, ast.ImportFrom):
        return module, None
    path = _file(module)
    package = module if path and path.name == "__init__.py" else module.rpartition(".")[0]
    origin = resolve_name("." * definition.level + (definition.module or ""), package)
    return _find(origin, next(alias.name for alias in definition.names if name in (alias.asname, alias.name)))


@cache
def _names(module: str) -> dict[str, ast.stmt]:
    """Return name -> statement that defines or imports it, for a module of any package; nothing for no module."""
    path = _file(module)
    try:
        statements = ast.parse(path.read_text(encoding="utf-8")).body if path else []
    except (OSError, SyntaxError, UnicodeDecodeError):
        return {}
    names: dict[str, ast.stmt] = {}
    for statement in statements:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names.setdefault(name, statement)
            case ast.ImportFrom(names=aliases):
                for alias in aliases:
                    names.setdefault(alias.asname or alias.name, statement)
    return names


def _file(module: str) -> Path | None:
    """Return the source file of a module."""
    top, *parts = module.split(".")
    try:
        spec = find_spec(top)  # of a top package, which is found without an import
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not spec.submodule_search_locations:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") and not parts else None
    path = Path(next(iter(spec.submodule_search_locations)), *parts)
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in candidates if file.is_file()), None)


def _constructor(module: str, name: str) -> ast.FunctionDef | None:
    """Return the function itself, or the ``__init__`` of a class or of its first base in the same module."""
    definition = _names(module).get(name)
    if not isinstance(definition, ast.ClassDef):
        return definition if isinstance(definition, ast.FunctionDef) else None
    if function := _own_constructor(definition):
        return function
    return _constructor(module, ast.unparse(definition.bases[0])) if definition.bases else None


def _own_constructor(definition: ast.ClassDef) -> ast.FunctionDef | None:
    functions = [item for item in definition.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    return functions[-1] if functions else None  # what stands before it are overloads


def _arguments(function: ast.FunctionDef) -> frozenset[str]:
    """Return the names of the arguments, without ``self``."""
    listed = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return frozenset(argument.arg for argument in listed) - {"self"}


def _meanings(definition: ast.ClassDef | ast.FunctionDef) -> dict[str, str]:
    """Return the first sentence on each argument, as it stands beside an option: no capital, no full stop."""
    meanings = {}
    for match in ENTRY.finditer(ast.get_docstring(definition) or ""):
        sentence = re.split(r"\.(?:\s|$)", " ".join(match[2].split()))[0]
        capital = sentence[:2].istitle() or (sentence[1:2] == " " and sentence[0] == "A")
        meanings[match[1]] = sentence[0].lower() + sentence[1:] if capital else sentence
    return meanings


def _is_kind(module: str, text: str) -> bool:
    """Return whether an annotation is a kind: what the program itself passes in has another type."""
    name = re.split(r"\W", text, maxsplit=1)[0]
    definition = _names(module).get(name)
    if isinstance(definition, ast.ClassDef):
        return [ast.unparse(base) for base in definition.bases] == ["TypedDict"]
    if isinstance(definition, ast.ImportFrom) and definition.module == KINDS:
        return True
    return name in ("bool", "dict", "list", "Literal")


def fields(module: str, definition: ast.ClassDef) -> dict[str, Option]:
    """Return the options of a node that has fixed keys and makes nothing: those of a TypedDict."""
    meanings = _meanings(definition)
    return {
        line.target.id: Option(ast.unparse(line.annotation), module, meanings.get(line.target.id, ""), required=True)
        for line in definition.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }


@cache
def leaf(text: str, module: str) -> tuple[Any, Any]:
    """Return pydantic's check of a single value, and the words of its refusal.

    Args:
        text: Name of a kind, or a ``Literal``.
        module: Module that the text stands in; ``config.library`` has kinds of its own.
    """
    from pydantic import ConfigDict, TypeAdapter  # takes a third of a second

    from fer_lightning import kinds

    kind: Any
    annotation = ast.parse(text, mode="eval").body
    if isinstance(annotation, ast.Subscript):
        items = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        choices = tuple(item.value for item in items if isinstance(item, ast.Constant))
        listed = ", ".join(map(kinds.shown, choices))
        kind = Literal[choices]  # type: ignore[valid-type]
        says = kinds.Says(f"one of {listed}" if len(choices) > 1 else listed)
    else:
        kind = kinds.Switch if text == "bool" else getattr(kinds, text, None) or getattr(import_module(module), text)
        says = next(item for item in kind.__metadata__ if isinstance(item, kinds.Says))
    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False)), says
