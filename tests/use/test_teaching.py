"""Teaching: targets are the mean votes of the teachers that did not learn a face or its twin."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.data.partition import Partition
from fer_lightning.data.twins import Twins
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import Calibration
from fer_lightning.models.classifiers import Decision
from fer_lightning.use.teaching import Teacher, teach

IMAGES = np.random.default_rng(0).integers(256, size=(8, 16, 16), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 3, 0, 1, 2, 3])
SPLITS = np.array(["train"] * 6 + ["test"] * 2)
NAMES = np.array([f"{row}.png" for row in range(8)])
FACES = Faces(IMAGES, LABELS, NAMES, SPLITS, "eight faces", fingerprint(IMAGES, LABELS, SPLITS))
GROUPS = np.array([0, 1, 2, 3, 0, 5, 6, 7])  # faces 0 and 4 are twins
TWINS = Twins(np.arange(8), GROUPS, np.array([[0, 4]]), np.array(["shifted"]))


def partition(train, validation=(5,), faces=FACES):
    train = np.array(train)
    return Partition("honest", faces, np.arange(8), TWINS, train, train, np.array(validation), np.array([6, 7]), "")


def teacher(train, votes, **kwargs):
    """Return a teacher that has the same votes for every face."""
    shares = torch.zeros(len(CLASSES))
    shares[: len(votes)] = torch.tensor(votes)
    classifier = SimpleNamespace(decide=lambda e: Decision(e[:, 0].long(), shares.expand(len(e), -1), None))

    class Model(SimpleNamespace):
        def __call__(self, images):
            return images.flatten(1)

    return Teacher(
        "teacher.runs=T", Model(classifier=classifier, calibration=Calibration()), partition(train, **kwargs)
    )


def test_only_teachers_that_did_not_learn_the_face_or_its_twin_vote():
    teachers = [teacher([0, 1], [0.5, 0.5]), teacher([2, 1], [0.9, 0.1])]
    targets, unjudged = teach(teachers, partition([0, 1, 2, 3, 4]), weight=0.5, temperature=1)
    expected = np.zeros((5, 7))
    expected[0, :2] = 0.95, 0.05  # the second alone: half of its votes, half of the label
    expected[1, 1] = 1  # learnt by both: its label
    expected[2, :3] = 0.25, 0.25, 0.5  # the first alone
    expected[3, :4] = 0.35, 0.15, 0, 0.5  # the mean of both
    expected[4, :2] = 0.95, 0.05  # the first learnt its twin
    np.testing.assert_allclose(targets, expected, atol=1e-6)
    assert unjudged == 1
    assert targets.dtype == np.float32


def test_a_temperature_makes_votes_more_equal():
    targets, _ = teach([teacher([1], [0.8, 0.2])], partition([0, 1]), weight=1, temperature=2)
    np.testing.assert_allclose(targets[0, :2], [2 / 3, 1 / 3], atol=1e-6)  # sqrt(0.8) is twice sqrt(0.2)


def test_a_teacher_that_learnt_other_or_reported_faces_is_refused():
    with pytest.raises(UserError, match=r"T has learnt 1 face .* that this run tests on: give runs of the same prot"):
        teach([teacher([0, 6], [1.0])], partition([0, 1]), 1, 1)
    with pytest.raises(UserError, match=r"T has learnt 1 face \(or twins\) that this run chooses by"):
        teach([teacher([0, 5], [1.0])], partition([0, 1]), 1, 1)
    other = Faces(IMAGES[::-1], LABELS, NAMES, SPLITS, "others", "another fingerprint")
    with pytest.raises(UserError, match="T was trained on other faces than those of data"):
        teach([teacher([0], [1.0], faces=other)], partition([0, 1]), 1, 1)
