"""Robustness of a trained network: its accuracy on test faces that are changed, at several strengths of each change."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from fer_lightning.data.augmentation import Chain, Transform
from fer_lightning.errors import UserError
from fer_lightning.kinds import OpenPart, Seed, Strengths
from fer_lightning.progress import track
from fer_lightning.report.statistics import intervals
from fer_lightning.report.stress import PLAIN, Outcome
from fer_lightning.use.model import Model


class Change(TypedDict):
    """One change of a face.

    Attributes:
        transform: Partial transform of albumentations; the strengths give the rest of its arguments.
        strengths: Arguments of each strength, the weakest first.
    """

    transform: OpenPart[Any]
    strengths: Strengths


class Stress:
    """Score a model on changed faces.

    Args:
        changes: Changes of a face by their names.
        seed: Draws what a change leaves open; each face has a stream of its own.

    Raises:
        UserError: If a transform refuses its arguments.
    """

    def __init__(self, changes: dict[str, Change], seed: Seed) -> None:
        self.seed = seed
        self.steps = [
            (name, strength, _settings(arguments), self._chain(name, change["transform"], arguments))
            for name, change in changes.items()
            for strength, arguments in enumerate(change["strengths"], 1)
        ]

    def __call__(
        self, model: Model, images: np.ndarray, labels: np.ndarray, groups: np.ndarray, batch_size: int
    ) -> list[Outcome]:
        """Return the accuracy on unchanged faces, then under each change and strength.

        Args:
            model: The model to score.
            images: (N, H, W) uint8.
            labels: (N,) int64.
            groups: (N,) int64, the group of twins of each face; intervals draw whole groups.
            batch_size: Faces that are computed at once.
        """

        def score(faces: np.ndarray) -> tuple[float, float, float]:
            predictions = model.answer(faces, batch_size).labels
            low, high = intervals(labels, predictions, groups, len(model.classes))["accuracy"]
            return float((predictions == labels).mean()), low, high

        plain = score(images)
        outcomes = [Outcome(PLAIN, 0, "", *plain, 1.0)]
        for name, strength, setting, chain in track(self.steps, "changing and scoring the faces"):
            scores = score(np.stack([chain(image, strength, row) for row, image in enumerate(images)]))
            remains = scores[0] / plain[0] if plain[0] else 0.0
            outcomes.append(Outcome(name, strength, setting, *scores, remains))
        return outcomes

    def sample(self, rows: np.ndarray, limit: int | None) -> np.ndarray:
        """Return at most ``limit`` of the rows, drawn by the seed, in their order."""
        return rows if limit is None else np.sort(np.random.default_rng(self.seed).permutation(rows)[:limit])

    def _chain(self, name: str, transform: Callable[..., Transform], arguments: Mapping[str, Any]) -> Chain:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about unknown arguments, which Chain refuses
                return Chain([transform(**arguments)], self.seed)
        except (TypeError, ValueError) as error:  # a pydantic error is a ValueError
            line = " ".join(str(error).split())
            raise UserError(
                f"stress.changes.{name} cannot have the strength {_settings(arguments)}: "
                f"{line[:1].lower()}{line[1:200]}"
            ) from error


def _settings(arguments: Mapping[str, Any]) -> str:
    """Return the arguments as text; a range of one value is written as that value."""
    texts = []
    for name, value in arguments.items():
        if isinstance(value, Sequence) and not isinstance(value, str) and len(set(value)) == 1:
            value = value[0]
        texts.append(f"{name} {value}")
    return ", ".join(texts)
