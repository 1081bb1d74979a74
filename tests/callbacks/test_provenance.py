"""A run that goes on warns about other faces."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from fer_lightning.callbacks import provenance
from fer_lightning.callbacks.provenance import Provenance, changes, digests
from fer_lightning.runs.checkpoints import KEY


def goes_on(**record: str) -> None:
    datamodule = SimpleNamespace(
        faces=SimpleNamespace(fingerprint="a", source="faces"),
        partition=SimpleNamespace(fingerprint="b", corrected=None),
        cache_dir="cache",
        corrections=None,
    )
    trainer = SimpleNamespace(datamodule=datamodule, state=SimpleNamespace(fn=TrainerFn.FITTING))
    earlier = {"data": "others", "data_fingerprint": "a", "faces": torch.zeros(1), "gallery": "", "partition": "b"}
    checkpoint = {KEY: {**earlier, **record}}
    Provenance([]).on_load_checkpoint(trainer, None, checkpoint)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"data_fingerprint": "x", "partition": "x"}, "resumed on other faces (others, now faces): some are new; so"),
        ({"partition": "x"}, "bring twins-*.npz from that machine's cache"),
        ({"partition": "x", "corrections": "c"}, "resumed with other corrections (data.corrections=None)"),
        ({}, ""),
    ],
)
def test_a_run_that_goes_on_says_where_its_faces_are_others(caplog, monkeypatch, record, words):
    monkeypatch.setattr(provenance, "changes", lambda *_: "some are new")
    goes_on(**record)
    assert len(caplog.records) == bool(words)
    assert words in caplog.text


def test_the_faces_that_differ_are_counted_and_named(faces):
    earlier, names = digests(faces), [str(name) for name in faces.names[:70]]
    assert changes(earlier, names, faces.subset(np.arange(140)[::-1])) == "in another order"
    rows = [*range(2, 60), *range(62, 139)]  # four training faces and a test face are gone
    images, labels, now = faces.images.copy(), faces.labels.copy(), faces.names.astype("U20")
    images[2], labels[3], now[4] = 0, (labels[3] + 1) % 7, "train/new.png"
    changed = replace(faces, images=images, labels=labels, names=now).subset(np.array(rows))
    assert changes(earlier, names, changed) == (
        "2 changed (train/2.png; train/3.png), 1 new (train/new.png), "
        "6 missing (train/0.png; train/1.png; train/4.png; 3 more)"
    )
