"""How sure a network is: votes made probabilities, and the faces that it would rather say nothing of. No torch."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from fer_lightning.errors import UserError
from fer_lightning.words import percent

KEY = "calibration"  # of a checkpoint and of a model's description
BINS = 15  # of equal width, by which calibration is measured, as in C. Guo et al., arXiv:1706.04599
COOLEST, HOTTEST = 0.05, 20.0  # temperatures between which one is looked for

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Temperature = Annotated[float, Field(ge=COOLEST, le=HOTTEST, allow_inf_nan=False)]
Smoothing = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Distance = Annotated[float, Field(ge=0, le=2.001, allow_inf_nan=False)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Calibration:
    """What validation faces say of votes; without anything it leaves votes as they are and abstains from no face.

    Attributes:
        temperature: Divisor of the votes' logarithms (C. Guo et al., arXiv:1706.04599); None: votes stay as they are.
        smoothing: Added to each share before, so that one of 0 has a logarithm: one neighbour's (Laplace's rule of
            succession).
        accuracy: Asked for, of the faces that are answered; None where no face is abstained from.
        near: Share of the validation faces that count as near enough to the known ones.
        confidence: Calibrated vote below which a face is abstained from; None where ``accuracy`` is, or out of reach.
        distance: Euclidean distance of the nearest known face beyond which a face is abstained from; None as for
            ``confidence``, and where no single faces decide.
        scores: What comes of it on the validation faces: ``calibration_error_raw`` and ``calibration_error`` before and
            after, the share ``answered`` and its ``accuracy_answered``, and ``accuracy_reachable``, the most that the
            surest of them reach.
    """

    temperature: Temperature | None = None
    smoothing: Smoothing | None = None
    accuracy: Share | None = None
    near: Share | None = None
    confidence: Share | None = None
    distance: Distance | None = None
    scores: dict[str, Share] = Field(default_factory=dict)

    def probabilities(self, votes: np.ndarray) -> np.ndarray:
        """Return calibrated votes (N, C) float32, which order the classes as the shares of the vote (N, C) do."""
        if self.temperature is None or self.smoothing is None:
            return votes
        return heated(votes, self.temperature, self.smoothing)

    def abstains(self, confidence: np.ndarray, distances: np.ndarray | None) -> np.ndarray:
        """Return from which faces the network abstains (N,) bool.

        Args:
            confidence: (N,) calibrated votes for the winning classes.
            distances: (N,) of the nearest known faces, Euclidean; None where no single faces decide.
        """
        unsure = np.zeros(len(confidence), dtype=bool)
        if self.confidence is not None:
            unsure |= confidence < self.confidence
        if self.distance is not None and distances is not None:
            unsure |= distances > self.distance
        return unsure

    def __str__(self) -> str:
        """Return it as a sentence for people."""
        if self.temperature is None:
            return (
                "votes are shares, not calibrated, and no face is abstained from: validation faces have chosen nothing"
            )
        if self.accuracy is None:
            return f"votes calibrated, temperature {self.temperature:.2f}; no face is abstained from"
        if self.confidence is None:
            return (
                f"votes calibrated, temperature {self.temperature:.2f}; no face is abstained from, since "
                f"model.abstention.accuracy={self.accuracy:g} is out of reach: the surest validation faces come to "
                f"{percent(self.scores['accuracy_reachable'])} at most"
            )
        far = "" if self.distance is None else f" or the nearest training face farther than {self.distance:.3f}"
        return (
            f"votes calibrated, temperature {self.temperature:.2f}; abstains where the vote is below "
            f"{percent(self.confidence)}{far}, so that of the validation faces {percent(self.scores['answered'])} were "
            f"answered, {percent(self.scores['accuracy_answered'])} of them rightly"
        )


def heated(votes: np.ndarray, temperature: float, smoothing: float) -> np.ndarray:
    """Return the softmax (N, C) float32 of the smoothed votes' logarithms over a temperature."""
    powers = np.exp(log_votes(votes, smoothing) / temperature)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def log_votes(votes: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the logarithms (N, C) float64 of smoothed shares of the vote, 0 for the largest of each face."""
    logits = np.log(votes.astype(np.float64) + smoothing)
    return logits - logits.max(axis=1, keepdims=True)


def to_distance(similarities: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances, 0 to 2, of unit vectors with these cosine similarities."""
    return np.sqrt(np.maximum(0.0, 2 - 2 * similarities))


def read_calibration(content: Mapping[str, Any], source: str) -> Calibration:
    """Return the calibration that a checkpoint or a description holds; of one from before there was any, an empty one.

    Raises:
        UserError: If it is none that a training saves.
    """
    try:
        return Calibration(**content.get(KEY, {}))
    except (ValidationError, TypeError) as error:
        line = " ".join(str(error).split())
        raise UserError(f"{source} holds a {KEY} that no training saves ({line:.150}): give another") from error
