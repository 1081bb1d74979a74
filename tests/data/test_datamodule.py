"""The datamodule: loaders in the order of the partition, sizes, and a protocol of one's own."""

import ast
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from fer_lightning.data.protocols import folder
from tests.conftest import ROOT, SMALL

IDLE = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.FunctionDef, ast.ClassDef)


class Reversed:
    """A protocol that is neither a function nor a functools.partial: the archive's folders change their parts."""

    def __call__(self, faces, twins):
        parts = folder(faces, twins)
        return replace(parts, protocol="reversed", train=parts.test, gallery=parts.test, test=parts.train)


@pytest.mark.parametrize("file", sorted((ROOT / "fer_lightning/data").glob("*.py")), ids=lambda file: file.stem)
def test_importing_a_module_does_nothing(file):
    """No filter, no log level, no signal: a module only imports and names things."""
    for node in ast.parse(file.read_text()).body:
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        assert isinstance(node, IDLE) or for_types or docstring, f"line {node.lineno} of {file.name}"


def test_loaders_give_the_partition_in_order(make_cfg):
    cfg = make_cfg("augmentation=none")
    datamodule = instantiate(cfg.data)
    datamodule.trainer = instantiate(cfg.trainer)
    parts = datamodule.partition
    assert parts.protocol == "honest"
    for loader, rows in zip(
        [*datamodule.val_dataloader(), datamodule.test_dataloader()],
        [parts.gallery, parts.validation, parts.test],
        strict=True,
    ):
        batches = list(loader)
        assert torch.cat([batch.rows for batch in batches]).tolist() == rows.tolist()
        assert torch.cat([batch.labels for batch in batches]).tolist() == parts.faces.labels[rows].tolist()
    first = batches[0].images[0, 0].double()
    np.testing.assert_allclose(first * 127.5 + 127.5, parts.faces.images[rows[0]], atol=1e-4)


def test_a_protocol_of_ones_own_gives_the_parts(make_cfg):
    own = ("protocol=folder", "protocol._target_=tests.data.test_datamodule.Reversed", "protocol._partial_=false")
    parts = instantiate(make_cfg(*own).data).partition
    assert (parts.protocol, len(parts.test)) == ("reversed", 150)


@pytest.mark.long
def test_a_run_at_64_pixels_under_a_protocol_of_ones_own(run_here, tmp_path):
    done = run_here(
        "train.py",
        *(*SMALL, "data.image_size=64", "embedder.image_size=64", "embedder.stages=[[[4,4,4,4,4,4]]]"),
        *("protocol=folder", "protocol._target_=tests.data.test_datamodule.Reversed", "protocol._partial_=false"),
        *("trainer.max_epochs=1", "trainer.limit_train_batches=1", "callbacks.media.maps={}"),
        *("hydra.callbacks.jobs.report=false", "hydra.run.dir=run"),
    )
    assert done.code == 0, done.text
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["protocol"] == "reversed"
    assert metrics["test_faces"] == 150  # the 75 % of 200 that other protocols train on
    assert "reversed" in done.text
    assert (tmp_path / "run/figures/confusion_matrix.png").is_file()


def test_augmented_faces_have_the_size_of_the_data(make_cfg):
    face = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    chains = [
        instantiate(make_cfg("data.image_size=64", f"augmentation={choice}").augmentation).chain
        for choice in ("paper", "figure7", "occlusion")
    ]
    chains += instantiate(make_cfg("data.image_size=64", "protocol=paper").protocol).keywords["pictures"].values()
    assert len(chains) == 8
    for chain in chains:
        assert chain(face, 0, 0).shape == (64, 64)
