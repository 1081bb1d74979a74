"""Calibration of votes and abstention from uncertain faces. Imports neither torch nor scipy until it is fitted."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fer_lightning.errors import reading
from fer_lightning.kinds import NotNegative, Positive, Share
from fer_lightning.words import percent

if TYPE_CHECKING:
    from torch import Tensor

    from fer_lightning.models.classifiers import Decision

KEY = "calibration"  # in a checkpoint and in a model's description
BINS = 15  # bins of equal width for the calibration error, as in C. Guo et al., arXiv:1706.04599
COOLEST, HOTTEST = 0.05, 20.0  # range of temperatures
NO_NEIGHBOURS = 1e-6  # smoothing of softmax votes, which are 0 only for a class without a face
FEWEST = 30  # answered faces that a threshold needs: of fewer, one error moves the accuracy by 3 points or more


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
class Calibration:
    """Temperature and thresholds chosen on the validation faces. The default changes nothing and never abstains.

    The scores are those of the validation faces: ``calibration_error_raw`` and ``calibration_error`` before and after,
    the share ``answered`` and its ``accuracy_answered``, and ``accuracy_reachable``, the highest of any threshold.
    """

    temperature: Positive | None = None  # divisor of the logarithms of the votes (arXiv:1706.04599); None: shares stay
    smoothing: Positive | None = None  # added to each share first: that of one neighbour (Laplace's rule of succession)
    accuracy: Share | None = None  # wanted of the answered faces; None: every face is answered
    near: Share | None = None  # share of the validation faces that count as near enough to the gallery
    confidence: Share | None = None  # calibrated vote below which the model abstains; None without ``accuracy``
    distance: NotNegative | None = None  # to the nearest gallery face, above which it abstains; None without a gallery
    scores: dict[str, Share] = Field(default_factory=dict)

    def probabilities(self, votes: np.ndarray) -> np.ndarray:
        """Return calibrated votes (N, C) float32 for shares of the vote (N, C); the order of the classes stays."""
        if self.temperature is None or self.smoothing is None:
            return votes
        return apply_temperature(votes, self.temperature, self.smoothing)

    def abstains(self, confidence: np.ndarray, distances: np.ndarray | None) -> np.ndarray:
        """Return whether the model abstains from each face, (N,) bool.

        Args:
            confidence: (N,) calibrated votes of the winning classes.
            distances: (N,) of the nearest gallery faces; None if the classifier keeps no faces.
        """
        unsure = np.zeros(len(confidence), dtype=bool)
        if self.confidence is not None:
            unsure |= confidence < self.confidence
        if self.distance is not None and distances is not None:
            unsure |= distances > self.distance
        return unsure

    def __str__(self) -> str:
        """Return a sentence for people."""
        if self.temperature is None:
            return "votes are not calibrated, and every face is answered: there was no validation"
        calibrated = f"votes calibrated, temperature {self.temperature:.2f}"
        if self.accuracy is None:
            return f"{calibrated}; every face is answered"
        if self.confidence is None:
            return (
                f"{calibrated}; every face is answered, since model.abstention.accuracy={self.accuracy:g} is out of "
                f"reach: the surest validation faces come to {percent(self.scores['accuracy_reachable'])} at most"
            )
        far = "" if self.distance is None else f" or the nearest training face farther than {self.distance:.3f}"
        return (
            f"{calibrated}; abstains where the vote is below {percent(self.confidence)}{far}, so that of the "
            f"validation faces {percent(self.scores['answered'])} were answered, "
            f"{percent(self.scores['accuracy_answered'])} of them rightly"
        )


def read_calibration(content: Mapping[str, Any], source: str) -> Calibration:
    """Return the calibration in a checkpoint or a description, or the default; refuse what no training saves."""
    with reading(KEY, source):
        calibration = Calibration(**content.get(KEY, {}))
        if (calibration.temperature is None) != (calibration.smoothing is None):
            raise ValueError("temperature and smoothing belong together")
        str(calibration)  # this sentence needs some of the scores
    return calibration


def calibrate(decision: "Decision", labels: "Tensor", accuracy: float | None, near: float) -> Calibration:
    """Return the calibration chosen on validation faces.

    Args:
        decision: Decision about B validation faces.
        labels: (B,) int64, their labels.
        accuracy: Wanted accuracy of the answered faces, 0 to 1; None: every face is answered.
        near: Share of the faces that count as near enough to the gallery, 0 to 1.
    """
    votes, predictions, truth = (tensor.cpu().numpy() for tensor in (decision.votes, decision.labels, labels))
    if decision.neighbours is None:
        smoothing, distances, limit, close = NO_NEIGHBOURS, None, None, np.ones(len(truth), dtype=bool)
    else:
        similarities = decision.neighbours.similarities.cpu().numpy()  # (B, K)
        smoothing, distances = 1 / similarities.shape[1], to_distance(similarities[:, 0])
        limit = float(np.quantile(distances, near))
        close = distances <= limit
    temperature = fit_temperature(votes, truth, smoothing)
    right, rows = predictions == truth, np.arange(len(truth))
    confidence = apply_temperature(votes, temperature, smoothing)[rows, predictions]
    threshold, reachable = choose_threshold(confidence[close], right[close], 0.0 if accuracy is None else accuracy)
    if accuracy is None:
        threshold = None
    if threshold is None:
        limit = None
    calibration = Calibration(temperature, smoothing, accuracy, near, threshold, limit)
    answered = ~calibration.abstains(confidence, distances)
    scores = {
        "calibration_error_raw": calibration_error(votes[rows, predictions], right),
        "calibration_error": calibration_error(confidence, right),
        "answered": float(answered.mean()),
        "accuracy_answered": float(right[answered].mean()),
        "accuracy_reachable": reachable,
    }
    return replace(calibration, scores=scores)


def fit_temperature(votes: np.ndarray, labels: np.ndarray, smoothing: float) -> float:
    """Return the temperature of votes (N, C) with the highest likelihood of the labels (N,).

    In 1 / temperature there is one maximum.
    """
    from scipy.optimize import minimize_scalar  # slow to import
    from scipy.special import logsumexp

    logits = log_votes(votes, smoothing)
    label_logits = logits[np.arange(len(labels)), labels]

    def loss(logarithm: float) -> float:
        coolness = np.exp(-logarithm)
        return float((logsumexp(coolness * logits, axis=1) - coolness * label_logits).mean())

    minimum = minimize_scalar(loss, bounds=(np.log(COOLEST), np.log(HOTTEST)), method="bounded")
    return float(np.clip(np.exp(minimum.x), COOLEST, HOTTEST))


def choose_threshold(confidence: np.ndarray, right: np.ndarray, accuracy: float) -> tuple[float | None, float]:
    """Return the lowest confidence at which the answered faces reach the wanted accuracy, and the highest accuracy of
    any threshold.

    At least ``FEWEST`` faces are answered, or all. Faces of equal confidence are answered together. The threshold lies
    half-way to the next face, so that rounding changes no answer. It is None if the accuracy is out of reach.

    Args:
        confidence: (N,).
        right: (N,) bool, whether the winning class is the label.
        accuracy: Least share of right ones among the answered faces, 0 to 1.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked, numbers = confidence[order].astype(np.float64), np.arange(1, len(order) + 1)
    accuracies = np.cumsum(right[order]) / numbers
    allowed = np.append(ranked[1:] < ranked[:-1], True) & ((numbers >= FEWEST) | (numbers == len(order)))
    highest = float(accuracies[allowed].max())
    good = np.flatnonzero(allowed & (accuracies >= accuracy))
    if not len(good):
        return None, highest
    last = good[-1]
    return 0.0 if last + 1 == len(ranked) else float(ranked[last : last + 2].mean()), highest


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error, 0 to 1, of the votes (N,) of winning classes that are right, (N,) bool."""
    import torch  # slow to import
    from torchmetrics.functional.classification import binary_calibration_error

    votes = torch.from_numpy(confidence.astype(np.float64)).clamp(max=1 - 1e-6)  # 1 would have a bin for itself
    return binary_calibration_error(votes, torch.from_numpy(right.astype(np.int64)), n_bins=BINS).item()


def apply_temperature(votes: np.ndarray, temperature: float, smoothing: float) -> np.ndarray:
    """Return the softmax (N, C) float32 of the logarithms of smoothed votes (N, C), divided by a temperature."""
    powers = np.exp(log_votes(votes, smoothing) / temperature)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def log_votes(votes: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the logarithms (N, C) float64 of smoothed votes (N, C), shifted so that the largest per face is 0."""
    logits = np.log(votes.astype(np.float64) + smoothing)
    return logits - logits.max(axis=1, keepdims=True)


def to_distance(similarities: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances, 0 to 2, of unit vectors with these cosine similarities."""
    return np.sqrt(np.maximum(0.0, 2 - 2 * similarities))
