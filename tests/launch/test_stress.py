"""The command stress: its files, the report of the run, and one sentence for each mistake."""

import csv
import json
import shutil
from dataclasses import replace
from functools import partial

import pytest

from fer_lightning.files import write_csv
from fer_lightning.report.stress import mean_remains, read_stress
from fer_lightning.runs.record import read_record, write_record

OWN = "checkpoint=run/checkpoints/best.ckpt"


@pytest.fixture
def stress(run_here, checkpoint, tmp_path):
    """Run the command on a copy of the run."""
    run = tmp_path / "run"
    shutil.copytree(checkpoint.parents[1], run)
    write_csv(run / "predictions.csv", ["label", "prediction", "vote", "twins"], [["sad", "sad", 1, 0]])
    write_record(run, replace(read_record(run), data="drawn faces", leaks="", test_faces=1))

    return partial(run_here, "fer_lightning/__main__.py", "stress", "paths.cache_dir=cache")


def test_command_writes_its_files_and_the_report_of_the_run(stress, checkpoint, drawn, tmp_path):
    done = stress(OWN, "limit=20", "hydra.run.dir=out")
    assert done.code == 0, done.text
    assert "20 test faces as they are: " in done.text
    weights = read_record(tmp_path / "run").weights
    outcomes = read_stress(tmp_path / "run", weights)
    assert len(outcomes) == 37
    assert outcomes == read_stress(tmp_path / "out", weights)
    assert read_stress(tmp_path / "run", "another network") == read_stress(tmp_path / "run", None) == []
    head = json.loads((tmp_path / "out/stress.json").read_text())
    assert (head["faces"], head["seed"], head["data"]) == (20, 0, "synthetic faces")
    with (tmp_path / "out/stress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (rows[1]["change"], rows[1]["strength"], rows[1]["setting"]) == ("darker", "1", "multiplier 0.5")
    for outcome, row in zip(outcomes, rows, strict=True):
        assert float(row["accuracy"]) == pytest.approx(outcome.accuracy, abs=1e-6)
        assert outcome.remains == outcome.accuracy / outcomes[0].accuracy
    page = (tmp_path / "run/report.html").read_text()
    assert page.count("mouth covered: top 0.68, bottom 0.9") == 1
    assert f"On average {100 * mean_remains(outcomes):.1f} % of the accuracy remains" in page
    assert (tmp_path / "run/figures/stress.svg").is_file()


def test_another_network_in_the_folder_of_a_run_leaves_its_report_alone(stress, tmp_path):
    record = read_record(tmp_path / "run")
    write_record(tmp_path / "run", replace(record, weights="those of another checkpoint"))
    done = stress(OWN, "limit=10", "hydra.run.dir=out")
    assert done.code == 0, done.text
    assert "best.ckpt lies in no run that tested it, so no report shows this stress test" in done.text
    assert not [*(tmp_path / "run").glob("*stress*"), *(tmp_path / "run").glob("report.html")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["checkpoint=gone"], "checkpoint=gone does not exist"),
        ([OWN, "stress.changes.blur.strengths=[]"], "stress.changes.blur.strengths=[] must be a list of settings"),
        (
            [OWN, "stress.changes.blur.strengths=[{radius:1}]"],
            "stress.changes.blur cannot have the strength radius 1: ",
        ),
    ],
)
def test_mistake_is_one_sentence(stress, arguments, words):
    done = stress(*arguments, "hydra.run.dir=out")
    assert (done.code, "Traceback" in done.text) == (1, False)
    assert words in done.text.splitlines()[-1]
