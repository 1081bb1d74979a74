"""Every classifier keeps the contract."""

import pytest
import torch

from fer_lightning.models.classifiers import Classifier
from fer_lightning.models.knn import KNNClassifier
from fer_lightning.models.linear_classifiers import LinearClassifier, PrototypeClassifier
from tests.conftest import angles


def heads(num_classes: int = 3) -> list[Classifier]:
    return [
        KNNClassifier(3, [], "uniform", 0.1, num_classes, 2),
        PrototypeClassifier(0.1, num_classes, 2),
        LinearClassifier(10.0, 1000, num_classes, 2),
    ]


@pytest.mark.parametrize("head", range(3))
def test_every_head_keeps_the_contract(head):
    known, other, empty = heads()[head], heads()[head], heads()[head]
    with pytest.raises(RuntimeError, match="knows no face"):
        empty.decide(angles(0))
    for embeddings, labels in ((torch.ones(4, 3), torch.ones(4)), (angles(1, 2), torch.ones(3)), (angles(), angles())):
        with pytest.raises(ValueError, match=r"not \(N, 2\)|do not go with"):
            empty.fit(embeddings, labels.long())
    other.fit(angles(5, 95), torch.tensor([2, 0]))
    known.fit(angles(0, 10, 20, 90, 100), torch.tensor([0, 1, 1, 2, 2]))
    queries = angles(-1, 14, 97)
    labels, votes, _ = known.decide(queries)
    assert votes.dtype == torch.float32
    assert torch.allclose(votes.sum(dim=1), torch.ones(3))
    assert torch.equal(other.decide(queries)[1], votes) is False
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(known.decide(queries)[1], votes)
    for fresh in (other, empty):  # whatever they have learnt before
        fresh.load_state_dict(known.state_dict())
        assert torch.equal(fresh.decide(queries)[0], labels)
        assert torch.equal(fresh.decide(queries)[1], votes)
        assert fresh.held_in_accuracy() == known.held_in_accuracy()
    with pytest.raises(RuntimeError, match="Missing key"):
        known.load_state_dict(heads()[0 if head else 1].state_dict())
