"""A run that goes on warns about other faces."""

from types import SimpleNamespace

import pytest
from lightning.pytorch.trainer.states import TrainerFn

from fer_lightning.callbacks.provenance import Provenance
from fer_lightning.runs.checkpoints import KEY


def goes_on(**record: str) -> None:
    datamodule = SimpleNamespace(
        faces=SimpleNamespace(fingerprint="a", source="faces"),
        partition=SimpleNamespace(fingerprint="b", corrected=None),
        cache_dir="cache",
        corrections=None,
    )
    trainer = SimpleNamespace(datamodule=datamodule, state=SimpleNamespace(fn=TrainerFn.FITTING))
    checkpoint = {KEY: {"data": "others", "data_fingerprint": "a", **record}}
    Provenance([]).on_load_checkpoint(trainer, None, checkpoint)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"data_fingerprint": "x", "partition": "x"}, "resumed on other faces (others, now faces)"),
        ({"partition": "x"}, "bring audit-*.npz from that machine's cache"),
        ({"partition": "x", "corrections": "c"}, "resumed with other corrections (data.corrections=None)"),
        ({"partition": "b"}, ""),
        ({}, ""),  # of 0.1.0
    ],
)
def test_a_run_that_goes_on_says_where_its_faces_are_others(caplog, record, words):
    goes_on(**record)
    assert len(caplog.records) == bool(words)
    assert words in caplog.text
