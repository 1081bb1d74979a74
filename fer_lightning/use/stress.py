"""A trained network under stress: faces changed in stated ways, each at several strengths, and scored."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fer_lightning.data.augmentation import Chain, Transform
from fer_lightning.data.progress import track
from fer_lightning.errors import UserError
from fer_lightning.report.statistics import intervals
from fer_lightning.report.stress import PLAIN, Outcome
from fer_lightning.use.model import Model


class Stress:
    """Score a model on changed faces.

    Args:
        changes: Name -> "transform", what makes a transform of albumentations from the settings of a strength, and
            "strengths", those settings.
        seed: Draws what a change leaves open; each face has a stream of its own.

    Raises:
        UserError: If a transform does not take its settings.
    """

    def __init__(self, changes: Mapping[str, Mapping[str, Any]], seed: int) -> None:
        self.seed = seed
        self.steps = [
            (name, strength, _words(settings), self._chain(name, change["transform"], settings))
            for name, change in changes.items()
            for strength, settings in enumerate(change["strengths"], 1)
        ]

    def __call__(
        self, model: Model, images: np.ndarray, labels: np.ndarray, groups: np.ndarray, batch_size: int
    ) -> list[Outcome]:
        """Return the accuracy on faces as they are, then under each change and strength.

        Args:
            model: What is scored.
            images: (N, H, W) uint8.
            labels: (N,) int64.
            groups: (N,) int64, the group of twins of each face, which the intervals draw together.
            batch_size: Faces that are computed at once.
        """
        plain = self._score(model, images, labels, groups, batch_size)
        outcomes = [Outcome(PLAIN, 0, "", *plain, 1.0)]
        for name, strength, setting, chain in track(self.steps, "changing and scoring the faces"):
            changed = np.stack([chain(image, strength, row) for row, image in enumerate(images)])
            found = self._score(model, changed, labels, groups, batch_size)
            outcomes.append(Outcome(name, strength, setting, *found, found[0] / plain[0] if plain[0] else 0.0))
        return outcomes

    def sample(self, rows: np.ndarray, limit: int | None) -> np.ndarray:
        """Return so many of some rows at most, drawn by the seed, in their order."""
        return rows if limit is None else np.sort(np.random.default_rng(self.seed).permutation(rows)[:limit])

    def _score(
        self, model: Model, images: np.ndarray, labels: np.ndarray, groups: np.ndarray, batch_size: int
    ) -> tuple[float, float, float]:
        """Return the accuracy and its 95 % interval."""
        predictions = model.answer(images, batch_size).labels
        bounds = intervals(labels, predictions, groups, len(model.classes))["accuracy"]
        return float((predictions == labels).mean()), *bounds

    def _chain(self, name: str, transform: Callable[..., Transform], settings: Mapping[str, Any]) -> Chain:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of arguments that are not known, which Chain refuses
                return Chain([transform(**settings)], self.seed)
        except (TypeError, ValueError) as error:  # pydantic's are ValueErrors too
            line, strength = " ".join(str(error).split()), _words(settings)
            raise UserError(
                f"stress.changes.{name} cannot have the strength {strength}: {line[:1].lower()}{line[1:200]}"
            ) from error


def _words(settings: Mapping[str, Any]) -> str:
    """Return the settings of a strength, a range of one value as that value."""
    return ", ".join(f"{name} {_value(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    one = isinstance(value, Sequence) and len(set(value)) == 1 and not isinstance(value, str)
    return f"{value[0] if one else value}"
