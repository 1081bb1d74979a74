"""Read which arguments a library's class takes, from its source: nothing is imported."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

EMPTY = ("object", "nn.Module", "torch.nn.Module")  # bases that take nothing


@cache
def takes(target: str) -> frozenset[str] | None:
    """Return the arguments of a class or function; None where its source does not say them all.

    Args:
        target: Its full name, such as ``torch.optim.Adam``.
    """
    module, _, name = target.rpartition(".")
    return _arguments(module, name) if module else None


def _arguments(module: str, name: str) -> frozenset[str] | None:
    path = _file(module)
    if path is None:
        return None
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for statement in _statements(path):
        match statement:
            case ast.ClassDef(name=defined) if defined == name:
                return _constructor(statement, module)
            case ast.FunctionDef(name=defined) if defined == name:
                return _listed(statement)
            case ast.ImportFrom(module=source, names=aliases, level=level):
                around = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                origin = ".".join([*around, *([source] if source else [])])
                for alias in aliases:
                    if name == (alias.asname or alias.name):
                        return _arguments(origin, alias.name)
    return None


def _constructor(definition: ast.ClassDef, module: str) -> frozenset[str] | None:
    """Return the arguments of a class: of its ``__init__``, and of its bases where that hands on what it lacks."""
    functions = [item for item in definition.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    listed = frozenset(argument.arg for function in functions for argument in _all(function)[1:])
    if functions and functions[-1].args.kwarg is None:
        return listed
    for base in map(ast.unparse, definition.bases):
        inherited = frozenset() if base in EMPTY else _arguments(module, base)
        if inherited is None:
            return None
        listed |= inherited
    return listed


def _listed(function: ast.FunctionDef) -> frozenset[str] | None:
    return None if function.args.kwarg else frozenset(argument.arg for argument in _all(function))


def _all(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


@cache
def _statements(path: Path) -> list[ast.stmt]:
    try:
        return ast.parse(path.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, UnicodeDecodeError):
        return []


def _file(module: str) -> Path | None:
    """Return the source file of a module."""
    top, *parts = module.split(".")
    try:
        spec = find_spec(top)  # of a top package, which is found without an import
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations)), *parts)
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in candidates if file.is_file()), None)
