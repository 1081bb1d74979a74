"""Which run is best, by how much, and whether that means anything: on runs made up to have an answer."""

import csv
import json
import random
import re

import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.ranking import option_scores, rank_runs
from fer_lightning.report.tables import leaderboard, tabulate
from fer_lightning.report.verdict import compare_runs, differences, verdict
from fer_lightning.runs.record import read_run
from tests import second_opinion
from tests.report.conftest import ranked


def test_two_runs_on_the_same_faces(make, tmp_path):
    make("a", ["optimizer=adam", "logger=csv"], right=400, val=0.6)
    make("b", ["optimizer=sgd", "logger=csv"], right=300, val=0.5)
    best, score, ahead, meaning = verdict(ranked(tmp_path))
    assert (best.answer, score.answer) == ("optimizer=adam", "57.1 %")
    assert score.note == "95 % interval 54.1 to 60.1; always angry scores 14.3 %"
    assert (ahead.title, ahead.answer) == ("Ahead of the next, on the test faces", "14.3 points")
    assert "optimizer=sgd; 95 % interval of the difference +11." in ahead.note
    assert (meaning.title, meaning.answer) == ("Is the best really better?", "Yes")
    assert differences(ranked(tmp_path))[1][0] == "-14.3"


def test_best_on_validation_faces_may_be_behind_on_test_faces(make, tmp_path):
    make("a", ["optimizer=adam"], right=300, val=0.6)
    make("b", ["optimizer=sgd"], right=400, val=0.5)
    _, _, margin, meaning = verdict(ranked(tmp_path))
    assert (margin.title, margin.answer) == ("Behind the next, on the test faces", "14.3 points")
    assert margin.note.endswith("; the validation faces chose, the test faces only report")
    assert meaning.answer == "No"
    assert meaning.note.startswith("these faces put the next ahead (McNemar")


def test_difference_that_means_nothing(make, tmp_path):
    make("a", ["optimizer=adam"], right=303, val=0.6)
    make("b", ["optimizer=sgd"], right=300, val=0.5)
    assert verdict(ranked(tmp_path))[3].answer == "No"
    assert differences(ranked(tmp_path))[1][0] == "≈ -0.4"


def test_best_of_runs_that_learned_nothing(make, tmp_path):
    make("a", ["optimizer=adam"], right=110, val=0.2)
    make("b", ["optimizer=sgd"], right=50, val=0.1)  # far enough apart for the test
    _, score, _, meaning = verdict(ranked(tmp_path))
    assert "near it, always angry scores 14.3 %" in score.note
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
        score = verdict(ranked(tmp_path))[1]
        assert score.note == f"95 % interval 54.1 to 60.1; always angry scores 14.3 %{known}"


def test_people_are_measured_where_their_votes_are_at_hand(make, tmp_path):
    make("a", ["optimizer=adam"], right=400, val=0.6, **{"test/crowd_gives_label": 0.641})
    counts = {"test": {"angry": 1}}
    audit = {"published": "FER2013", "counts": counts, "published_counts": counts}
    (tmp_path / "a/audit.json").write_text(json.dumps(audit))
    assert "always angry scores 14.3 %; people 64.1 %; one network" in verdict(ranked(tmp_path))[1].note


def test_experiments_are_compared_by_shared_seeds(make, tmp_path):
    for seed, (adam, sgd) in enumerate(((400, 380), (410, 392), (420, 398))):
        make(f"a{seed}", ["optimizer=adam", f"seed={seed}"], right=adam, val=0.6)
        make(f"b{seed}", ["optimizer=sgd", f"seed={seed}"], right=sgd, val=0.59)
    make("lucky", ["optimizer=rmsprop", "seed=0"], right=500, val=0.9)
    best, score, ahead, meaning = verdict(ranked(tmp_path))
    assert best.answer == "mean of 3: optimizer=adam"
    assert "standard deviation 1.4 points" in score.note
    assert ahead.answer == "2.9 points"
    assert (meaning.answer, "paired t-test over 3, p = 0.0033" in meaning.note) == ("Yes", True)


def test_two_seeds_are_too_few(make, tmp_path):
    for seed in (0, 1):
        make(f"a{seed}", ["optimizer=adam", f"seed={seed}"], right=400 + seed, val=0.6)
        make(f"b{seed}", ["optimizer=sgd", f"seed={seed}"], right=300 + seed, val=0.59)
    _, score, ahead, meaning = verdict(ranked(tmp_path))
    assert score.note.startswith("mean of 57.1 % and 57.3 %;")
    assert (ahead.answer, ahead.note) == ("14.3 points", "mean of 2: optimizer=sgd")
    assert meaning.answer == "Too early to say"
    assert differences(ranked(tmp_path))[1] == ("≈ -14.3", "")


def test_protocols_are_not_compared(make, tmp_path):
    for seed in range(3):
        for name, protocol, right in (("a", "honest", 400), ("b", "clean_test", 450), ("c", "clean_test", 430)):
            overrides = [f"protocol={protocol}", f"optimizer={name}", f"seed={seed}"]
            make(f"{name}{seed}", overrides, right=right + seed % 2, val=right / 700, protocol=protocol)
    board = ranked(tmp_path)
    best, _, ahead, _ = verdict(board)
    assert (best.answer, ahead.answer) == ("mean of 3: protocol=clean_test optimizer=b", "2.9 points")
    assert "the highest of 2 experiments under protocol clean_test that do not leak" in best.note
    assert [cell[0] for cell in differences(board)[:3]] == ["best", "-2.9", "best"]
    alone = [run for run in board.runs if run.name in ("a0", "b0")]
    assert [card.title for card in verdict(rank_runs(alone))] == ["Best", "Test accuracy"]
    assert option_scores(board.runs, "val/accuracy") == {
        "optimizer": {"b": pytest.approx([450 / 700] * 3), "c": pytest.approx([430 / 700] * 3)},
        "seed": {seed: pytest.approx([450 / 700, 430 / 700]) for seed in "012"},
    }


def test_leaky_and_failed_runs_never_lead(make, tmp_path):
    make("leaky", ["protocol=paper"], right=690, val=0.99, leaks="siblings")
    make("failed", ["protocol=kfold"], status="failed", error="UserError: no")
    assert verdict(ranked(tmp_path)) == []
    make("honest", ["protocol=honest"], right=300, val=0.4)
    cards = verdict(ranked(tmp_path))
    assert [card.answer for card in cards] == ["protocol=honest", "42.9 %"]
    assert [entry.label for entry in ranked(tmp_path).entries] == [
        "protocol=honest",
        "protocol=paper",
        "protocol=kfold",
    ]
    make("impossible", ["protocol=official"], right=680, val=0.98, too_good="it cannot be")
    labels = [label for label, _ in ranked(tmp_path).scored]
    assert labels == ["protocol=honest", "protocol=paper", "protocol=official"]
    table = leaderboard(ranked(tmp_path))
    assert "(leaky)" in table
    assert "kfold" not in table


@pytest.fixture
def experiments(make, tmp_path):
    """Two experiments of three seeds: 600 faces in groups of one to three, whose twins are right together."""
    names = {("adam", 0.68): [0.02, 0, -0.01], ("sgd", 0.64): [0, 0.01, 0.02]}
    faces = [(f"{face}.png", face // 2 if face < 300 else face) for face in range(600)]
    for (optimizer, share), offsets in names.items():
        for seed, offset in enumerate(offsets):
            draw = random.Random(f"{optimizer} {seed}")
            right = {group: draw.random() < share + offset for group in range(600)}
            run = tmp_path / f"{optimizer}{seed}"
            hits = sum(right[group] for _, group in faces)
            make(run.name, [f"optimizer={optimizer}", f"seed={seed}"], right=hits, val=share + offset)
            noted = json.loads((run / "metrics.json").read_text()) | {"test/accuracy": hits / 600}
            (run / "metrics.json").write_text(json.dumps(noted))
            with (run / "predictions.csv").open("w", newline="") as file:
                rows = [
                    [name, CLASSES[group % 2], CLASSES[group % 2 if right[group] else 2], 1, group]
                    for name, group in faces
                ]
                csv.writer(file).writerows([["file", "label", "prediction", "vote", "twins"], *rows])
    return tmp_path


def test_a_second_program_comes_to_the_same_figures(experiments):
    """Verdict, McNemar's test, means and deviations, without the package's code or its libraries."""
    runs = {name: [experiments / f"{name}{seed}" for seed in range(3)] for name in ("adam", "sgd")}
    for first, second in zip(*runs.values(), strict=True):
        result = compare_runs(read_run(first), read_run(second))
        difference, low, high, p = second_opinion.mcnemar(first, second)
        assert (result.difference, result.p) == pytest.approx((difference, p), rel=1e-9)
        assert (result.low, result.high) == pytest.approx((low, high), abs=0.009)  # a thousand resamples
        assert result.significant == (p < 0.05 and low * high > 0)
    board = tabulate(experiments, "val/accuracy")
    with (experiments / "sweep.csv").open() as file:
        means = [row for row in csv.DictReader(file) if row["status"] == "mean"]
    accuracies = {name: list(map(second_opinion.accuracy, folders)) for name, folders in runs.items()}
    for (name, shares), row in zip(accuracies.items(), means, strict=True):
        assert name in row["overrides"]
        figures = float(row["test/accuracy"]), float(row["test/accuracy_sd"])
        assert figures == pytest.approx(second_opinion.mean_and_deviation(shares), rel=1e-9)
    gains = [one - other for one, other in zip(*accuracies.values(), strict=True)]
    p = second_opinion.paired_t(gains)
    *_, ahead, meaning = verdict(board)
    assert ahead.answer == f"{100 * second_opinion.mean_and_deviation(gains)[0]:.1f} points"
    assert float(re.search(r"over 3, p = ([\d.e-]+)\)", meaning.note)[1]) == pytest.approx(p, rel=0.05)
    assert meaning.answer == ("Yes" if p < 0.05 else "No")
