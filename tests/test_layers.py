"""Imports point down: a module may import only what stands before it here."""

import ast

from conftest import ROOT

LAYERS = [
    "errors files statistics progress processes",
    "data.faces",
    "data.twins data.augmentation data.sampler data.demo data.cache",
    "data.readers data.protocols data.audit",
    "data.datamodule knn embedders batchnorm telemetry resolvers figures pages runs wandb_logger overrides environment",
    "loggers weights slurm",
    "diagnosis",
    "module callbacks checkpoints results media doctor compare watch guard",
    "resume",
    "checks folders sweep search",
    "resumption",
    "audit paper_tables leaderboard",
    "report",
    "dashboard",
    "jobs",
]
RANK = {f"fer_lightning.{name}": rank for rank, names in enumerate(LAYERS) for name in names.split()}


def test_imports_point_down():
    files = [p for p in (ROOT / "fer_lightning").rglob("*.py") if p.name != "__init__.py"]
    assert len(files) == len(RANK)
    for file in files:
        own = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in RANK:
                assert RANK[node.module] < RANK[own], f"{own} imports {node.module}"


def test_only_one_module_knows_albumentations():
    users = [p.name for p in (ROOT / "fer_lightning").rglob("*.py") if "import albumentations" in p.read_text()]
    assert users == ["augmentation.py"]
