"""Pictures: rows of a table of faces -> batches (images, labels, rows), augmented for training."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fer_lightning.data.faces import Faces
from fer_lightning.data.rendering import Step, unchanged
from fer_lightning.progress import track

if TYPE_CHECKING:  # a trained network imports this module too, and should not wait for albumentations
    from fer_lightning.data.augmentation import Augmentation

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """A batch of a loader."""

    images: Tensor  # (B, 1, H, W) float32 in [-1, 1]
    labels: Tensor  # (B,) int64
    rows: Tensor  # (B,) int64, rows of the table of faces
    targets: Tensor = torch.empty(0)  # of training: (B,) int64 labels, or (B, C) float32, shares of the classes
    draws: Tensor = torch.empty(0)  # (B, K) float32, by which the device makes the images, which are then (B, 0)


Mixing: TypeAlias = Callable[[Batch, int, int], Batch]


def scale(pixels: Tensor) -> Tensor:
    """Return the input of a network, (B, 1, H, W) float32 in [-1, 1], from pixels (B, H, W), 0 to 255."""
    return pixels.unsqueeze(1).float().div(127.5).sub(1)


class Pictures(Dataset[Batch]):
    """Pictures of some rows of a table, read batch by batch from its one array."""

    def __init__(self, faces: Faces, rows: np.ndarray) -> None:
        self.images = faces.images  # (N, H, W) uint8
        self.labels = faces.labels[rows]  # (M,)
        self.rows = rows  # (M,)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return one batch; ``DataLoader`` calls this instead of one ``__getitem__`` for each picture."""
        return Batch(
            images=scale(torch.from_numpy(self.pixels(positions))),
            labels=torch.from_numpy(self.labels[positions]),
            rows=torch.from_numpy(self.rows[positions]),
        )

    def pixels(self, positions: list[int]) -> np.ndarray:
        """Return (B, H, W) uint8, a copy."""
        return self.images[self.rows[positions]]


class TrainingPictures(Pictures):
    """``copies`` pictures of each training face, as ``Augmentation`` describes them."""

    def __init__(
        self, faces: Faces, rows: np.ndarray, augmentation: "Augmentation", mixing: Mixing, targets: np.ndarray | None
    ) -> None:
        super().__init__(faces, np.tile(rows, augmentation.copies))  # all faces once, then all faces again, and so on
        self.augmentation = augmentation
        self.mixing = mixing
        self.targets = None if targets is None else np.tile(targets, (augmentation.copies, 1))  # (M, C) float32
        self.epoch, self.epochs = 0, 1
        self.first = augmentation.plain_copies * len(rows)  # position of the first augmented picture
        self.drawn: np.ndarray | None = None  # (M - first, H, W) uint8
        self.steps: list[Step] | None = None  # of a device that renders the pictures
        if not augmentation.online and self.first < len(self):
            log.info("drawing %d augmented copies", len(self) - self.first)
            self.drawn = self.images[self.rows[self.first :]]
            for index, image in enumerate(track(self.drawn, "drawing augmented copies")):
                self.drawn[index] = augmentation.chain(image, 0, self.first + index)

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return one batch with its targets, mixed, or with draws where the device renders the pictures."""
        labels, rows = (torch.from_numpy(values[positions]) for values in (self.labels, self.rows))
        targets = labels if self.targets is None else torch.from_numpy(self.targets[positions])
        if self.steps is not None:
            draws = torch.tensor([self._draw(position) for position in positions])
            return Batch(torch.empty(len(positions), 0), labels, rows, targets, draws)
        images = scale(torch.from_numpy(self.pixels(positions)))
        return self.mixing(Batch(images, labels, rows, targets), self.epoch, self.epochs)

    def _draw(self, position: int) -> list[float]:
        """Return the draw of one picture for ``render``."""
        steps: Any = self.steps
        if position < self.first:
            return unchanged(steps)
        return self.augmentation.chain.draw(steps, self.images.shape[1:], self.epoch, position)

    def pixels(self, positions: list[int]) -> np.ndarray:
        """Return (B, H, W) uint8; augmented pictures are drawn for this epoch if augmentation is online."""
        images = super().pixels(positions)
        for index, position in enumerate(positions):
            if position < self.first:
                continue
            if self.drawn is not None:
                images[index] = self.drawn[position - self.first]
            else:
                images[index] = self.augmentation.chain(images[index], self.epoch, position)
        return images
