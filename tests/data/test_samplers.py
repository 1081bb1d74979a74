import numpy as np
import pytest

from fer_lightning.data.samplers import ClassSampler
from fer_lightning.errors import UserError

LABELS = np.repeat(np.arange(7), [5, 10, 20, 20, 20, 20, 25])


@pytest.mark.parametrize("batch_size", [8, 16, 32])
def test_every_batch_has_p_classes_of_k_faces(batch_size):
    batches = list(ClassSampler(LABELS, batch_size, 4, seed=0))
    assert len(batches) == len(LABELS) // batch_size
    for batch in batches:
        _, counts = np.unique(LABELS[batch], return_counts=True)
        assert counts.tolist() == [batch_size // 4] * 4


def test_order_depends_on_seed_and_epoch_alone():
    sampler = ClassSampler(LABELS, 16, 4, seed=0)
    first = list(sampler)
    assert first == list(sampler)
    sampler.set_epoch(1)
    assert first != list(sampler)


@pytest.mark.parametrize(("batch_size", "classes", "word"), [(18, 4, "multiple"), (32, 8, "exceeds"), (400, 4, "400")])
def test_impossible_batches_name_their_option(batch_size, classes, word):
    with pytest.raises(UserError, match=rf"data\.(batch_size|classes_per_batch)=.*{word}"):
        ClassSampler(LABELS, batch_size, classes, seed=0)
