"""Triplets, loss and telemetry against brute force."""

import pytest
import torch
from hydra.utils import instantiate
from torch.nn.functional import normalize

from fer_lightning.models.metrics import classification_metrics, present_alone, triplet_telemetry


def brute_force(embeddings, labels):
    for a in range(len(labels)):
        for p in range(len(labels)):
            for n in range(len(labels)):
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    positive = (embeddings[a] - embeddings[p]).square().sum().item()
                    negative = (embeddings[a] - embeddings[n]).square().sum().item()
                    yield (a, p, n), positive, negative


def batch():
    torch.manual_seed(0)
    return normalize(torch.randn(12, 8)), torch.arange(4).repeat(3)


def test_semihard_triplets_and_loss_against_brute_force(make_cfg):
    cfg = make_cfg("loss=triplet")
    miner, loss = instantiate(cfg.miner), instantiate(cfg.loss)
    embeddings, labels = batch()
    expected = {t: p - n + 0.2 for t, p, n in brute_force(embeddings, labels) if p < n <= p + 0.2}
    mined = miner(embeddings, labels)
    assert set(zip(*(index.tolist() for index in mined), strict=True)) == set(expected)
    value = loss(embeddings, labels, mined).item()
    assert abs(value - sum(expected.values()) / len(expected)) < 1e-5


def test_telemetry_against_brute_force():
    embeddings, labels = batch()
    triplets = list(brute_force(embeddings, labels))
    active = [t for t, positive, negative in triplets if positive + 0.2 > negative]
    found = triplet_telemetry(embeddings, labels, None, margin=0.2)
    assert found["triplets"] == len(triplets)
    assert found["active_triplets"] == len(active)
    assert abs(found["active_share"].item() - len(active) / len(triplets)) < 1e-6
    distances = torch.cdist(embeddings, embeddings)
    same = (labels[:, None] == labels) & ~torch.eye(12, dtype=torch.bool)
    assert torch.allclose(found["positive_distance"], distances[same].mean(), atol=1e-5)
    assert torch.allclose(found["negative_distance"], distances[labels[:, None] != labels].mean(), atol=1e-5)


def test_violated_and_passed_over_against_brute_force(make_cfg):
    embeddings, labels = batch()
    wrong = {t for t, positive, negative in brute_force(embeddings, labels) if positive >= negative}
    count = len(list(brute_force(embeddings, labels)))
    for miner, seen in (("semihard", 0), ("hard", len(wrong)), ("all", len(wrong))):
        mined = instantiate(make_cfg("loss=triplet", f"miner={miner}").miner)(embeddings, labels)
        found = triplet_telemetry(embeddings, labels, mined, margin=0.2)
        assert found["violated_share"].item() == pytest.approx(len(wrong) / count)
        assert found["passed_over_share"].item() == pytest.approx(1 - seen / len(wrong))
    mined = instantiate(make_cfg("loss=triplet", "miner=facenet").miner)(embeddings, labels)
    chosen = set(zip(*(index.tolist() for index in mined), strict=True))
    share = triplet_telemetry(embeddings, labels, mined, 0.2)["passed_over_share"].item()
    assert 0 < len(chosen & wrong) < len(wrong)
    assert share == pytest.approx(1 - len(chosen & wrong) / len(wrong))


def test_spread_shows_a_collapse():
    labels = torch.arange(4).repeat(3)
    collapsed = triplet_telemetry(normalize(torch.ones(12, 8)), labels, None, 0.2)
    assert collapsed["spread"] < 1e-3
    assert collapsed["active_share"] == 1
    apart = triplet_telemetry(torch.eye(12), labels, None, 0.2)
    assert apart["spread"] > 0.95


def test_means_leave_out_a_class_without_faces():
    """As scikit-learn's balanced_accuracy_score, f1_score(labels=...) and so on do."""
    metrics = classification_metrics(["a", "b", "c"])
    metrics.update(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 0, 1, 1]))
    scores = metrics.compute()
    assert present_alone(scores, "", ["a", "b", "c"], []) == scores
    assert scores["balanced_accuracy"] == pytest.approx(0.5)  # a third class, which the network answered, counts as 0
    rest = {name: score.item() for name, score in present_alone(scores, "", ["a", "b", "c"], ["c"]).items()}
    assert rest["accuracy"] == 0.75
    assert (rest["balanced_accuracy"], rest["macro_recall"], rest["macro_precision"]) == (0.75, 0.75, 1.0)
    assert rest["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert not any(name.endswith("_c") for name in rest)
