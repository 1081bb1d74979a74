"""Which run is best, by how much, and whether it means anything: on runs made up to have an answer."""

import csv
import json

import numpy as np
import pytest
from rich.console import Console

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.board import board, option_scores
from fer_lightning.report.leaderboard import behind, contenders, leaderboard, leading, order, verdict
from fer_lightning.report.page import command, write_report
from fer_lightning.report.plots import plots
from fer_lightning.report.statistics import paired
from fer_lightning.report.table import show_table, tabulate
from fer_lightning.runs.record import read_runs

FACES = 700


@pytest.fixture
def make(tmp_path):
    """Make the folder of a run that has so many of 700 faces right; an even share of each class."""

    def make(name, overrides, right=0, val=None, **metrics):
        folder = tmp_path / name
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra/overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides))
        noted = {"status": "completed", "overrides": " ".join(overrides), "objective": "val/accuracy", **metrics}
        if val is not None:
            noted |= {"val/accuracy": val, "test/accuracy": right / FACES, "test_faces": FACES, "proves": "little"}
            noted |= {"test/accuracy_low": right / FACES - 0.03, "test/accuracy_high": right / FACES + 0.03}
            with (folder / "predictions.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["file", "label", "prediction", "vote", "twins", "twin_in_training"])
                for face in range(FACES):
                    label, guess = CLASSES[face % 7], CLASSES[(face + (face >= right)) % 7]
                    writer.writerow([f"{face}.png", label, guess, 1, face, 0])
        (folder / "metrics.json").write_text(json.dumps(noted))

    return make


def entries(tmp_path):
    return contenders(order(read_runs(tmp_path), "val/accuracy"), "val/accuracy")


def test_paired_t_test_by_hand():
    result = paired(np.array([0.01, 0.02, 0.03]))
    assert result["difference"] == pytest.approx(0.02)
    assert result["low"] == pytest.approx(0.02 - 4.30265 * 0.01 / 3**0.5, abs=1e-6)
    assert result["p"] == pytest.approx(0.0742, abs=1e-4)
    assert paired(np.array([0.1, 0.1]))["p"] == 0


def test_two_runs_on_the_same_faces(make, tmp_path):
    make("a", ["optimizer=adam", "logger=csv"], right=400, val=0.6)
    make("b", ["optimizer=sgd", "logger=csv"], right=300, val=0.5)
    best, score, ahead, meaning = verdict(entries(tmp_path), "val/accuracy")
    assert (best.answer, score.answer) == ("optimizer=adam", "57.1 %")
    assert score.note == "95 % interval 54.1 to 60.1; always angry scores 14.3 %"
    assert (ahead.title, ahead.answer) == ("Ahead of the next, on the test faces", "14.3 points")
    assert "optimizer=sgd; 95 % interval of the difference +11." in ahead.note
    assert (meaning.title, meaning.answer) == ("Is the best really better?", "Yes")
    assert behind(entries(tmp_path), "val/accuracy")[1][0] == "-14.3"


def test_best_on_the_validation_faces_may_be_behind_on_the_test_faces(make, tmp_path):
    make("a", ["optimizer=adam"], right=300, val=0.6)
    make("b", ["optimizer=sgd"], right=400, val=0.5)
    _, _, margin, meaning = verdict(entries(tmp_path), "val/accuracy")
    assert (margin.title, margin.answer) == ("Behind the next, on the test faces", "14.3 points")
    assert margin.note.endswith("; the validation faces chose, the test faces only report")
    assert meaning.answer == "No"
    assert meaning.note.startswith("these faces put the next ahead (McNemar")


def test_difference_that_means_nothing(make, tmp_path):
    make("a", ["optimizer=adam"], right=303, val=0.6)
    make("b", ["optimizer=sgd"], right=300, val=0.5)
    assert verdict(entries(tmp_path), "val/accuracy")[3].answer == "No"
    assert behind(entries(tmp_path), "val/accuracy")[1][0] == "≈ -0.4"


def test_best_of_runs_that_learned_nothing(make, tmp_path):
    make("a", ["optimizer=adam"], right=110, val=0.2)
    make("b", ["optimizer=sgd"], right=50, val=0.1)  # far enough apart for the test
    _, score, _, meaning = verdict(entries(tmp_path), "val/accuracy")
    assert "not above it, always angry scores 14.3 %" in score.note
    assert meaning.answer == "Too early to say"
    assert meaning.note == "the best is near always angry: train longer, then compare"


def test_what_a_score_is_held_against(make, tmp_path):
    make("a", ["optimizer=adam"], right=400, val=0.6)
    counts = {"train": {"angry": 3}, "test": {"angry": 1}}
    for audit, known in (
        ({"published": None, "labels_allow": 0.9}, "; the labels allow 90.0 %"),
        (
            {"published": "FER2013", "counts": counts, "published_counts": counts},
            "; people 65.0 %; one network, published 72.0 %; ensemble, published 76.8 %",
        ),
        ({"published": "FER2013", "counts": counts, "published_counts": {"train": {"angry": 4}}}, ""),
    ):
        (tmp_path / "a/audit.json").write_text(json.dumps(audit))
        score = verdict(entries(tmp_path), "val/accuracy")[1]
        assert score.note == f"95 % interval 54.1 to 60.1; always angry scores 14.3 %{known}"


def test_experiments_are_compared_by_the_seeds_they_share_and_not_by_their_luckiest(make, tmp_path):
    for seed, (adam, sgd) in enumerate(((400, 380), (410, 392), (420, 398))):
        make(f"a{seed}", ["optimizer=adam", f"seed={seed}"], right=adam, val=0.6)
        make(f"b{seed}", ["optimizer=sgd", f"seed={seed}"], right=sgd, val=0.59)
    make("lucky", ["optimizer=rmsprop", "seed=0"], right=500, val=0.9)
    best, score, ahead, meaning = verdict(entries(tmp_path), "val/accuracy")
    assert best.answer == "mean of 3: optimizer=adam"
    assert "standard deviation 1.4 points" in score.note
    assert ahead.answer == "2.9 points"
    assert (meaning.answer, "paired t-test over 3, p = 0.0033" in meaning.note) == ("Yes", True)


def test_two_seeds_are_too_few(make, tmp_path):
    for seed in (0, 1):
        make(f"a{seed}", ["optimizer=adam", f"seed={seed}"], right=400 + seed, val=0.6)
        make(f"b{seed}", ["optimizer=sgd", f"seed={seed}"], right=300 + seed, val=0.59)
    _, score, ahead, meaning = verdict(entries(tmp_path), "val/accuracy")
    assert score.note.startswith("mean of 57.1 % and 57.3 %;")
    assert (ahead.answer, ahead.note) == ("14.3 points", "mean of 2: optimizer=sgd")
    assert meaning.answer == "Too early to say"
    assert behind(entries(tmp_path), "val/accuracy")[1] == ("≈ -14.3", "")


def test_seeds_alone_have_a_short_name(make, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for seed in (0, 1):
        make(f"a{seed}", ["optimizer=adam", f"seed={seed}"], right=400 + seed, val=0.6)
    assert entries(tmp_path)[0].label == "mean of 2"
    show_table(tabulate(tmp_path, "val/accuracy"), "val/accuracy")
    assert "mean of 2: mean" not in capsys.readouterr().out


def test_leaky_and_failed_runs_never_lead(make, tmp_path):
    make("leaky", ["protocol=paper"], right=690, val=0.99, leaks="siblings")
    make("failed", ["protocol=kfold"], status="failed", error="UserError: no")
    assert leading(entries(tmp_path), "val/accuracy") == []
    assert verdict(entries(tmp_path), "val/accuracy") == []
    make("honest", ["protocol=honest"], right=300, val=0.4)
    cards = verdict(entries(tmp_path), "val/accuracy")
    assert [card.answer for card in cards] == ["protocol=honest", "42.9 %"]
    assert [entry.label for entry in entries(tmp_path)] == ["protocol=honest", "protocol=paper", "protocol=kfold"]
    table = leaderboard(entries(tmp_path), "val/accuracy")
    assert "(leaky)" in table
    assert "kfold" not in table


def test_option_scores_leave_leaky_runs_and_options_of_some_runs_out(make, tmp_path):
    make("a", ["optimizer=adam", "seed=0", "+extra=1"], val=0.5)
    make("b", ["optimizer=sgd", "seed=0"], val=0.3)
    make("c", ["optimizer=adam", "seed=0"], val=0.4)
    make("leaky", ["optimizer=sgd", "seed=0", "protocol=paper"], val=0.99, leaks="siblings")
    make("failed", ["optimizer=rmsprop", "seed=0"], status="failed")
    runs = read_runs(tmp_path)
    assert option_scores(runs, "val/accuracy") == {"optimizer": (["adam", "sgd", "adam"], [0.5, 0.3, 0.4])}
    leaky = [run for run in runs if run.name == "leaky"]
    assert option_scores([*leaky, runs[-1]], "val/accuracy") == {}
    assert [plot.name for plot in plots(board(runs))] == [
        "scores",
        "options",
        "confusion_matrices",
        "per_class",
        "risk_coverage",
    ]
    assert [plot.name for plot in plots(board(leaky))] == ["confusion_matrix", "per_class", "risk_coverage"]


def test_table_on_the_console(make, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # no cell is folded
    for seed in (0, 1):
        make(f"a{seed}", ["optimizer=adam", f"seed={seed}", "logger=csv"], right=350, val=0.4 + seed / 10)
    make("b", ["optimizer=sgd", "seed=0", "logger=csv"], right=280, val=0.3, elapsed_seconds=1234.5)
    show_table(tabulate(tmp_path, "val/accuracy"), "val/accuracy")
    mean, *_, last = [line.split("│")[1:] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row] for row in (mean, last)]
    assert cells[0][:4] == ["mean of 2: optimizer=adam", "mean", "45.0 % (40.0 and 50.0)", "50.0 % (50.0 and 50.0)"]
    assert cells[1][:4] == ["optimizer=sgd seed=0", "completed", "30.0 %", "40.0 % (37.0 to 43.0)"]
    assert cells[1][6] == "1,234"


@pytest.mark.parametrize(
    ("width", "shown", "dropped"),
    [
        (60, ["job", "test/accuracy"], "test/macro_f1, test/balanced_accuracy, seconds, status, val/accuracy"),
        (80, ["job", "status", "val/accuracy", "test/accuracy"], "test/macro_f1, test/balanced_accuracy, seconds"),
        (120, ["job", "status", "val/accuracy", "test/accuracy", "test/balanced_accuracy", "seconds"], "test/macro_f1"),
    ],
)
def test_the_table_drops_columns_that_a_terminal_has_no_room_for(
    make, tmp_path, capsys, caplog, monkeypatch, width, shown, dropped
):
    console = Console(width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr("fer_lightning.report.table.get_console", lambda: console)
    for rate in ("0.00044303752452182633", "0.001"):
        make(rate, ["optimizer=rmsprop", f"optimizer.lr={rate}"], right=350, val=0.4, elapsed_seconds=9.0)
    make("failed", ["optimizer=sgd", "optimizer.lr=1"], status="failed")
    with caplog.at_level("INFO"):
        show_table(tabulate(tmp_path, "val/accuracy"), "val/accuracy")
    lines = capsys.readouterr().out.splitlines()
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= width
    assert [cell.strip() for cell in lines[1].strip("┃").split("┃")] == shown
    assert sum("50.0 % (47.0 to 53.0)" in line for line in lines) == 2
    assert caplog.messages == [f"left out for lack of room: {dropped}; sweep.csv has every column"]


def test_a_sweep_of_which_nothing_was_scored_has_a_page(make, tmp_path):
    make("one", ["optimizer=adam"], status="failed", error="UserError: a | b")
    make("two", ["optimizer=sgd"], status="running")
    write_report(tmp_path, read_runs(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert "No run has been tested yet" in page
    assert "UserError: a | b" in page


def test_command_repeats_one_job_of_an_experiment_that_sweeps(make, tmp_path):
    make("a", ["experiment=paper_table4", "optimizer=sgd", "data.root=my faces.zip", "hydra.sweep.dir=out", "seed=1"])
    (run,) = read_runs(tmp_path)
    expected = "python train.py experiment=paper_table4 optimizer=sgd 'data.root=my faces.zip' seed=1 hydra.mode=RUN"
    assert command(run) == expected
