"""Rows of a table of faces -> batches (images, labels, rows), augmented for training."""

import logging
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fer_lightning.data.augmentation import Augmentation
from fer_lightning.data.faces import Faces
from fer_lightning.data.progress import track
from fer_lightning.data.scaling import scale

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """What a loader yields."""

    images: Tensor  # (B, 1, H, W) float32 in [-1, 1]
    labels: Tensor  # (B,) int64
    rows: Tensor  # (B,) int64, rows of the table of faces


class Pictures(Dataset[Batch]):
    """Pictures of some rows of a table, read a batch at a time out of its one array."""

    def __init__(self, faces: Faces, rows: np.ndarray) -> None:
        self.images = faces.images  # (N, H, W) uint8
        self.labels = faces.labels[rows]  # (M,)
        self.rows = rows  # (M,)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return one batch; ``DataLoader`` calls this in place of ``__getitem__`` item by item."""
        return Batch(
            images=scale(torch.from_numpy(self.pixels(positions))),
            labels=torch.from_numpy(self.labels[positions]),
            rows=torch.from_numpy(self.rows[positions]),
        )

    def pixels(self, positions: list[int]) -> np.ndarray:
        """Return (B, H, W) uint8, a copy."""
        return self.images[self.rows[positions]]


class TrainingPictures(Pictures):
    """``copies`` pictures of each training face, augmented as ``Augmentation`` says."""

    def __init__(self, faces: Faces, rows: np.ndarray, augmentation: Augmentation) -> None:
        super().__init__(faces, np.tile(rows, augmentation.copies))  # first every face once, then every face again
        self.augmentation = augmentation
        self.epoch = 0
        self.first = augmentation.plain_copies * len(rows)  # position of the first augmented picture
        self.drawn: np.ndarray | None = None  # (M - first, H, W) uint8
        if not augmentation.online and self.first < len(self):
            log.info("drawing %d augmented copies", len(self) - self.first)
            self.drawn = self.images[self.rows[self.first :]]
            for place, image in enumerate(track(self.drawn, "drawing augmented copies")):
                self.drawn[place] = augmentation.chain(image, 0, self.first + place)

    def pixels(self, positions: list[int]) -> np.ndarray:
        """Return (B, H, W) uint8, drawn for this epoch where augmentation is online."""
        images = super().pixels(positions)
        for place, position in enumerate(positions):
            if position >= self.first:
                if self.drawn is not None:
                    images[place] = self.drawn[position - self.first]
                else:
                    images[place] = self.augmentation.chain(images[place], self.epoch, position)
        return images
