"""k-NN: votes by hand and against brute force, ties, the choice of k."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fer_lightning.models.knn import KNNClassifier
from tests.conftest import angles


def classifier(k: int, weights: str = "uniform", temperature: float = 0.1) -> KNNClassifier:
    knn = KNNClassifier(k, [], weights, temperature, num_classes=3, embedding_size=2)
    knn.fit(angles(0, 10, 20, 90, 100), torch.tensor([0, 1, 1, 2, 2]))
    return knn


def test_five_points_by_hand():
    # A query at 2 degrees is 2, 8, 18, 88 and 98 degrees away from the five.
    query = angles(2)
    assert classifier(1).decide(query)[0].tolist() == [0]
    prediction, votes, _ = classifier(3).decide(query)
    assert prediction.tolist() == [1]
    assert torch.allclose(votes, torch.tensor([[1 / 3, 2 / 3, 0]]))
    assert classifier(3).decide(query).neighbours.indices.tolist() == [[0, 1, 2]]


def test_similarity_votes_by_hand():
    weights = [math.exp(math.cos(math.radians(d)) / 0.1) for d in (2, 8, 18)]
    _, votes, _ = classifier(3, "similarity").decide(angles(2))
    expected = torch.tensor([[weights[0], weights[1] + weights[2], 0]]) / sum(weights)
    assert torch.allclose(votes, expected, atol=1e-4)  # similarities lie on a grid of 2**-20


def test_ties_go_to_the_earlier_face_and_the_nearer_class():
    knn = KNNClassifier(1, [], "uniform", 0.1, num_classes=3, embedding_size=2)
    knn.fit(angles(10, -10, 10), torch.tensor([2, 1, 0]))  # all equally near to 0 degrees
    assert knn.decide(angles(0))[0].tolist() == [2]
    assert classifier(2).decide(angles(2))[0].tolist() == [0]  # one vote each for 0 and 1; 0 is nearer
    assert classifier(4).decide(angles(96))[0].tolist() == [2]


def test_large_k_lets_all_vote_and_an_empty_gallery_is_refused():
    knn = classifier(50)
    assert knn.decide(angles(2)).neighbours.indices.shape == (1, 5)
    with pytest.raises(RuntimeError, match="knows no face"):
        KNNClassifier(1, [], "uniform", 0.1, 3, 2).decide(angles(0))


@pytest.mark.parametrize("spread", [1.0, 1e-3])  # far apart; closer than float32 can tell, with many ties
def test_chunks_agree_with_brute_force(monkeypatch, spread):
    torch.manual_seed(0)
    centre = torch.eye(16)[0]
    gallery, queries = (normalize(centre + spread * torch.randn(n, 16)) for n in (300, 50))
    gallery[-50:] = gallery[:50]
    knn = KNNClassifier(7, [], "uniform", 0.1, 3, 16)
    knn.fit(gallery, torch.randint(0, 3, (300,)))
    grid = np.rint(queries.double().numpy() @ gallery.double().numpy().T * 2**20)
    rows = np.argsort(-grid, axis=1, kind="stable")[:, :7]  # of equals the earlier row
    similarities = np.take_along_axis(grid, rows, axis=1) / 2**20
    for queries_at_once, rows_at_once in ((256, 2048), (3, 5), (1, 299)):  # five are fewer than k
        monkeypatch.setattr("fer_lightning.models.classifiers.QUERIES", queries_at_once)
        monkeypatch.setattr("fer_lightning.models.knn.ROWS", rows_at_once)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            neighbours = knn.decide(queries).neighbours
        assert np.array_equal(neighbours.indices, rows)
        assert np.array_equal(neighbours.similarities, similarities)


def test_held_in_accuracy_asks_the_rest_of_the_gallery():
    torch.manual_seed(0)
    gallery, labels = normalize(torch.randn(200, 4)), torch.randint(0, 3, (200,))
    knn = KNNClassifier(1, [], "uniform", 0.1, num_classes=3, embedding_size=4)
    knn.fit(gallery, labels)
    assert torch.equal(knn.decide(gallery)[0], labels)  # each face is its own nearest
    sample = np.random.default_rng(0).permutation(200)[:50]
    rest = np.setdiff1d(np.arange(200), sample)
    nearest = rest[(gallery[sample] @ gallery[rest].T).argmax(dim=1).numpy()]
    expected = (labels[nearest] == labels[sample]).float().mean().item()
    assert 0.2 < expected < 0.6
    assert knn.held_in_accuracy() == pytest.approx(expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees_with_cpu():
    torch.manual_seed(0)
    knn = KNNClassifier(30, [], "similarity", 0.1, 7, 128)
    knn.fit(normalize(torch.randn(5000, 128)), torch.randint(0, 7, (5000,)))
    queries = normalize(torch.randn(500, 128))
    expected = knn.decide(queries).neighbours.indices
    assert torch.equal(knn.cuda().decide(queries.cuda()).neighbours.indices.cpu(), expected)


def test_choose_votes_with_every_candidate_and_keeps_the_best():
    torch.manual_seed(0)
    gallery, queries = (normalize(torch.randn(n, 4)) for n in (60, 25))
    labels, truth = torch.randint(0, 3, (60,)), torch.randint(0, 3, (25,))
    knn = KNNClassifier(None, [1, 5, 20, 90], "similarity", 0.1, 3, 4)
    assert knn.k == 20  # nothing chosen yet
    knn.fit(gallery, labels)
    scores = knn.choose(queries, truth)
    by_itself = {}
    for k in (1, 5, 20, 90):  # 90 is more than there are
        alone = KNNClassifier(k, [], "similarity", 0.1, 3, 4)
        alone.fit(gallery, labels)
        by_itself[f"accuracy_k{k}"] = (alone.decide(queries)[0] == truth).double().mean().item()
    assert scores == {**by_itself, "k": knn.k}
    assert scores[f"accuracy_k{knn.k}"] == max(by_itself.values())


def test_of_equal_candidates_the_smallest_is_kept():
    knn = KNNClassifier(None, [5, 2, 1], "uniform", 0.1, 3, 2)
    knn.fit(angles(0, 10, 20, 90, 100), torch.tensor([0, 1, 1, 2, 2]))
    assert knn.choose(angles(2), torch.tensor([1])) == {"accuracy_k5": 1, "accuracy_k2": 0, "accuracy_k1": 0, "k": 5}
    assert knn.choose(angles(91), torch.tensor([2])) == {"accuracy_k5": 1, "accuracy_k2": 1, "accuracy_k1": 1, "k": 1}


def test_chosen_k_is_saved_and_a_configured_k_stays():
    saved = KNNClassifier(None, [1, 2], "uniform", 0.1, 3, 2)
    saved.fit(angles(0, 10, 20, 90, 100), torch.tensor([0, 1, 1, 2, 2]))
    saved.choose(angles(2), torch.tensor([0]))
    assert saved.k == 1
    again, asked = (KNNClassifier(k, [1, 2], "uniform", 0.1, 3, 2) for k in (None, 4))
    assert again.k == 2
    again.load_state_dict(saved.state_dict())
    asked.load_state_dict(saved.state_dict())
    assert (again.k, asked.k) == (1, 4)


def test_a_given_k_stays_and_a_candidate_may_be_named_twice():
    knn = KNNClassifier(3, [1, 2], "uniform", 0.1, 3, 2)
    knn.fit(angles(0, 10, 20, 90, 100), torch.tensor([0, 1, 1, 2, 2]))
    assert knn.choose(angles(2), torch.tensor([0])) == {"accuracy_k1": 1, "accuracy_k2": 1, "k": 3}
    assert classifier(3).choose(angles(2), torch.tensor([0])) == {"k": 3}
    twice = KNNClassifier(None, [1, 1], "uniform", 0.1, 3, 2)
    twice.fit(angles(0, 90), torch.tensor([0, 1]))
    assert twice.choose(angles(2), torch.tensor([0])) == {"accuracy_k1": 1, "k": 1}
