"""What export makes of a network: an ONNX model that is compared with torch, described and made smaller."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_lightning import load_model, load_module
from fer_lightning.errors import UserError
from fer_lightning.report.stress import Outcome
from fer_lightning.runs.record import Record, read_record
from fer_lightning.use.bundles import read_checkpoint
from fer_lightning.use.exporter import Exporter, Trial, write_card


def exporter(checkpoint, drawn) -> Exporter:
    network, description = read_checkpoint(checkpoint)
    trial = Trial("synthetic faces", drawn[0][:40], drawn[1][:40], drawn[0][40:], drawn[1][40:])
    return Exporter(network, description, Record(), [], lambda: trial)


def test_onnx_is_checked_described_and_made_smaller(checkpoint, drawn, tmp_path):
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="needs the extra onnx")
    exporting = exporter(checkpoint, drawn)
    exporting.onnx(tmp_path / "model.onnx", int8=True)
    agreed, quantised = exporting.costs
    assert agreed.startswith("compared with torch on 40 synthetic faces: the same class of each, votes apart by ")
    assert quantised.startswith("int8=true: another class of ")
    assert " % of 40 synthetic faces" in quantised
    card = (tmp_path / "model.md").read_text()
    assert agreed in card
    assert "the checkpoint does not lie in the folder of a run that tested it" in card
    model = load_model(tmp_path / "model.onnx")
    assert model.description.changes == (quantised,)
    agreement = (model.answer(drawn[0]).labels == load_model(checkpoint).answer(drawn[0]).labels).mean()
    assert agreement > 0.7


def test_half_precision_is_measured_and_stored(checkpoint, drawn, tmp_path):
    exporting = exporter(checkpoint, drawn)
    exporting.bundle(tmp_path / "full")
    exporting.halve()
    exporting.bundle(tmp_path / "half")
    full, half = (tmp_path / name / "model.safetensors" for name in ("full", "half"))
    assert half.stat().st_size < 0.6 * full.stat().st_size
    model, (cost,) = load_model(tmp_path / "half"), exporting.costs
    assert cost.startswith("half=true: weights and gallery in 16 bits; accuracy ")
    assert model.description.changes == (cost,)
    assert re.fullmatch(r"accuracy \d+\.\d % of 40 test faces", model.tested)
    assert f"{model.tested.capitalize()}. `python eval.py" in (tmp_path / "half/README.md").read_text()
    assert np.allclose(model.answer(drawn[0]).embeddings, load_model(checkpoint).answer(drawn[0]).embeddings, atol=0.01)
    assert load_module(tmp_path / "half").classifier.gallery.dtype == torch.float32
    exporting.trial = replace(exporting.trial, labels=None)
    exporting.halve()
    exporting.halve()
    assert exporting.description.origin["tested"] == f"{model.tested} before its export changed it"


def test_onnx_model_that_says_something_else_is_not_written(checkpoint, drawn, tmp_path, monkeypatch):
    from fer_lightning.use import exporter as module

    class Other:
        def __init__(self, model: bytes) -> None:
            self.network = module.TorchBackend(read_checkpoint(checkpoint)[0])

        def answer(self, faces):
            answers = self.network.answer(faces)
            return answers._replace(votes=answers.votes + np.float32(2e-4))

    monkeypatch.setattr(module, "to_onnx", lambda *_: b"")
    monkeypatch.setattr(module, "OnnxBackend", Other)
    with pytest.raises(UserError, match=r"another class of 0 of 40 synthetic faces, votes apart by 2\.0e-04"):
        exporter(checkpoint, drawn).onnx(tmp_path / "model.onnx", int8=False)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_half_model(checkpoint, drawn, tmp_path, monkeypatch):
    from fer_lightning.use import exporter as module

    def write_half(path: Path, content: bytes) -> None:
        path.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "to_onnx", lambda *_: b"")
    monkeypatch.setattr(module, "OnnxBackend", lambda _: module.TorchBackend(read_checkpoint(checkpoint)[0]))
    monkeypatch.setattr(module, "describe", lambda *_: b"whole")
    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space left"):
        exporter(checkpoint, drawn).onnx(tmp_path / "model.onnx", int8=False)
    assert not list(tmp_path.iterdir())


def test_card_of_fer2013_says_what_its_terms_mean(checkpoint):
    _, description = read_checkpoint(checkpoint)
    record = read_record(checkpoint.parent.parent)
    record = replace(record, data="fer2013.csv", leaks="twins", too_good="too good", unscored=1200)
    plain = Outcome("as they are", 0, "", 0.6, 0.5, 0.7, 1.0)
    stress = [plain, *(Outcome("in_fog", n, "", 0.6 / n, 0, 1, 1 / n) for n in (1, 2))]
    card = write_card(description, record, "model.onnx", ["a cost"], stress)
    for words in (
        "| in fog | 60.0, 30.0 |",
        "On average 75.0 % of the accuracy remains.",
        "FER2013's",
        "is not settled",
        "what leaks: twins",
        "8 test faces (a part: 1,200 more were not scored)",
        "**too good**",
        "- a cost",
    ):
        assert words in card
