"""Even draws of faces, in which each class keeps its share."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fer_lightning.errors import reading

KEY = "draw"  # in a checkpoint


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Draw:
    """The part of the faces that a limit of the Trainer leaves to a validation.

    Attributes:
        gallery: Rows of the training faces that the classifier is fitted on, in its order.
        training: Number of training faces.
        validated: Number of validation faces that are scored.
        validation: Number of validation faces.
    """

    gallery: list[int]
    training: int
    validated: int
    validation: int

    def __str__(self) -> str:
        """Return a sentence for people."""
        return (
            "a limit of the Trainer, such as trainer.limit_val_batches, leaves an even draw of the faces: the "
            f"classifier is fitted on {len(self.gallery):,} of {self.training:,} training faces, and validated on "
            f"{self.validated:,} of {self.validation:,} validation faces"
        )


def read_draw(content: Mapping[str, Any], source: str) -> Draw | None:
    """Return the draw that a checkpoint contains; None if its classifier was fitted on all training faces.

    Raises:
        UserError: If a value is not one that a training saves.
    """
    if content.get(KEY) is None:
        return None
    with reading(KEY, source):
        draw = Draw(**content[KEY])
    return draw


def even_draw_first(labels: np.ndarray, batch_size: int, limit: int | float) -> np.ndarray:
    """Return positions (N,), those of an even draw first: the batches that a limit of the Trainer leaves are this draw.

    A folder's faces stand sorted by class, so that its first batches would be of one class alone.

    Args:
        labels: (N,) int64.
        batch_size: Faces in a batch.
        limit: Number of batches, or as a float their share, as in ``trainer.limit_val_batches``.
    """
    batches = math.ceil(len(labels) / batch_size)
    size = batch_size * (int(batches * limit) if isinstance(limit, float) else limit)
    if size >= len(labels):
        return np.arange(len(labels))
    drawn = np.zeros(len(labels), dtype=bool)
    drawn[np.argsort(labels, kind="stable")[(2 * np.arange(size) + 1) * len(labels) // (2 * size)]] = True
    return np.concatenate([np.flatnonzero(drawn), np.flatnonzero(~drawn)])
