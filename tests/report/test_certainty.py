"""Risk against coverage by hand, with ties; what is marked and what an older run leaves out."""

import numpy as np
import pytest

from fer_lightning.models.calibration import Calibration
from fer_lightning.report.board import board
from fer_lightning.report.certainty import certainty_of, measures, reliability, risk_coverage
from fer_lightning.report.plots import plots
from fer_lightning.runs.record import Record, Run, Status


def test_risk_and_coverage_by_hand():
    coverage, risk = risk_coverage(np.array([0.5, 0.9, 0.7, 0.7]), np.array([False, True, True, False]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 0.5 / 2, 1 / 3, 2 / 4])  # each of the two at 0.7 counts as half wrong


def test_bins_by_hand():
    votes, right = np.array([0.01, 0.05, 0.5, 1.0]), np.array([True, False, True, True])
    means, accuracies, counts = reliability(votes, right)
    assert means == pytest.approx([0.03, 0.5, 1.0])
    assert (accuracies.tolist(), counts.tolist()) == ([0.5, 1.0, 1.0], [2, 1, 1])


def test_what_is_measured_of_faces_that_are_all_abstained_from_and_of_an_older_checkpoint():
    votes = np.float32([[0.6, 0.4], [0.3, 0.7]])
    outputs = {"predictions": np.array([0, 1]), "labels": np.array([0, 0]), "votes": votes, "raw_votes": votes}
    outputs["abstained"] = np.ones(2, dtype=np.int64)
    found = measures(outputs, Calibration(2.0, 0.1, 0.9, 0.99, 0.8, None, {"answered": 0.5}))
    assert found["test/answered"] == 0
    assert "test/accuracy_answered" not in found
    assert found["test/aurc"] == pytest.approx((1 + 1 / 2) / 2)  # the surer one is wrong
    assert (found["val/temperature"], found["val/confidence_threshold"], found["val/answered"]) == (2.0, 0.8, 0.5)
    assert "val/distance_threshold" not in found
    assert measures(outputs, Calibration()).keys() == {"test/calibration_error_raw", "test/aurc"}


def test_run_from_before_votes_were_calibrated_has_its_curve(tmp_path):
    (tmp_path / "predictions.csv").write_text("label,prediction,vote\nfear,fear,0.9\nsad,fear,0.6\n")
    run = Run(tmp_path, Record(Status.COMPLETED, data="d", protocol="p", figures={"test/accuracy": 0.5}))
    assert certainty_of(run).raw_votes.tolist() == [0.9, 0.6]
    drawn = {plot.name: plot for plot in plots(board([run]))}
    assert "reliability" not in drawn
    assert "ring" not in drawn["risk_coverage"].text
    assert drawn["risk_coverage"].draw().axes[0].lines[0].get_ydata().tolist() == [0, 0.5]
