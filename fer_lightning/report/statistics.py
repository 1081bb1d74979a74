"""Statistics of predictions: confusion, F1, bootstrap intervals, comparisons, calibration, risk and coverage."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm, t

from fer_lightning.models.calibration import BINS, Calibration, calibration_error
from fer_lightning.runs.record import Run

RESAMPLES = 1000  # of a bootstrap


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the predictions of each class.

    Args:
        labels: (B,) int64.
        predictions: (B,) int64.
        num_classes: C.

    Returns:
        (C, C) int64, rows true and columns predicted.
    """
    return np.bincount(labels * num_classes + predictions, minlength=num_classes**2).reshape(num_classes, num_classes)


def confusion_of(run: Run) -> np.ndarray:
    """Return the confusion matrix (C, C) of a run's predictions.csv, all zero without the file."""
    labels, predictions = (
        np.array([run.classes.index(name) for name in run.predictions.get(column, ())], dtype=np.int64)
        for column in ("label", "prediction")
    )
    return confusion_matrix(labels, predictions, len(run.classes))


def scores(confusion: np.ndarray, counted: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the headline metrics of confusion matrices (..., C, C), rows true and columns predicted.

    As in torchmetrics, a mean leaves out classes that occur neither as label nor as prediction.

    Args:
        confusion: The matrices.
        counted: (C,) bool, classes that may count in a mean; None for all.
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    present = (true + predicted) > 0
    if counted is not None:
        present = present & counted
    number = present.sum(axis=-1)
    return {
        "accuracy": right.sum(axis=-1) / true.sum(axis=-1),
        "balanced_accuracy": (right / np.maximum(true, 1e-12)).sum(axis=-1) / number,
        "macro_f1": (f1_per_class(confusion) * present).sum(axis=-1) / number,
    }


def intervals(
    labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray, num_classes: int, counted: np.ndarray | None = None
) -> dict[str, tuple[float, float]]:
    """Return the 95 % interval of each headline metric by the percentile bootstrap over groups of twins.

    Twins are drawn together, since they are one observation (cluster bootstrap).

    Args:
        labels: (B,) int64.
        predictions: (B,) int64.
        groups: (B,) int64, the group of twins of each face.
        num_classes: C.
        counted: Classes that may count in a mean, as in ``scores``.
    """
    drawn = _resample(labels * num_classes + predictions, groups, num_classes**2).reshape(-1, num_classes, num_classes)
    return {
        name: tuple(np.quantile(values, (0.025, 0.975)).tolist()) for name, values in scores(drawn, counted).items()
    }


def wilson(share: float, number: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of so many independent faces, by Wilson's score; it never has zero width.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    z = float(norm.ppf(0.975))
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * float(np.sqrt(share * (1 - share) / number + (z / (2 * number)) ** 2))
    return max(0.0, middle - half), min(1.0, middle + half)


def standard_error(share: float, faces: int) -> float:
    """Return the standard error of an accuracy that so many faces gave."""
    return float(np.sqrt(share * (1 - share) / faces))


@dataclass(frozen=True)
class Comparison:
    """Difference of two accuracies, first minus second."""

    difference: float
    low: float = 0.0  # of its 95 % interval
    high: float = 0.0
    p: float | None = None  # two-sided; None if there is too little to test
    pairs: int = 0  # repetitions that both have; 0 for two runs
    faces: int = 0  # test faces of two runs
    only_first: int = 0  # faces that only the first gets right
    only_second: int = 0

    @property
    def significant(self) -> bool:
        """Return whether interval and test both say that the difference is more than chance."""
        return self.p is not None and self.p < 0.05 and self.low * self.high > 0


def compare(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> Comparison:
    """Compare two classifiers on the same faces: bootstrap interval over groups, McNemar's exact test.

    Args:
        first: (B,) bool, whether the first one is right.
        second: (B,) bool, whether the second one is.
        groups: (B,) int64, the group of twins of each face.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    cells = first.astype(int) - second.astype(int) + 1  # 0: only the second, 1: agree, 2: only the first
    drawn = _resample(cells, groups, 3)
    low, high = np.quantile((drawn[:, 2] - drawn[:, 0]) / drawn.sum(axis=1), (0.025, 0.975))
    discordant = only_first + only_second
    return Comparison(
        difference=float(first.mean() - second.mean()),
        low=float(low),
        high=float(high),
        p=float(binomtest(only_first, discordant).pvalue) if discordant else 1.0,
        faces=len(first),
        only_first=only_first,
        only_second=only_second,
    )


def paired(differences: np.ndarray) -> Comparison:
    """Compare two experiments over their repetitions by Student's paired t-test.

    Args:
        differences: (R,) first minus second, for each seed or fold that both have; R at least 2.
    """
    pairs, difference = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / np.sqrt(pairs)
    half = float(t.ppf(0.975, pairs - 1)) * error
    p = 2 * float(t.sf(abs(difference) / error, pairs - 1)) if error else float(difference == 0)
    return Comparison(difference, difference - half, difference + half, p, pairs)


def f1_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return the F1 of each class (..., C) of confusion matrices (..., C, C), 0 for a class that never occurs."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return 2 * right / np.maximum(confusion.sum(axis=-1) + confusion.sum(axis=-2), 1)


def one_vs_rest(accuracy: float, num_classes: int) -> float:
    """Return the two-class accuracy averaged over the classes, the paper's equation 1.

    A wrong face is wrong for two classes, the label and the prediction, and right for all others.
    """
    return 1 - 2 * (1 - accuracy) / num_classes


def with_the_mix_of_all(right: np.ndarray, labels: np.ndarray, part: np.ndarray) -> float:
    """Return the accuracy on a part of the faces, each of its classes weighted by its share in all faces.

    Twins are more frequent in some classes, and some classes are harder: only this compares with the accuracy on all.

    Args:
        right: (B,) bool.
        labels: (B,) int64.
        part: (B,) bool, with at least one face.
    """
    classes, weights = np.unique(labels[np.isin(labels, labels[part])], return_counts=True)
    return float(np.average([right[part & (labels == label)].mean() for label in classes], weights=weights))


def certainty_figures(
    right: np.ndarray, votes: np.ndarray, raw_votes: np.ndarray, abstained: np.ndarray, calibration: Calibration
) -> dict[str, float]:
    """Return the figures of metrics.json about calibration and abstention.

    Args:
        right: (B,) bool.
        votes: (B,) calibrated votes for the predictions.
        raw_votes: (B,) their shares of the vote.
        abstained: (B,) int64, 1 where the network abstains.
        calibration: Calibration chosen on the validation faces.
    """
    figures = {
        "test/calibration_error_raw": calibration_error(raw_votes, right),
        "test/aurc": float(risk_and_coverage(votes, right)[1].mean()),
    }
    if calibration.temperature is None:  # no validation faces have chosen one
        return figures
    answered = abstained == 0
    figures["test/calibration_error"] = calibration_error(votes, right)
    figures["test/answered"] = float(answered.mean())
    if answered.any():
        figures["test/accuracy_answered"] = float(right[answered].mean())
    chosen = {
        "temperature": calibration.temperature,
        "confidence_threshold": calibration.confidence,
        "distance_threshold": calibration.distance,
        **calibration.scores,
    }
    return figures | {f"val/{name}": value for name, value in chosen.items() if value is not None}


def risk_and_coverage(votes: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coverage and risk (B,) when the 1, 2, ... B surest faces are answered.

    Coverage is the share of answered faces, risk the share of wrong ones among them. Source: R. El-Yaniv and
    Y. Wiener, JMLR 11 (2010), 1605-1641; Y. Geifman and R. El-Yaniv, arXiv:1705.08500. The mean risk is the area under
    the curve (arXiv:1805.08206). Faces with equal votes count with their mean, as if answered in random order.

    Args:
        votes: (B,) for the winning class.
        right: (B,) bool.
    """
    _, positions, counts = np.unique(-votes, return_inverse=True, return_counts=True)
    wrong = (np.bincount(positions, ~right) / counts)[np.sort(positions)]
    numbers = np.arange(1, len(wrong) + 1)
    return numbers / len(wrong), np.cumsum(wrong) / numbers


def reliability_bins(votes: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean vote, accuracy and number of faces of each bin that is not empty, of ``BINS`` of equal width."""
    bins = np.minimum((votes * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    mean, accuracy = (np.bincount(bins, values, BINS)[filled] / counts[filled] for values in (votes, right))
    return mean, accuracy, counts[filled]


def _resample(cells: np.ndarray, groups: np.ndarray, number: int) -> np.ndarray:
    """Return the faces in each cell (RESAMPLES, number), float64, where groups of faces are drawn with replacement.

    Args:
        cells: (B,) int64, the cell of each face, below ``number``.
        groups: (B,) int64, the group of twins of each face.
        number: Number of cells.
    """
    unique, positions = np.unique(groups, return_inverse=True)
    size, random = len(unique), np.random.default_rng(0)
    tables = np.bincount(positions * number + cells, minlength=size * number).reshape(-1, number).astype(float)
    return np.stack([np.bincount(random.integers(size, size=size), minlength=size) @ tables for _ in range(RESAMPLES)])
