"""The command eval repeats what the training measured."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fer_lightning.launch.eval import compare
from fer_lightning.runs.checkpoints import fingerprint
from fer_lightning.runs.record import Record, read_record, read_tested, run_of, write_record
from fer_lightning.use.bundles import read_checkpoint, write_bundle
from tests.conftest import make_tree, options


@pytest.mark.parametrize(
    ("head", "shown"),
    [("prototype", "plain"), pytest.param("linear", "callbacks.media.maps={}", marks=pytest.mark.long)],
)
def test_another_head_trains_and_is_scored_again(head, shown, tmp_path, run_here):
    brief = options("small", "tiny", "brief", "hydra.callbacks.jobs.report=false", f"classifier={head}", shown)
    done = run_here("train.py", *brief, "trainer.precision=bf16-mixed", "hydra.run.dir=run")
    assert done.code == 0, done.text
    best = tmp_path / "run/checkpoints/best.ckpt"
    done = run_here("eval.py", *options("small", "plain"), f"checkpoint={best}", "hydra.run.dir=again")
    assert done.code == 0, done.text
    assert "figures are those of the run itself, to the last digit" in done.text
    write_bundle(tmp_path / "bundle", *read_checkpoint(best), card="")
    done = run_here("eval.py", *options("small", "plain"), "checkpoint=bundle", "hydra.run.dir=third")
    assert done.code == 0, done.text
    done = run_here("eval.py", *options("small", "plain"), "checkpoint=run", "protocol=kfold", "hydra.run.dir=other")
    assert done.code == 0, done.text
    assert "% of the test faces are themselves in training" in read_record(tmp_path / "other").leaks
    first, again, third = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("run", "again", "third")
    )
    assert "precision: bf16-mixed" in (tmp_path / "again/config.yaml").read_text()  # a network's own, as it was trained
    names = [name for name in first if name.startswith("test/")] + ["train/accuracy"]
    for other in (again, third):
        assert {name: first[name] for name in names} == {name: other[name] for name in names}
    weights = fingerprint(torch.load(best, weights_only=True)["state_dict"])
    assert {weights} == {record["weights"] for record in (first, again, third)}
    if shown != "plain":
        mistakes = json.loads((tmp_path / "run/mistakes.json").read_text())["mistakes"]
        assert mistakes
        assert not any(mistake["neighbours"] for mistake in mistakes)  # of a head that knows none


@pytest.mark.long
def test_another_data_set_is_scored_as_such(tmp_path, run_here):
    for name in ("mine", "theirs"):
        make_tree(tmp_path / name)
    for folder in (tmp_path / "theirs").iterdir():
        (folder / "disgust").rename(folder / "contempt")
    joined = "negative:[angry,fear,sad]"
    brief = options("small", "tiny", "brief", "plain", "data.batch_size=30", "sampler.classes_per_batch=5")
    done = run_here("train.py", *brief, "data.root=mine", f"data.map={{{joined}}}", "hydra.run.dir=run")
    assert done.code == 0, done.text
    again = ("eval.py", *options("small", "plain"), "checkpoint=run", "data.root=theirs")
    assert run_here(*again).text.splitlines()[-1].endswith(f"such as 'data.map={{{joined},contempt:null}}'")
    done = run_here(*again, f"data.map={{{joined},contempt:null}}", "hydra.run.dir=again")
    assert done.code == 0, done.text
    assert "the faces have no disgust: means are over the other classes" in done.text
    assert (
        "no figures of the run: the network was trained on mine, and this is a test on another data set, theirs; no "
        "twin of a training face was found among its 36 test faces"
    ) in done.text
    record = read_record(tmp_path / "again")
    assert (record.data, record.trained_on, record.leaks, record.train_faces) == ("theirs", "mine", "", 36)
    assert record.classes == ["disgust", "happy", "neutral", "surprise", "negative"]
    recalls = [record.figures[f"test/recall_{name}"] for name in record.classes[1:]]
    assert record.figures["test/balanced_accuracy"] == pytest.approx(sum(recalls) / 4)
    assert not {"test/recall_disgust", "val/accuracy"} & record.figures.keys()
    (tmp_path / "mine").rename(tmp_path / "elsewhere")
    done = run_here(*again, f"data.map={{{joined},contempt:null}}", "hydra.run.dir=third")
    assert "whether it shares faces with the training is unknown" in done.text
    assert read_record(tmp_path / "third").leaks is None


@pytest.mark.long
def test_what_an_earlier_training_learnt_stays_known(tmp_path, run_here):
    make_tree(tmp_path / "mine")
    make_tree(tmp_path / "theirs", faces=5)
    brief = options("small", "tiny", "brief", "plain", "data.root=mine", "protocol=folder")
    assert run_here("train.py", *brief, "hydra.run.dir=first").code == 0
    brief = options(*brief, "protocol=kfold")
    done = run_here("train.py", *brief, "init_from=first", "hydra.run.dir=second")
    assert done.code == 0, done.text
    record = read_record(tmp_path / "second")
    assert record.leaks.startswith("an earlier training (init_from) learnt 50.0 % of the test faces")
    done = run_here("eval.py", *options("small", "plain"), "checkpoint=second", "hydra.run.dir=again")
    assert "figures are those of the run itself, to the last digit" in done.text
    assert read_record(tmp_path / "again").leaks == record.leaks
    (tmp_path / "mine").rename(tmp_path / "elsewhere")
    brief = options(*brief, "data.root=theirs", "protocol=honest")
    done = run_here("train.py", *brief, "init_from=second", "hydra.run.dir=third")
    assert done.code == 0, done.text
    record = read_record(tmp_path / "third")
    assert record.leaks is None
    names = [f"init_from={run}/checkpoints/best.ckpt" for run in ("second", "first")]
    assert record.proves.endswith(f", unless {', '.join(names)} has seen them, which is unknown")


def test_figures_are_compared_with_those_of_the_same_network(tmp_path):
    record = Record(figures={"test/accuracy": 0.5}, weights="a", elapsed_seconds=9.0)
    assert compare(record, record) == "all 1 figures are those of the run itself, to the last digit"
    other = replace(record, figures={"test/accuracy": 0.25})
    assert "its test/accuracy: 25.00 %); the run tested another" in compare(record, other)
    assert compare(record, replace(record, weights="b")).startswith(
        "the run in this checkpoint's folder tested another"
    )
    elsewhere = replace(other, data="b.zip", trained_on="a.zip", test_faces=9)
    assert compare(elsewhere, record) == (
        "no figures of the run: the network was trained on a.zip, and this is a test on another data set, b.zip; "
        "whether it shares faces with the training is unknown, since the training faces are not at hand"
    )
    assert compare(replace(elsewhere, leaks=""), record).endswith(
        "; no twin of a training face was found among its 9 test faces"
    )
    assert compare(replace(elsewhere, leaks="2.0 % leak"), record).endswith("b.zip; 2.0 % leak")
    write_record(tmp_path, record)
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    assert read_tested(checkpoint, "a") == record
    assert read_tested(checkpoint, "b") == Record()


def test_checkpoint_in_the_root_folder_lies_in_no_run():
    assert run_of("/best.ckpt") == Path("/")
    assert read_tested("/best.ckpt", "a") == Record()
