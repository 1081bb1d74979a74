"""Prototypes by hand, logistic regression against scikit-learn's."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from fer_lightning.models.linear_classifiers import LinearClassifier, PrototypeClassifier
from tests.conftest import angles


def test_prototypes_by_hand():
    prototype = PrototypeClassifier(0.5, num_classes=4, embedding_size=2)
    prototype.fit(angles(0, 80, 100, 190, 170), torch.tensor([0, 0, 1, 2, 2]))  # means at 40, 100 and 180 degrees
    labels, votes, _ = prototype.decide(angles(69, 71, 139, 141, -90))
    assert labels.tolist() == [0, 1, 1, 2, 2]  # at -90 the class without a face, similarity 0, is no answer
    expected = [math.exp(math.cos(math.radians(distance)) / 0.5) for distance in (29, 31, 111)]
    assert torch.allclose(votes[0], torch.tensor([*expected, 0]) / sum(expected), atol=1e-5)
    assert prototype.held_in_accuracy() == pytest.approx(0.8)  # the face at 80 is nearer to 100 than to 40
    assert prototype.decide(angles(0)).neighbours is None


@pytest.mark.parametrize("classes", [[4], [1, 4], [0, 1, 4]])
def test_linear_head_is_the_librarys_regression(classes):
    from sklearn.linear_model import LogisticRegression

    torch.manual_seed(0)
    embeddings, labels = normalize(torch.randn(60, 8)), torch.tensor(classes).repeat(60 // len(classes))
    head = LinearClassifier(2.0, 1000, num_classes=6, embedding_size=8)
    head.fit(embeddings, labels)
    votes = head.decide(embeddings).votes
    if len(classes) == 1:
        expected = torch.ones(60, 1)
    else:
        regression = LogisticRegression(C=2.0, max_iter=1000).fit(embeddings.double().numpy(), labels.numpy())
        expected = torch.from_numpy(regression.predict_proba(embeddings.double().numpy())).float()
        assert head.held_in_accuracy() == pytest.approx(regression.score(embeddings.double().numpy(), labels.numpy()))
    assert torch.allclose(votes[:, classes], expected, atol=1e-5)
    assert votes.sum().item() == pytest.approx(60, abs=1e-3)
