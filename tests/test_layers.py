"""Imports point down: a room may import only from the rooms before it (docs/architecture.md)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = [
    *("errors files kinds names progress signals words", "data", "config", "models", "runs", "report", "use"),
    *("loggers plugins callbacks", "launch", "__main__"),
]
RANK = {name: rank for rank, names in enumerate(ROOMS) for name in names.split()}
FILES = sorted(path for path in (ROOT / "fer_lightning").rglob("*.py") if path != ROOT / "fer_lightning/__init__.py")


def imported(tree: ast.Module) -> set[str]:
    """Return the rooms that a module imports, in whatever form and at whatever depth it does."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    rooms = {name.split(".")[1] for name in found if name.startswith("fer_lightning.")}
    return rooms & RANK.keys()


def room(file: Path) -> str:
    return file.relative_to(ROOT / "fer_lightning").parts[0].removesuffix(".py")


def test_the_package_itself_is_below_every_room():
    """So each room may read its version."""
    tree = ast.parse((ROOT / "fer_lightning/__init__.py").read_text())
    assert not imported(ast.Module([node for node in tree.body if not isinstance(node, ast.If)], []))  # for mypy alone


def test_every_module_stands_in_a_room():
    assert {room(file) for file in FILES} <= RANK.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT / "fer_lightning").as_posix())
def test_imports_point_down(file):
    upward = {name for name in imported(ast.parse(file.read_text())) if RANK[name] > RANK[room(file)]}
    assert not upward


@pytest.mark.parametrize(
    "line",
    [
        "from fer_lightning import launch",
        "import fer_lightning.launch",
        "from fer_lightning.launch import entry",
        "from fer_lightning.launch.entry import run",
        "def f():\n    import fer_lightning.launch.entry",
    ],
)
def test_every_form_of_import_is_seen(line):
    assert imported(ast.parse(line)) == {"launch"}


def test_only_one_module_knows_albumentations():
    users = [path.name for path in FILES if "import albumentations" in path.read_text()]
    assert users == ["augmentation.py"]


@pytest.mark.long
def test_imports_change_nothing_in_the_process():
    code = """
import logging, os, signal, warnings
import torch, fer_lightning.data.datamodule, pytorch_metric_learning.losses
state = lambda: (
    warnings.filters[:], dict(os.environ), signal.getsignal(signal.SIGTERM),
    [(name, logger.level) for name, logger in logging.root.manager.loggerDict.items() if getattr(logger, "level", 0)],
)
before = state()
import fer_lightning.models.embedders, fer_lightning.models.miners, fer_lightning.models.module
import fer_lightning.models.linear_classifiers, fer_lightning.models.knn
assert state() == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
