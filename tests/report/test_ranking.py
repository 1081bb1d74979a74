"""The order of runs and experiments, their names, and the effect of an option."""

import json

import pytest

from fer_lightning.report.figures import plots
from fer_lightning.report.ranking import option_scores, rank_runs
from fer_lightning.report.verdict import verdict
from fer_lightning.runs.record import read_runs
from tests.report.conftest import FACES, ranked


def test_option_scores_of_honest_runs_and_shared_options(make, tmp_path):
    make("a", ["optimizer=adam", "seed=0", "+extra=1"], val=0.5)
    make("b", ["optimizer=sgd", "seed=0"], val=0.3)
    make("c", ["optimizer=adam", "seed=0"], val=0.4)
    make("leaky", ["optimizer=sgd", "seed=0", "protocol=paper"], val=0.99, leaks="siblings")
    make("failed", ["optimizer=rmsprop", "seed=0"], status="failed")
    runs = read_runs(tmp_path)
    assert option_scores(runs, "val/accuracy") == {"optimizer": {"adam": [0.5, 0.4], "sgd": [0.3]}}
    leaky = [run for run in runs if run.name == "leaky"]
    assert option_scores([*leaky, runs[-1]], "val/accuracy") == {}
    assert [plot.name for plot in plots(rank_runs(runs))] == [
        "scores",
        "options",
        "confusion_matrices",
        "per_class",
        "risk_coverage",
    ]
    assert [plot.name for plot in plots(rank_runs(leaky))] == ["confusion_matrix", "per_class", "risk_coverage"]


def test_evaluation_on_another_data_set_is_named_and_never_the_best(make, tmp_path):
    make("run", ["seed=0"], right=0.5 * FACES, val=0.5, data="a.zip")
    make("eval", ["checkpoint=run", "data.root=b.zip"], right=0.9 * FACES, val=0.9, data="b.zip", trained_on="a.zip")
    path = tmp_path / "eval" / "metrics.json"
    content = json.loads(path.read_text())
    del content["val/accuracy"]
    path.write_text(json.dumps(content))
    board = ranked(tmp_path)
    assert [entry.label for entry in board.entries] == ["seed=0", "checkpoint=run data.root=b.zip, tested on b.zip"]
    assert verdict(board)[0].answer == "seed=0"


def test_seeds_and_folds_are_summarised(make, tmp_path):
    for seed, accuracy in enumerate((0.3, 0.4, 0.5)):
        make(f"adam{seed}", ["optimizer=adam", f"seed={seed}"], right=accuracy * FACES, val=accuracy)
    for fold, accuracy in enumerate((0.9, 0.8)):
        overrides = ["optimizer=sgd", f"protocol.fold={fold}"]
        make(f"sgd{fold}", overrides, right=accuracy * FACES, val=accuracy, leaks="a sibling")
    make("rmsprop", ["optimizer=rmsprop", "seed=0"], right=0.2 * FACES, val=0.2, leaks=None)
    make("failed", ["optimizer=adam", "seed=3"], right=0, val=0.0, status="failed")
    adam, sgd, *singles = ranked(tmp_path).entries  # honest before leaky, however high
    assert len(singles) == 7
    assert (len(adam.runs), adam.figures["test/accuracy"]) == (3, pytest.approx(0.4))
    assert adam.deviation("test/accuracy") == pytest.approx(0.1)
    assert (sgd.leaky, sgd.record.leaks) == (True, "a sibling")
    marks = {entry.runs[0].name: entry.marks for entry in (adam, sgd, *singles)}
    assert (marks["adam0"], marks["sgd0"], marks["rmsprop"]) == ([], ["leaky"], ["leaks unknown"])
    assert (sgd.values["test/accuracy"], sgd.deviation("test/accuracy")) == (pytest.approx([0.8, 0.9]), None)


def test_one_run_counts_for_each_seed(make, tmp_path):
    faces = "data.root=my faces.zip"  # one option, though it holds a blank
    for name, seed in {"default": [], "typed": ["seed=0"], "resumed": ["seed=1", "resume_from=typed"]}.items():
        make(name, [faces, *seed], right=0.5 * FACES, val=0.5, settings={"seed": int(name == "resumed")})
    make("other", ["data.root=other faces.zip"], right=0.4 * FACES, val=0.4, settings={"seed": 0})
    mean, *singles = ranked(tmp_path).entries
    assert (mean.label, len(singles)) == (f"mean of 2: {faces}", 4)
    assert [run.name for run in mean.runs] == ["default", "resumed"]


def test_options_of_a_run_without_a_file_of_them_are_in_its_record(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps({"overrides": "seed=1 'data.root=my faces.zip'"}))
    (run,) = read_runs(tmp_path)
    assert run.overrides == ["seed=1", "data.root=my faces.zip"]
