"""Losses of ours against numbers worked out by hand and against plain loops."""

import pytest
import torch
from pytorch_metric_learning.distances import DotProductSimilarity, LpDistance
from torch.nn.functional import cross_entropy, normalize, one_hot

from fer_lightning.models.losses import SmoothedSoftmaxLoss, TripletCenterLoss

SQUARED = LpDistance(power=2, normalize_embeddings=False)


def center_loss(margin: float) -> TripletCenterLoss:
    """Three centres in the plane, at 0, 90 and 180 degrees; their lengths must not matter."""
    loss = TripletCenterLoss(3, 3, margin, SQUARED)
    loss.centers.data = torch.tensor([[2.0, 0, 0], [0, 0.5, 0], [-1.0, 0, 0]])
    return loss


@pytest.mark.parametrize(
    ("face", "label", "margin", "expected"),
    [
        ((1.0, 0, 0), 0, 0.5, 0.0),  # on its own centre: 0 - 2 + .5 and 0 - 4 + .5 are below 0
        ((1.0, 0, 0), 0, 3.0, 0.5),  # 0 - 2 + 3 = 1, 0 - 4 + 3 < 0; mean of the two
        ((1.0, 0, 0), 1, 0.5, 1.25),  # 2 - 0 + .5 = 2.5, 2 - 4 + .5 < 0
        ((1.0, 0, 0), 2, 0.5, 3.5),  # 4 - 0 + .5 = 4.5, 4 - 2 + .5 = 2.5
        ((0.0, 0, 1), 1, 0.5, 0.5),  # as far from each: the margin, what a collapse gives
    ],
)
def test_triplet_center_by_hand(face, label, margin, expected):
    loss = center_loss(margin)(torch.tensor([face]), torch.tensor([label]))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_triplet_center_is_the_mean_over_faces_and_other_classes():
    torch.manual_seed(0)
    loss = TripletCenterLoss(7, 16, 0.5, SQUARED)
    faces, labels = normalize(torch.randn(30, 16)), torch.randint(7, (30,))
    centers = normalize(loss.centers.detach())
    terms = [
        max(0.0, ((face - centers[label]) ** 2).sum().item() - ((face - centers[other]) ** 2).sum().item() + 0.5)
        for face, label in zip(faces, labels.tolist(), strict=True)
        for other in range(7)
        if other != label
    ]
    assert loss(faces, labels).item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_centers_start_orthogonal_and_are_trained():
    loss = TripletCenterLoss(7, 128, 0.5, SQUARED)
    assert torch.allclose(loss.centers @ loss.centers.T, torch.eye(7), atol=1e-5)
    loss(normalize(torch.randn(8, 128)), torch.arange(8) % 7).backward()
    assert (loss.centers.grad.abs().sum(dim=1) > 0).all()


def test_smoothed_softmax_is_cross_entropy_of_scaled_cosines():
    torch.manual_seed(0)
    loss = SmoothedSoftmaxLoss(7, 16, 0.0625, DotProductSimilarity(), label_smoothing=0.1)
    faces, labels = normalize(torch.randn(9, 16)), torch.randint(7, (9,))
    logits = 16 * faces @ normalize(loss.W, dim=0)
    target = torch.full((9, 7), 0.1 / 7).scatter(1, labels.unsqueeze(1), 0.9 + 0.1 / 7)
    by_hand = -(target * logits.log_softmax(1)).sum(1).mean()
    assert loss(faces, labels).item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert by_hand.item() == pytest.approx(cross_entropy(logits, labels, label_smoothing=0.1).item(), rel=1e-5)
    shares = one_hot(labels, 7).float()
    assert loss(faces, shares).item() == pytest.approx(by_hand.item(), rel=1e-5)
    mixed = loss(faces, 0.25 * shares + 0.75 * shares.flip(0)).item()  # what mixup minimises
    assert mixed == pytest.approx(0.25 * by_hand.item() + 0.75 * loss(faces, labels.flip(0)).item(), rel=1e-5)
