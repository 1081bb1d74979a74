"""Batches of P classes x K faces, the shape that triplet mining needs."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from fer_lightning.errors import UserError


class ClassSampler(Sampler[list[int]]):
    """Draw ``classes_per_batch`` classes and an equal number of pictures of each (FaceNet, section 3.2).

    An epoch has as many whole batches as the table has pictures for. Each class deals its pictures in shuffled
    order and is shuffled anew when they run out, so rare classes repeat. The order depends on (seed, epoch) alone.

    Args:
        labels: (N,) class of each picture in the table.
        batch_size: Pictures in a batch.
        classes_per_batch: P; a table with fewer classes uses all of its own.
        seed: Of the order.
        start: Batches to leave out, in the first epoch alone: where a resumed one goes on.

    Raises:
        UserError: If the batch cannot be made of P classes with two pictures each, or the table is smaller than it.
    """

    def __init__(self, labels: np.ndarray, batch_size: int, classes_per_batch: int, seed: int, start: int = 0) -> None:
        self.rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self.classes = classes_per_batch
        if self.classes < 2 or batch_size % self.classes or batch_size < 2 * self.classes:
            raise UserError(
                f"data.batch_size={batch_size} cannot hold data.classes_per_batch={self.classes} classes with the same "
                "number of faces, two or more, of each: make it a multiple"
            )
        if self.classes > len(self.rows):
            raise UserError(
                f"data.classes_per_batch={self.classes} exceeds the {len(self.rows)} classes of the training faces"
            )
        self.batches = len(labels) // batch_size
        if self.batches == 0:
            raise UserError(
                f"data.batch_size={batch_size} exceeds the {len(labels)} training pictures: make it smaller"
            )
        self.faces_per_class = batch_size // self.classes
        self.seed = seed
        self.epoch = 0
        self.start = start

    def __len__(self) -> int:
        return self.batches

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose order comes next; Lightning calls it before each one."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self.seed, self.epoch))
        start, self.start = self.start, 0
        decks = [np.empty(0, dtype=np.int64) for _ in self.rows]
        for number in range(self.batches):
            batch: list[int] = []
            for label in random.permutation(len(self.rows))[: self.classes]:
                while len(decks[label]) < self.faces_per_class:
                    decks[label] = np.concatenate([decks[label], random.permutation(self.rows[label])])
                batch.extend(decks[label][: self.faces_per_class].tolist())
                decks[label] = decks[label][self.faces_per_class :]
            if number >= start:
                yield batch
