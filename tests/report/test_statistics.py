"""Intervals and comparisons against numbers known by other means."""

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from fer_lightning.__main__ import main
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import Calibration
from fer_lightning.report.statistics import (
    certainty_figures,
    compare,
    confusion_matrix,
    confusion_of,
    f1_per_class,
    intervals,
    one_vs_rest,
    paired,
    reliability_bins,
    risk_and_coverage,
    scores,
    with_the_mix_of_all,
)
from fer_lightning.report.verdict import compare_runs, print_comparison
from fer_lightning.runs.record import Run


@pytest.mark.parametrize("classes", [7, 5])  # with 5, two classes are absent
def test_scores_are_those_of_torchmetrics(classes):
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, classes, (2, 200))
    confusion = confusion_matrix(labels, predictions, 7)
    found = scores(confusion)
    pair = torch.from_numpy(predictions), torch.from_numpy(labels)
    assert found["accuracy"] == pytest.approx(multiclass_accuracy(*pair, 7, average="micro").item())
    assert found["balanced_accuracy"] == pytest.approx(multiclass_accuracy(*pair, 7, average="macro").item())
    assert f1_per_class(confusion) == pytest.approx(multiclass_f1_score(*pair, 7, average="none").numpy())
    assert found["macro_f1"] == pytest.approx(multiclass_f1_score(*pair, 7, average="macro").item())


def test_interval_of_independent_faces_is_the_binomial_one():
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 1000)
    predictions = np.where(np.arange(1000) < 700, labels, (labels + 1) % 7)
    low, high = intervals(labels, predictions, np.arange(1000), 7)["accuracy"]
    assert (low, high) == pytest.approx(binom(1000, 0.7).ppf([0.025, 0.975]) / 1000, abs=0.006)


def test_twins_count_as_one_observation():
    labels = np.zeros(1000, np.int64)
    predictions = np.repeat(np.arange(100) < 70, 10).astype(np.int64)  # ten twins of each of 100 faces
    alone = intervals(labels, predictions, np.arange(1000), 7)["accuracy"]
    together = intervals(labels, predictions, np.repeat(np.arange(100), 10), 7)["accuracy"]
    assert (together[1] - together[0]) / (alone[1] - alone[0]) == pytest.approx(10**0.5, rel=0.15)


def test_mcnemar_and_difference():
    first = np.array([True] * 70 + [False] * 30)
    second = first.copy()
    second[:2], second[70:80] = False, True  # 2 only the first, 10 only the second
    found = compare(first, second, np.arange(100))
    assert (found.only_first, found.only_second) == (2, 10)
    assert found.difference == pytest.approx(-0.08)
    assert found.p == pytest.approx(2 * binom(12, 0.5).cdf(2))
    assert found.low < -0.08 < found.high < 0
    assert compare(first, first, np.arange(100)).p == 1.0


def test_paired_t_test_by_hand():
    result = paired(np.array([0.01, 0.02, 0.03]))
    assert result.difference == pytest.approx(0.02)
    assert result.low == pytest.approx(0.02 - 4.30265 * 0.01 / 3**0.5, abs=1e-6)
    assert result.p == pytest.approx(0.0742, abs=1e-4)
    assert paired(np.array([0.1, 0.1])).p == 0


def test_risk_and_coverage_by_hand():
    coverage, risk = risk_and_coverage(np.array([0.5, 0.9, 0.7, 0.7]), np.array([False, True, True, False]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 0.5 / 2, 1 / 3, 2 / 4])  # each of the two at 0.7 counts as half wrong


def test_bins_by_hand():
    votes, right = np.array([0.01, 0.05, 0.5, 1.0]), np.array([True, False, True, True])
    means, accuracies, counts = reliability_bins(votes, right)
    assert means == pytest.approx([0.03, 0.5, 1.0])
    assert (accuracies.tolist(), counts.tolist()) == ([0.5, 1.0, 1.0], [2, 1, 1])


def test_measures_where_no_face_is_answered_or_calibrated():
    votes = np.float32([0.6, 0.7])
    outputs = np.array([True, False]), votes, votes, np.ones(2, dtype=np.int64)
    found = certainty_figures(*outputs, Calibration(2.0, 0.1, 0.9, 0.99, 0.8, None, {"answered": 0.5}))
    assert found["test/answered"] == 0
    assert "test/accuracy_answered" not in found
    assert found["test/aurc"] == pytest.approx((1 + 1 / 2) / 2)  # the surer one is wrong
    assert (found["val/temperature"], found["val/confidence_threshold"], found["val/answered"]) == (2.0, 0.8, 0.5)
    assert "val/distance_threshold" not in found
    assert certainty_figures(*outputs, Calibration()).keys() == {"test/calibration_error_raw", "test/aurc"}


def test_equation_1_flatters():
    # 65 % of seven classes reads as 90 %: by hand, 35 of 100 faces are wrong for two of seven classes each.
    assert one_vs_rest(0.65, 7) == pytest.approx(1 - 70 / 700)


def write_run(folder, rows):
    folder.mkdir()
    lines = ["file,label,prediction,vote,twins,twin_in_training", *(",".join(map(str, row)) for row in rows)]
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")
    return Run(folder)


def test_runs_are_compared_face_by_face(tmp_path, capsys):
    good = [(f"{i}.png", "happy", "happy", 1, i, 0) for i in range(40)]
    bad = [(f"{i}.png", "happy", "happy" if i < 20 else "sad", 1, i, 0) for i in reversed(range(40))]
    result = compare_runs(write_run(tmp_path / "a", good), write_run(tmp_path / "b", bad))
    assert (result.only_first, result.only_second, result.faces) == (20, 0, 40)
    assert result.difference == 0.5
    assert result.significant
    print_comparison([tmp_path / "a", tmp_path / "b"])
    text = capsys.readouterr().out
    assert f"test accuracy 100.0 %  {tmp_path}/a\ntest accuracy 50.0 %  {tmp_path}/b\ndifference +50.0 points (" in text


def test_confusion_has_true_rows_and_predicted_columns(tmp_path):
    guesses = (("angry", "sad"), ("angry", "sad"), ("sad", "angry"), ("happy", "happy"))
    run = write_run(tmp_path / "a", [(f"{i}.png", *guess, 1, i, 0) for i, guess in enumerate(guesses)])
    expected = np.zeros((7, 7))
    expected[0, 5], expected[5, 0], expected[3, 3] = 2, 1, 1
    assert np.array_equal(confusion_of(run), expected)
    assert confusion_of(Run(tmp_path / "none")).sum() == 0


def test_runs_on_different_faces_are_refused(tmp_path):
    one = write_run(tmp_path / "a", [("1.png", "happy", "sad", 1, 1, 0)])
    other = write_run(tmp_path / "b", [("2.png", "happy", "sad", 1, 1, 0)])
    with pytest.raises(UserError, match="different faces"):
        compare_runs(one, other)
    with pytest.raises(UserError, match="is missing"):
        compare_runs(one, Run(tmp_path / "c"))


def test_compare_as_a_command(tmp_path, monkeypatch, capsys):
    rows = [("1.png", "happy", "sad", 1, 1, 0), ("2.png", "sad", "sad", 1, 2, 0)]
    for name in "ab":
        write_run(tmp_path / name, rows)
    monkeypatch.chdir(tmp_path)
    main(["compare", "a", "b"])
    said = capsys.readouterr().out
    assert "2 test faces\ntest accuracy 50.0 %  a\ntest accuracy 50.0 %  b\ndifference +0.0 points" in said
    assert "do not tell them apart" in said
    with pytest.raises(SystemExit, match=r"^error: c/predictions\.csv is missing"):
        main(["compare", "a", "c"])


def test_compare_with_a_csv_of_predictions(tmp_path, monkeypatch, capsys):
    write_run(
        tmp_path / "a", [(f"test/happy/{i}.jpg", "happy", "happy" if i < 4 else "sad", 1, i, 0) for i in range(9)]
    )
    (tmp_path / "b.csv").write_text("row,Emotion\n5,happiness\n3,sad\n6,happy\n100,happy\n2,\n")
    monkeypatch.chdir(tmp_path)
    for arguments, difference in ((["a", "b.csv"], "-33.3"), (["b.csv", "a"], "+33.3")):
        main(["compare", *arguments])
        said = capsys.readouterr().out
        assert said.startswith("3 test faces that b.csv answers\n")
        accuracies = {"a": "test accuracy 33.3 %  a", "b.csv": "test accuracy 66.7 %  b.csv"}
        assert "\n".join(accuracies[name] for name in arguments) in said
        assert f"difference {difference} points" in said
        assert "`python -m fer_lightning score b.csv data.root=...` tells whether copies of these faces trained" in said
    for arguments, words in (
        (["b.csv", "b.csv"], "b.csv and b.csv are two csv files, and one side must be a run: make one of a csv by `py"),
        (["a", "c.csv"], "c.csv/predictions.csv is missing"),
    ):
        with pytest.raises(SystemExit, match=f"^error: {words}"):
            main(["compare", *arguments])
    (tmp_path / "b.csv").write_text("row,class\n70,sad\n")
    with pytest.raises(SystemExit, match=r"^error: b\.csv names 70, and the faces are called test/happy/0.jpg"):
        main(["compare", "a", "b.csv"])


def test_part_with_the_class_mix_of_all():
    labels, right = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2]), np.array([1, 1, 1, 0, 1, 1, 0, 1, 1], dtype=bool)
    part = np.array([0, 0, 0, 1, 1, 0, 1, 1, 0], dtype=bool)  # 2 of 6, 2 of 2, none of 1; half of each is right
    assert with_the_mix_of_all(right, labels, part) == 0.5
    right[3] = True
    assert with_the_mix_of_all(right, labels, part) == pytest.approx((6 * 1 + 2 * 0.5) / 8)


def test_means_over_the_classes_that_the_faces_have():
    labels, predictions = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    counted = np.array([True, True, False])
    result = scores(confusion_matrix(labels, predictions, 3), counted)
    assert (result["accuracy"], result["balanced_accuracy"]) == (0.75, 0.75)
    assert result["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    low, high = intervals(labels, predictions, np.arange(4), 3, counted=counted)["balanced_accuracy"]
    assert low <= 0.75 <= high
