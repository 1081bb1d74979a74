"""FaceNet's rule against a plain triple loop, its ties and its way out by hand."""

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from torch.nn.functional import normalize

from fer_lightning.models.miners import FaceNetMiner

MINER = FaceNetMiner(distance=LpDistance(power=2, normalize_embeddings=False))


def mined(embeddings: torch.Tensor, labels: torch.Tensor) -> set[tuple[int, int, int]]:
    anchors, positives, negatives = MINER(embeddings, labels)
    assert len(set(zip(anchors.tolist(), positives.tolist(), strict=True))) == len(anchors)  # a pair once
    return set(zip(anchors.tolist(), positives.tolist(), negatives.tolist(), strict=True))


def by_loops(embeddings: torch.Tensor, labels: torch.Tensor) -> set[tuple[int, int, int]]:
    """Return what the rule says, written as it is said."""
    d = ((embeddings[:, None] - embeddings[None]) ** 2).sum(2)
    count, triplets = len(labels), set()
    for anchor in range(count):
        negatives = [n for n in range(count) if labels[n] != labels[anchor]]
        for positive in range(count):
            if positive == anchor or labels[positive] != labels[anchor] or not negatives:
                continue
            farther = [n for n in negatives if d[anchor, n] > d[anchor, positive]]
            choice = (
                min(farther, key=lambda n, a=anchor: d[a, n])
                if farther
                else max(negatives, key=lambda n, a=anchor: d[a, n])
            )
            triplets.add((anchor, positive, choice))
    return triplets


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_rule_as_it_is_said(seed):
    torch.manual_seed(seed)
    embeddings, labels = normalize(torch.randn(16, 4, dtype=torch.float64)), torch.randint(4, (16,))
    assert mined(embeddings, labels) == by_loops(embeddings, labels)


def line(*places: float) -> torch.Tensor:
    return torch.tensor(places).unsqueeze(1)


@pytest.mark.parametrize(
    ("places", "labels", "triplets"),
    [
        ((0, 1, 2, 5), (0, 0, 1, 1), {(0, 1, 2), (1, 0, 3), (2, 3, 0), (3, 2, 1)}),
        # 1's negatives are 2 (as far as its positive: not farther) and 3; 2's and 3's are all nearer than their
        # positive, for 2, or 4 and 5 away, for 3, of which the nearer counts
        ((0, 10, 1, 9), (0, 0, 1, 1), {(0, 1, 3), (1, 0, 2), (2, 3, 1), (3, 2, 0)}),
        # every negative of 0 and 1 is nearer than the positive: the farthest; 2 is 8 from 3 and 9 from 1
        ((0, 4, 6, 6), (0, 0, 1, 2), {(0, 1, 2), (1, 0, 2)}),  # equally far negatives: the first
        ((0, 1, 2, 3), (0, 0, 0, 0), set()),  # no negative
        ((0, 1, 2, 3), (0, 1, 2, 3), set()),  # no positive
        ((1, 1, 1, 1), (0, 0, 1, 1), {(0, 1, 2), (1, 0, 2), (2, 3, 0), (3, 2, 0)}),  # one point
    ],
)
def test_ties_and_missing_negatives_by_hand(places, labels, triplets):
    assert mined(line(*map(float, places)), torch.tensor(labels)) == triplets


def test_wrong_order_trains():
    """The library's semihard miner returns nothing here."""
    embeddings, labels = line(0.0, 4.0, 1.0), torch.tensor([0, 0, 1])
    assert mined(embeddings, labels) == {(0, 1, 2), (1, 0, 2)}
