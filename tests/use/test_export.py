"""The command export: a bundle and an ONNX model that answer as the checkpoint, their card, and what is refused."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fer_lightning import load_model
from fer_lightning.errors import UserError
from fer_lightning.report.stress import Outcome
from fer_lightning.runs.record import Record, read_record
from fer_lightning.use.answers import Agreement, Answers, compare
from fer_lightning.use.bundles import read_checkpoint
from fer_lightning.use.card import write_card
from fer_lightning.use.exporter import Exporter, Trial


@pytest.fixture
def export(run_here, monkeypatch, checkpoint):
    """Run the command."""

    def execute(*arguments: str):
        return run_here("fer_lightning/__main__.py", "export", f"checkpoint={checkpoint}", *arguments)

    return execute


def test_command_writes_a_bundle_with_its_card(export, checkpoint, drawn, tmp_path):
    done = export("format=bundle", "output=bundle", "hydra.run.dir=log")
    assert done.code == 0, done.text
    assert done.text.endswith("written: bundle\n")
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert np.array_equal(load_model(tmp_path / "bundle").votes(drawn[0]), load_model(checkpoint).votes(drawn[0]))
    assert load_model(tmp_path / "bundle").description.gallery == tuple(f"train/{number}.png" for number in range(100))
    card = (tmp_path / "bundle/README.md").read_text()
    for words in (
        "| accuracy | 42.5 | 40.0 to 45.0 |",
        "| fear | unknown | 37.5 | unknown |",
        "protocol: honest; its score shows much",
        "what leaks: nothing that was found",
        "The faces were drawn by fer_lightning itself",
        "Article 5(1)(f) of Regulation (EU) 2024/1689",
        'load_model("bundle")',
    ):
        assert words in card, words
    done = export("format=bundle", "output=bundle", "hydra.run.dir=again")
    assert (done.code, "output=bundle exists already" in done.text) == (1, True)


def test_smaller_gallery_comes_with_its_cost(export, tmp_path):
    done = export("gallery=kmeans", "gallery.size=14", "output=small", "hydra.run.dir=log", "paths.cache_dir=cache")
    assert done.code == 0, done.text
    assert "gallery=kmeans: 14 vectors in place of 100, k=" in done.text
    cost = next(line for line in (tmp_path / "small/README.md").read_text().splitlines() if "gallery=kmeans" in line)
    assert " % of 50 test faces" in cost
    small = load_model(tmp_path / "small").description
    assert small.changes[0] in cost
    assert small.gallery == ()  # means are no faces


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["format=tflite"], "format=tflite must be one of bundle, onnx"),
        (["int8=true"], "int8=true needs format=onnx"),
        (["gallery=random"], "gallery=random does not exist: use one of full, kmeans"),
    ],
)
def test_mistake_is_one_sentence(export, arguments, words):
    done = export(*arguments, "hydra.run.dir=log")
    assert (done.code, "Traceback" in done.text) == (1, False)
    assert words in done.text.splitlines()[-1]


def test_missing_extra_is_named(export, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = export("format=onnx", "hydra.run.dir=log")
    assert (done.code, done.text.splitlines()[-1]) == (1, "error: format=onnx needs onnx: pip install -e '.[onnx]'")


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
    assert "the checkpoint did not lie in the folder of its run" in card
    model = load_model(tmp_path / "model.onnx")
    assert model.description.changes == (quantised,)
    agreement = (model.answer(drawn[0]).labels == load_model(checkpoint).answer(drawn[0]).labels).mean()
    assert agreement > 0.7


def test_tie_at_the_last_neighbour_is_told_from_a_fault():
    labels, vectors = np.zeros(2, np.int64), np.zeros((2, 3), np.float32)
    votes, others = np.float32([[1, 0], [0.5, 0.5]]), np.float32([[1, 0], [0.6, 0.4]])
    last = 0.5 + 2**-20
    near = ([[0, 1], [0, 1]], [[0.9, 0.8], [0.9, last]]), ([[0, 1], [0, 2]], [[0.9, 0.8], [0.9, 0.5]])
    far = ([[0, 1], [0, 1]], [[0.9, 0.8], [0.9, last]]), ([[0, 1], [2, 1]], [[0.9, 0.8], [0.95, last]])

    def agree(one, other):
        answers = [
            Answers(labels, shares, vectors, *map(np.array, columns), np.zeros((2, 2), np.int64))
            for shares, columns in ((votes, one), (others, other))
        ]
        backends = [SimpleNamespace(answer=lambda *_, answer=answer: answer) for answer in answers]
        return compare(*backends, np.zeros((2, 48, 48), np.uint8))

    assert agree(*near) == Agreement(2, 0, 0.0, 1)
    assert (agree(*far).tied, agree(*far).largest_difference) == (0, pytest.approx(0.1))


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
