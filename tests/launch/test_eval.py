"""The command eval repeats what the training measured."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fer_lightning.launch.eval import compare
from fer_lightning.runs.checkpoints import fingerprint
from fer_lightning.runs.record import Record, read_tested, run_of, write_record
from tests.conftest import options


@pytest.mark.parametrize(("head", "shown"), [("prototype", "plain"), ("linear", "callbacks.media.maps={}")])
def test_another_head_trains_and_is_scored_again(head, shown, tmp_path, run_here):
    brief = options("small", "tiny", "brief", "hydra.callbacks.jobs.report=false", f"classifier={head}", shown)
    done = run_here("train.py", *brief, "hydra.run.dir=run")
    assert done.code == 0, done.text
    best = tmp_path / "run/checkpoints/best.ckpt"
    done = run_here("eval.py", *options("small", "plain"), f"checkpoint={best}", "hydra.run.dir=again")
    assert done.code == 0, done.text
    first, again = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("run", "again"))
    names = [name for name in first if name.startswith("test/")] + ["train/accuracy"]
    assert {name: first[name] for name in names} == {name: again[name] for name in names}
    assert f"all {len(names) - 1} figures are those of the run itself" in done.text
    assert first["weights"] == again["weights"] == fingerprint(torch.load(best, weights_only=True)["state_dict"])
    if shown != "plain":
        mistakes = json.loads((tmp_path / "run/mistakes.json").read_text())["mistakes"]
        assert mistakes
        assert not any(mistake["neighbours"] for mistake in mistakes)  # of a head that knows none


def test_figures_are_compared_with_those_of_the_same_network(tmp_path):
    record = Record(figures={"test/accuracy": 0.5}, weights="a", elapsed_seconds=9.0)
    assert compare(record, record) == "all 1 figures are those of the run itself, to the last digit"
    other = replace(record, figures={"test/accuracy": 0.25})
    assert "its test/accuracy: 25.00 %); the run tested another" in compare(record, replace(other, weights=None))  # old
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
