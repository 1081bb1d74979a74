"""Labels are judged by the faces of other folds: votes and beliefs by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fer_lightning.data.audit import audit
from fer_lightning.data.protocols import honest
from fer_lightning.models.knn import KNNClassifier
from fer_lightning.use.judgement import fold_votes, judge, suspicion, weigh


def on_circle(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float32).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_votes_by_hand_without_twins():
    """Two clusters; one face of each has the other's label, and its twin beside it agrees with it."""
    embeddings = on_circle(0, 1, 2, 3, 4, 180, 181, 182, 183, 184)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0])
    groups = np.array([0, 1, 2, 3, 3, 5, 6, 7, 8, 8])  # the last two of each cluster are twins
    classifier = KNNClassifier(2, [], "uniform", 0.1, 7, 2)
    votes = fold_votes(classifier, embeddings, labels, groups, folds=4)
    np.testing.assert_allclose(votes.sum(axis=1), 1, rtol=1e-6)
    # At least two of the three others are in other folds. The twin would have brought half of the vote.
    np.testing.assert_allclose(votes[[3, 4]][:, [0, 1]], [[1, 0]] * 2)
    np.testing.assert_allclose(votes[[8, 9]][:, [0, 1]], [[0, 1]] * 2)
    assert weigh(votes, labels)[0][[3, 4, 8, 9]].tolist() == [0, 0, 1, 1]
    with_twins = fold_votes(classifier, embeddings, labels, np.arange(10), folds=5)
    assert with_twins[3, 1] == pytest.approx(1 / 2)


def test_labels_are_judged_where_the_training_folder_comes_last(faces, tmp_path):
    """As in every folder or zip that holds a test and a train folder."""
    faces = replace(faces, splits=faces.splits[::-1].copy())
    found = audit(faces, str(tmp_path))
    partition = honest(faces, found.twins, validation_share=0.2, seed=0)
    classifier = KNNClassifier(5, [], "uniform", 0.1, 7, 48)
    said = judge(lambda images: normalize(images[:, 0, 0], dim=1), classifier, partition, found)
    assert sorted(said.rows) == list(range(70, 140))
    assert said.trained_on.sum() == len(partition.train)


def test_belief_by_hand():
    votes = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2]])
    believed, own, other = weigh(votes, np.array([0, 1, 1]))
    assert believed.tolist() == [0, 2, 1]  # the label keeps a tie
    assert own.tolist() == [0.5, 0.2, 0.4]
    assert other.tolist() == [0.5, 0.6, 0.4]


def test_suspicion_is_the_lead_and_confident_doubts_come_first():
    """The thresholds are the mean votes for the label: 0.65 of the first class, 0.5 of the second."""
    labels, believed = np.array([0, 0, 0, 1, 1, 3]), np.array([1, 0, 0, 0, 1, 0])
    own, most = np.array([0.1, 1, 0.85, 0.1, 0.9, 0]), np.array([0.9, 1, 0.85, 0.6, 0.9, 0.7])
    expected = [0.8 + 1, 0, 0, 0.5, 0, 0.7 + 1]
    np.testing.assert_allclose(suspicion(labels, believed, own, most), expected)
