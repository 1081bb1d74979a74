"""Batches: classes and faces in each, their order, and the share of each process."""

from itertools import chain

import numpy as np
import pytest

from fer_lightning.data.samplers import ClassSampler, NaturalSampler, OrderedSampler
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


@pytest.mark.parametrize(("batch_size", "classes", "word"), [(32, 8, "exceeds"), (400, 4, "400")])
def test_impossible_batches_name_their_option(batch_size, classes, word):
    with pytest.raises(UserError, match=rf"(data.batch_size|sampler.classes_per_batch)=.*{word}"):
        ClassSampler(LABELS, batch_size, classes, seed=0)


@pytest.mark.parametrize("world_size", [1, 2])
def test_natural_deals_every_picture_once(world_size):
    ranks = [list(NaturalSampler(LABELS, 16, seed=0, world_size=world_size, rank=rank)) for rank in range(world_size)]
    whole = [sorted(chain(*shares)) for shares in zip(*ranks, strict=True)]
    assert [len(batch) for batch in whole] == [16] * (len(LABELS) // 16)
    dealt = list(chain(*whole))
    assert len(set(dealt)) == len(dealt) == 112  # 120 pictures, seven whole batches
    assert whole == [sorted(batch) for batch in NaturalSampler(LABELS, 16, seed=0)]


def test_natural_order_goes_on_where_it_stopped():
    sampler = NaturalSampler(LABELS, 16, seed=0)
    first = list(sampler)
    assert first == list(sampler)
    assert first != list(NaturalSampler(LABELS, 16, seed=1))
    sampler.set_epoch(1)
    second = list(sampler)
    assert first != second
    rest = NaturalSampler(LABELS, 16, seed=0, start=3)
    assert list(rest) == first[3:]
    assert list(rest) == first  # of the first epoch alone
    with pytest.raises(UserError, match="=121 exceeds the 120"):
        NaturalSampler(LABELS, 121, seed=0)
    with pytest.raises(UserError, match="shared equally by 3"):
        NaturalSampler(LABELS, 16, seed=0, world_size=3)


def test_shares_of_a_batch_are_the_batch():
    labels = np.arange(210) % 7
    whole = list(ClassSampler(labels, 28, 7, seed=1, start=2))
    shares = [list(ClassSampler(labels, 28, 7, seed=1, start=2, world_size=4, rank=rank)) for rank in range(4)]
    assert len(whole) == 5
    for batch, *parts in zip(whole, *shares, strict=True):
        assert [part[place] for place in range(7) for part in parts] == batch
    with pytest.raises(UserError, match=r"data\.batch_size=28 .* by 3 processes"):
        ClassSampler(labels, 28, 7, seed=1, world_size=3)


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_rows_are_shared_out_once_in_their_order(processes):
    for size in range(processes, 40):
        shares = [list(OrderedSampler(size, 6, processes, rank)) for rank in range(processes)]
        rows = []
        for parts in zip(*shares, strict=True):  # equally many batches on every process
            assert min(map(len, parts)) > 0
            assert max(map(len, parts)) <= -(-6 // processes) + (processes > 1)
            rows += sorted(row for part in parts for row in part)
            assert [len(part) for part in parts] == sorted(map(len, parts), reverse=True)
        assert rows == list(range(size))
    with pytest.raises(UserError, match=f"{processes - 1} faces cannot be shared by {processes} processes"):
        OrderedSampler(processes - 1, 6, processes, 0)
