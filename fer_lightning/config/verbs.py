"""The verbs of the command line and how each is started. They are read from source, so nothing else is imported."""

import ast
import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from fer_lightning.config import CONF, PACKAGE

Function = TypeVar("Function", bound=Callable[..., Any])

AT_WORK = "FER_LIGHTNING_VERB"  # environment variable: the verb that runs; processes that Lightning starts inherit it
TRACEBACK = "FER_LIGHTNING_TRACEBACK"  # environment variable: "1" shows an error's traceback, not a sentence
DEFINITION = re.compile(r"^@verb\(.*?^def \w+\(.*?\) -> .*?:$", re.MULTILINE | re.DOTALL)


class Verb(NamedTuple):
    """One thing that the command line does. Without arguments it has a file in ``conf/`` and takes Hydra's options."""

    module: str
    function: str
    help: str  # one line for ``--help``
    arguments: Mapping[str, Mapping[str, Any]]  # name -> options of ``add_argument``


def verb(name: str, help: str, arguments: Mapping[str, Any] | None = None) -> Callable[[Function], Function]:
    """Make a function a verb of the command line. ``verbs`` reads this line, so write plain values.

    Args:
        name: What is typed after ``fer-lightning``; of a verb of Hydra's also its file in ``conf/``.
        help: One line for ``--help``.
        arguments: Name of each argument -> options of ``add_argument``, for a verb without a file in ``conf/``. The
            type comes from the annotation: a path or a text.
    """
    return lambda function: function


@cache
def verbs() -> dict[str, Verb]:
    """Return all verbs by name, in the order of the alphabet."""
    table = {}
    for path in PACKAGE.rglob("*.py"):
        for match in DEFINITION.finditer(path.read_text(encoding="utf-8")):
            function = cast(ast.FunctionDef, ast.parse(f"{match[0]} pass").body[0])
            decorator = cast(ast.Call, function.decorator_list[0])
            name, line, *rest = map(ast.literal_eval, decorator.args)
            module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            arguments = {key: {"type": _type(function, key), **options} for key, options in dict(*rest).items()}
            table[name] = Verb(module, function.name, line, arguments)
    return dict(sorted(table.items()))


def program(name: str) -> str:
    """Return how a verb is started: by its script where there is one in the checkout, else by ``python -m``."""
    script = f"{name}.py"
    return f"python {script}" if (CONF.parent / script).is_file() else f"python -m fer_lightning {name}"


def may_sweep(name: str) -> bool:
    """Return whether a verb of Hydra's may have several jobs: those of ``conf/hydra/verb.yaml`` have one folder."""
    return "hydra: verb" not in (CONF / f"{name}.yaml").read_text(encoding="utf-8")


def program_at_work() -> str:
    """Return how the verb that runs was started."""
    name = os.environ.get(AT_WORK, "train")
    if Path(sys.argv[0]).name in ("__main__.py", "fer-lightning"):
        return f"python -m fer_lightning {name}"
    return program(name)


def _type(function: ast.FunctionDef, argument: str) -> type:
    annotations = {arg.arg: ast.unparse(cast(ast.expr, arg.annotation)) for arg in function.args.args}
    return Path if "Path" in annotations[argument.lstrip("-")] else str
