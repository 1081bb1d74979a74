"""train.py and eval.py through their real command lines."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from fer_lightning import load_model
from fer_lightning.data.datamodule import Batch
from fer_lightning.launch.eval import compare
from fer_lightning.models.calibration import calibration_error
from fer_lightning.report.slices import read_slices
from fer_lightning.report.statistics import risk_and_coverage
from fer_lightning.runs.rebuilding import load_module
from fer_lightning.runs.record import Record, read_record
from fer_lightning.words import percent
from tests.conftest import options
from tests.processes import command, start

FACES = "data.drawn.count=1400"
LEARNING = options(
    *("small", "tiny", FACES, "trainer.max_epochs=6", "trainer.check_val_every_n_epoch=3"),
    *("embedder.dropout=0", "optimizer.lr=1e-3", "callbacks.media.map_faces=60"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a short run on the synthetic faces."""
    output = tmp_path_factory.mktemp("run") / "output.txt"
    process = start(command, output, *LEARNING, "hydra.run.dir=run")
    process.join()
    said = output.read_text()
    assert process.exitcode == 0, said
    assert "synthetic faces" in said
    assert "results:" in said
    return output.parent / "run"


def test_a_run_leaves_everything(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["status"] == "completed"
    assert metrics["data"] == "synthetic faces"
    assert metrics["protocol"] == "honest"
    assert metrics["elapsed_seconds"] > 0
    with (trained / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == metrics["test_faces"]
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert right == pytest.approx(metrics["test/accuracy"])
    slices = read_slices(trained)
    assert sum(entry.faces for entry in slices if entry.column == "brightness (mean grey)") == len(rows)
    assert '<h2 id="slices">' in (trained / "report.html").read_text()
    for name in (
        "config.yaml",
        "metrics.csv",
        "figures/confusion_matrix.png",
        "report.html",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    ):
        assert (trained / name).stat().st_size > 0
    with (trained / "metrics.csv").open() as file:
        columns = set(csv.DictReader(file).fieldnames)
    assert {"train/loss", "train/spread", "val/accuracy_quick", "val/accuracy"} <= columns
    assert not any("triplets" in name or "distance" in name for name in columns)  # the loss takes pairs


def test_run_says_how_sure_it_is(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    with (trained / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    right = np.array([row["label"] == row["prediction"] for row in rows])
    answered = np.array([row["abstained"] == "0" for row in rows])
    votes, raw = (np.array([float(row[name]) for row in rows]) for name in ("vote", "raw_vote"))
    assert answered.mean() == pytest.approx(metrics["test/answered"])
    assert right[answered].mean() == pytest.approx(metrics.get("test/accuracy_answered", np.nan), nan_ok=True)
    assert calibration_error(votes, right) == pytest.approx(metrics["test/calibration_error"], abs=1e-3)
    assert calibration_error(raw, right) == pytest.approx(metrics["test/calibration_error_raw"], abs=1e-3)
    assert risk_and_coverage(votes, right)[1].mean() == pytest.approx(metrics["test/aurc"], abs=1e-3)
    assert metrics["test/aurc"] < 1 - metrics["test/accuracy"]  # better than in random order
    saved = load_model(trained / "checkpoints" / "best.ckpt").calibration
    assert saved.temperature == metrics["val/temperature"]
    assert saved.confidence == metrics.get("val/confidence_threshold")
    assert saved.accuracy == 0.9
    for name in ("risk_coverage", "reliability"):
        assert (trained / f"figures/{name}.png").stat().st_size > 0


def test_six_epochs_beat_chance(trained):
    # The most frequent class is 19 % of the synthetic faces, one in seven 14 %.
    assert json.loads((trained / "metrics.json").read_text())["test/accuracy"] > 0.35


def test_eval_repeats_the_metrics_to_the_last_digit(trained, tmp_path, run_here):
    checkpoint = trained / "checkpoints" / "best.ckpt"
    torch.load(checkpoint, weights_only=True)
    quick = ("hydra.callbacks.jobs.report=false", "hydra.run.dir=again")
    done = run_here("eval.py", *options("small", FACES), f"checkpoint={checkpoint}", *quick)
    assert done.code == 0, done.text
    assert "all 40 figures are those of the run itself, to the last digit" in done.text
    assert not list((tmp_path / "again/figures").glob("embeddings_*"))  # maps come only on request
    first, again = (json.loads((folder / "metrics.json").read_text()) for folder in (trained, tmp_path / "again"))
    names = [name for name in first if name.startswith("test/")]
    assert len(names) == 5 + 3 * 7 + 9 + 5  # means, per class, uncertainty, how sure
    names.append("train/accuracy")
    assert {name: first[name] for name in names} == {name: again[name] for name in names}
    assert (trained / "predictions.csv").read_text() == (tmp_path / "again" / "predictions.csv").read_text()


def test_figures_that_differ_are_named_with_what_else_does(trained):
    run = read_record(trained)
    ours = replace(run, figures={**run.figures, "test/macro_f1": 0.0}, data_fingerprint="others")
    shown = percent(run.figures["test/accuracy"], 2)
    assert compare(ours, run) == (
        f"1 of 40 figures are not those of the run itself (its test/accuracy: {shown}); not the same: faces"
    )
    assert compare(ours, Record()) == "the run of this checkpoint has noted no test to compare with"


def test_load_module_says_what_the_test_said(trained, make_cfg, monkeypatch):
    monkeypatch.chdir(trained.parent)
    datamodule = instantiate(make_cfg(*LEARNING).data)
    datamodule.setup("test")
    rows = datamodule.partition.test
    images = torch.from_numpy(datamodule.partition.faces.images[rows]).unsqueeze(1).float() / 127.5 - 1
    model = load_module(trained / "checkpoints" / "best.ckpt")
    with torch.no_grad():
        said = model.predict_step(Batch(images, torch.zeros(len(rows)), torch.from_numpy(rows)), 0)
    with (trained / "predictions.csv").open() as file:
        noted = list(csv.DictReader(file))
    assert said.embeddings.shape == (len(rows), 128)
    assert said.votes.amax(dim=1).numpy() == pytest.approx([float(row["vote"]) for row in noted], abs=1e-4)
    names = [datamodule.partition.faces.names[row] for row in rows]
    assert names == [row["file"] for row in noted]
    gallery = datamodule.partition.faces.names[datamodule.partition.gallery]
    assert load_model(trained / "checkpoints" / "best.ckpt").description.gallery == tuple(gallery)


def test_overfitting_works_with_every_embedder(make_cfg):
    """Its options are those of both networks."""
    for embedder in ("facenet", "timm"):
        model = instantiate(make_cfg("debug=overfit", f"embedder={embedder}").model)
        assert model.hparams["embedder"]["dropout"] == 0.0
