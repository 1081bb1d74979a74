"""Calibration by hand: the error of a small case, a temperature that is known, thresholds within and out of reach."""

import numpy as np
import pytest
import torch

from fer_lightning.errors import UserError
from fer_lightning.models.calibration import (
    KEY,
    Calibration,
    apply_temperature,
    calibrate,
    calibration_error,
    choose_threshold,
    fit_temperature,
    read_calibration,
    to_distance,
)
from fer_lightning.models.classifiers import Decision, Neighbours


def test_calibration_error_by_hand():
    confidence = np.float32([0.95, 0.97, 0.99, 1.0, 0.5, 0.52])  # the bin of 0.95 to 1 begins at 14/15
    right = np.array([True, True, False, True, False, True])
    expected = (4 * abs(0.9775 - 0.75) + 2 * abs(0.51 - 0.5)) / 6
    assert calibration_error(confidence, right) == pytest.approx(expected, abs=1e-5)
    assert calibration_error(np.ones(4, np.float32), np.ones(4, bool)) == pytest.approx(0, abs=1e-5)


def test_a_temperature_by_hand():
    votes = np.float32([[0.8, 0.2, 0.0]])
    powers = np.sqrt([0.81, 0.21, 0.01])
    assert apply_temperature(votes, 2.0, 0.01)[0] == pytest.approx(powers / powers.sum(), abs=1e-6)
    assert Calibration().probabilities(votes) is votes
    five = Calibration(1.0, 1 / 5).probabilities(np.float32([[1, 0, 0]]))  # of 5 neighbours and 3 classes
    assert five[0] == pytest.approx([6 / 8, 1 / 8, 1 / 8])  # the rule of succession


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_known_temperature_is_found(temperature):
    random = np.random.default_rng(0)
    votes = random.dirichlet(np.ones(4), 40_000)
    chances = apply_temperature(votes, temperature, 0.1).astype(float).cumsum(axis=1)
    labels = (random.random((len(votes), 1)) > chances).sum(axis=1).clip(max=3)
    assert fit_temperature(votes, labels, 0.1) == pytest.approx(temperature, rel=0.03)


def test_temperature_stays_finite_where_every_face_is_right():
    assert fit_temperature(np.eye(3, dtype=np.float32), np.arange(3), 0.1) == pytest.approx(0.05, rel=0.01)
    assert fit_temperature(np.eye(3, dtype=np.float32), np.arange(3)[::-1].copy(), 0.1) == pytest.approx(20, rel=0.01)


def test_threshold_answers_as_many_as_the_accuracy_allows(monkeypatch):
    monkeypatch.setattr("fer_lightning.models.calibration.FEWEST", 2)
    confidence = np.array([0.6, 0.9, 0.8, 0.7, 0.5])
    right = np.array([False, True, True, True, True])  # in order: right, right, right, wrong, right
    assert choose_threshold(confidence, right, 0.75) == (0.0, 1.0)  # all are answered: 4 of 5
    assert choose_threshold(confidence, right, 0.9) == (pytest.approx(0.65), 1.0)  # half-way between 0.7 and 0.6
    assert choose_threshold(confidence, ~right, 0.5) == (None, 0.25)  # 0 of 2, 0 of 3, 1 of 4, 1 of 5


def test_equal_votes_are_answered_together(monkeypatch):
    confidence, right = np.array([0.9, 0.8, 0.8, 0.8]), np.array([True, True, False, False])
    assert choose_threshold(confidence, right, 0.9) == (None, 0.5)  # fewer than 30: all or none
    monkeypatch.setattr("fer_lightning.models.calibration.FEWEST", 1)
    assert choose_threshold(confidence, right, 0.9) == (pytest.approx(0.85), 1.0)
    assert choose_threshold(confidence, right, 0.6) == (pytest.approx(0.85), 1.0)  # not the first two, which tie


def decide(votes: list[list[float]], similarities: list[float] | None) -> Decision:
    shares, near = torch.tensor(votes), None
    if similarities is not None:
        column = torch.tensor(similarities, dtype=torch.float64).unsqueeze(1)
        near = Neighbours(torch.zeros(len(column), 1), column, torch.zeros(len(column), 1))
    return Decision(shares.argmax(dim=1), shares, near)


def test_far_faces_and_disagreement_are_abstained_from(monkeypatch):
    monkeypatch.setattr("fer_lightning.models.calibration.FEWEST", 1)
    votes = [[1.0, 0.0], [0.9, 0.1], [0.6, 0.4], [1.0, 0.0]]
    labels = torch.tensor([0, 0, 1, 1])  # the third is unsure and wrong, the last sure, wrong and far
    found = calibrate(decide(votes, [0.9, 0.8, 0.9, -0.5]), labels, accuracy=1.0, near=0.75)
    assert found.scores["answered"] == 0.5
    assert found.scores["accuracy_answered"] == found.scores["accuracy_reachable"] == 1
    assert to_distance(np.array(0.8)) < found.distance < to_distance(np.array(-0.5))
    sure = np.array([0.99, 0.99, 0.01])
    assert found.abstains(sure, np.array([0.1, 1.9, 0.1])).tolist() == [False, True, True]
    assert found.abstains(sure, None).tolist() == [False, False, True]
    assert "of the validation faces 50.0 % were answered, 100.0 % of them rightly" in str(found)
    alone = calibrate(decide(votes, None), labels, accuracy=0.5, near=0.75)
    assert (alone.distance, alone.scores["answered"]) == (None, 1.0)
    assert calibrate(decide(votes, [0.9] * 4), labels, None, 0.75).abstains(sure, sure).tolist() == [False] * 3


def test_accuracy_out_of_reach_is_one_sentence():
    votes, labels = [[1.0, 0.0]] * 30 + [[0.6, 0.4]] * 10, torch.tensor([0] * 24 + [1] * 16)
    found = calibrate(decide(votes, [0.9] * 40), labels, accuracy=0.9, near=1.0)
    assert (found.confidence, found.distance) == (None, None)
    assert str(found).endswith(
        "every face is answered, since model.abstention.accuracy=0.9 is out of reach: the surest validation faces "
        "come to 80.0 % at most"
    )
    assert not found.abstains(np.zeros(3), np.full(3, 2.0)).any()


@pytest.mark.parametrize(
    "content",
    [{"temperature": float("nan")}, {"temperature": 0}, {"confidence": 2.0}, {"distance": "0.1"}, {"x": 1}, 3],
)
def test_calibration_of_a_stranger_is_looked_at(content):
    with pytest.raises(UserError, match=r"^checkpoint=a holds a calibration that no training saves"):
        read_calibration({KEY: content}, "checkpoint=a")


def test_checkpoint_from_before_has_none():
    assert read_calibration({}, "checkpoint=a") == Calibration()
    assert "votes are not calibrated, and every face is answered" in str(Calibration())
