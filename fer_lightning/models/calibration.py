"""Calibration chosen on validation faces: a temperature of the votes, and a threshold for an accuracy."""

from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error

from fer_lightning.models.certainty import BINS, COOLEST, HOTTEST, Calibration, heated, log_votes, to_distance
from fer_lightning.models.classifiers import Decision

NO_NEIGHBOURS = 1e-6  # smoothing of votes that are a softmax, of which none is 0 but of a class without a face
FEWEST = 30  # answered faces by which a threshold is judged: of fewer, one more or less right moves it by 3 points


def calibrate(decision: Decision, labels: Tensor, accuracy: float | None, near: float) -> Calibration:
    """Return the calibration that is best for some faces.

    Args:
        decision: What a classifier says of B validation faces.
        labels: (B,) int64, theirs.
        accuracy: Wanted of the faces that are answered; None to abstain from none.
        near: Share of the faces that count as near enough to the known ones.
    """
    votes, own = decision.votes.cpu().numpy(), labels.cpu().numpy()
    answers, near_ones = decision.labels.cpu().numpy(), decision.neighbours
    smoothing = NO_NEIGHBOURS if near_ones is None else 1 / near_ones.labels.shape[1]
    temperature = fit_temperature(votes, own, smoothing)
    right, rows = answers == own, np.arange(len(own))
    confidence = heated(votes, temperature, smoothing)[rows, answers]
    distances = None if near_ones is None else to_distance(near_ones.similarities[:, 0].cpu().numpy())
    limit = None if distances is None else float(np.quantile(distances, near))
    close = np.ones(len(own), dtype=bool) if distances is None else distances <= limit
    threshold, reachable = choose_threshold(confidence[close], right[close], 0.0 if accuracy is None else accuracy)
    threshold = None if accuracy is None else threshold
    chosen = Calibration(temperature, smoothing, accuracy, near, threshold, None if threshold is None else limit)
    answered = ~chosen.abstains(confidence, distances)
    scores = {
        "calibration_error_raw": calibration_error(votes[rows, answers], right),
        "calibration_error": calibration_error(confidence, right),
        "answered": float(answered.mean()),
        "accuracy_answered": float(right[answered].mean()),
        "accuracy_reachable": reachable,
    }
    return replace(chosen, scores=scores)


def fit_temperature(votes: np.ndarray, labels: np.ndarray, smoothing: float) -> float:
    """Return the temperature under which the labels are likeliest; in 1 / temperature there is one best.

    Args:
        votes: (N, C) shares.
        labels: (N,) int64.
        smoothing: Added to each share.
    """
    logits = log_votes(votes, smoothing)
    own = logits[np.arange(len(labels)), labels]

    def loss(logarithm: float) -> float:
        coolness = np.exp(-logarithm)
        return float((logsumexp(coolness * logits, axis=1) - coolness * own).mean())

    found = minimize_scalar(loss, bounds=(np.log(COOLEST), np.log(HOTTEST)), method="bounded")
    return float(np.clip(np.exp(found.x), COOLEST, HOTTEST))


def choose_threshold(confidence: np.ndarray, right: np.ndarray, accuracy: float) -> tuple[float | None, float]:
    """Return the confidence from which on most faces are answered at an accuracy, and the most that can be reached.

    Equal confidences are answered together, ``FEWEST`` faces at least or all. The threshold lies half-way to the surest
    face that is not answered, so that rounding changes no answer.

    Args:
        confidence: (N,).
        right: (N,) bool.
        accuracy: Of the answered ones, at least.

    Returns:
        The threshold, None where the accuracy is out of reach; and the highest accuracy that a threshold gives.
    """
    order = np.argsort(-confidence, kind="stable")
    sure, numbers = confidence[order].astype(np.float64), np.arange(1, len(order) + 1)
    reached = np.cumsum(right[order]) / numbers
    ends = np.append(sure[1:] < sure[:-1], True) & ((numbers >= FEWEST) | (numbers == len(order)))
    good = np.flatnonzero(ends & (reached >= accuracy))
    most = float(reached[ends].max())
    if not len(good):
        return None, most
    last = good[-1]
    return (float(sure[last : last + 2].mean()) if last + 1 < len(sure) else 0.0), most


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error of the winning classes, 0 to 1.

    Args:
        confidence: (N,) votes for the winning classes.
        right: (N,) bool.
    """
    inside = torch.from_numpy(confidence.astype(np.float64)).clamp(max=1 - 1e-6)  # 1 would have a bin of its own
    return binary_calibration_error(inside, torch.from_numpy(right.astype(np.int64)), n_bins=BINS).item()
