"""Samplers of batches: P classes x K faces for triplet mining, every face once, or faces in their order.

Several processes draw the same batches. Each takes its share: every ``world_size``-th item, from ``rank`` on.
"""

from abc import abstractmethod
from collections.abc import Iterator
from itertools import islice, pairwise

import numpy as np
from torch.utils.data import Sampler

from fer_lightning.errors import UserError
from fer_lightning.kinds import BatchSize, DrawnClasses, Seed


class TrainingSampler(Sampler[list[int]]):
    """Sampler of complete batches in an order that depends only on (seed, epoch); yields this process's share.

    Args:
        labels: (N,) class of each picture in the table.
        batch_size: Pictures in a batch.
        seed: Decides the order, with the epoch.
        start: Number of batches to leave out at the start of the first epoch, which a resumed run has had already.
        world_size: Number of processes that share each batch.
        rank: Number of this process, from 0.

    Raises:
        UserError: If the batch cannot be shared equally or is larger than the table, or ``start`` is larger than the
            number of batches.
    """

    def __init__(
        self, labels: np.ndarray, batch_size: BatchSize, seed: Seed, start: int = 0, world_size: int = 1, rank: int = 0
    ) -> None:
        size = len(labels)
        if batch_size % world_size:
            raise UserError(
                f"data.batch_size={batch_size} cannot be shared equally by {world_size} processes: make it a multiple"
            )
        if size < batch_size:
            raise UserError(f"data.batch_size={batch_size} exceeds the {size} training pictures: make it smaller")
        self.size = size
        self.batches = size // batch_size
        if start > self.batches:
            raise UserError(
                f"the checkpoint stands after batch {start:,} of an epoch, and an epoch has {self.batches:,} here: "
                "resume with the data.batch_size and faces that it was trained with, or take its weights by init_from="
            )
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.start = start
        self.share = slice(rank, None, world_size)

    def __len__(self) -> int:
        return self.batches

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which decides the next order."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        start, self.start = self.start, 0
        for batch in islice(self.deal(np.random.default_rng((self.seed, self.epoch))), start, None):
            yield batch[self.share]

    @abstractmethod
    def deal(self, random: np.random.Generator) -> Iterator[list[int]]:
        """Yield the batches of an epoch for all processes together."""


class ClassSampler(TrainingSampler):
    """Sampler of ``classes_per_batch`` classes with an equal number of pictures of each (FaceNet, section 3.2).

    An epoch has N // ``batch_size`` batches. The pictures of a class come in shuffled order and are shuffled again when
    they are used up, so the pictures of a rare class repeat.

    Args:
        batch_size: Pictures in a batch.
        classes_per_batch: P, classes in a batch.
        seed: Decides the order, with the epoch.

    Raises:
        UserError: As in ``TrainingSampler``, or if fewer classes have pictures. config/agreement.py refuses a batch
            that the classes cannot share equally.
    """

    def __init__(
        self,
        labels: np.ndarray,
        batch_size: BatchSize,
        classes_per_batch: DrawnClasses,
        seed: Seed,
        start: int = 0,
        world_size: int = 1,
        rank: int = 0,
    ) -> None:
        self.rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self.classes = classes_per_batch
        if self.classes > len(self.rows):  # twins that are left out can empty a class
            raise UserError(
                f"sampler.classes_per_batch={self.classes} exceeds the {len(self.rows)} classes of the training faces"
            )
        super().__init__(labels, batch_size, seed, start, world_size, rank)
        self.faces_per_class = batch_size // self.classes

    def deal(self, random: np.random.Generator) -> Iterator[list[int]]:
        """Yield batches of P classes x K pictures."""
        decks = [np.empty(0, dtype=np.int64) for _ in self.rows]
        for _ in range(self.batches):
            batch: list[int] = []
            for label in random.permutation(len(self.rows))[: self.classes]:
                while len(decks[label]) < self.faces_per_class:
                    decks[label] = np.concatenate([decks[label], random.permutation(self.rows[label])])
                batch.extend(decks[label][: self.faces_per_class].tolist())
                decks[label] = decks[label][self.faces_per_class :]
            yield batch


class NaturalSampler(TrainingSampler):
    """Sampler of every picture once an epoch, so that classes are as frequent as in the table.

    Pictures that do not fill a last batch are left out in that epoch.

    Args:
        batch_size: Pictures in a batch.
        seed: Decides the order, with the epoch.
    """

    def deal(self, random: np.random.Generator) -> Iterator[list[int]]:
        """Yield batches of the shuffled pictures."""
        order = random.permutation(self.size)[: self.batches * self.batch_size]
        yield from order.reshape(self.batches, self.batch_size).tolist()


class OrderedSampler(Sampler[list[int]]):
    """Sampler of every row once and in order, with the same number of batches in every process.

    If the last batch has fewer rows than there are processes, its rows are added to the batch before it.

    Args:
        size: N, rows of the table.
        batch_size: Rows in a batch of all processes; rounded up to a multiple of ``world_size``.
        world_size: Number of processes that share each batch.
        rank: Number of this process, from 0.

    Raises:
        UserError: If there are fewer rows than processes.
    """

    def __init__(self, size: int, batch_size: int, world_size: int, rank: int) -> None:
        if size < world_size:
            raise UserError(f"{size} faces cannot be shared by {world_size} processes: lower trainer.devices")
        starts = list(range(0, size, -(-batch_size // world_size) * world_size))
        if len(starts) > 1 and size - starts[-1] < world_size:
            starts.pop()
        self.batches = [range(start + rank, end, world_size) for start, end in pairwise([*starts, size])]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return map(list, self.batches)
