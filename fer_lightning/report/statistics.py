"""What predictions are worth, and how certain that is: confusion, F1, bootstrap intervals, paired comparisons."""

import numpy as np
from scipy.stats import binomtest, t

from fer_lightning.runs.record import Run

RESAMPLES = 1000


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Return how many faces of each class were given each answer.

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
        np.array([run.classes.index(row[column]) for row in run.predictions], dtype=np.int64)
        for column in ("label", "prediction")
    )
    return confusion_matrix(labels, predictions, len(run.classes))


def scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Return the headline metrics of confusion matrices (..., C, C), rows true and columns predicted.

    Classes that are neither among labels nor predictions count for no mean, as in torchmetrics.
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    present = (true + predicted) > 0
    number = present.sum(axis=-1)
    return {
        "accuracy": right.sum(axis=-1) / true.sum(axis=-1),
        "balanced_accuracy": (right / np.maximum(true, 1e-12)).sum(axis=-1) / number,
        "macro_f1": f1_per_class(confusion).sum(axis=-1) / number,
    }


def intervals(
    labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray, num_classes: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return the 95 % interval of each headline metric by the percentile bootstrap over groups of twins.

    Twins and siblings are drawn together, since they are one observation (cluster bootstrap).

    Args:
        labels: (B,) int64.
        predictions: (B,) int64.
        groups: (B,) int64, the group of twins of each face.
        num_classes: C.
        seed: The resamples' seed.
    """
    tables = _tables(labels * num_classes + predictions, groups, num_classes**2)
    drawn = _resample(tables, seed).reshape(-1, num_classes, num_classes)
    return {name: tuple(np.quantile(values, (0.025, 0.975)).tolist()) for name, values in scores(drawn).items()}


def compare(first: np.ndarray, second: np.ndarray, groups: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Compare two classifiers on the same faces.

    Args:
        first: (B,) bool, whether the first one is right.
        second: (B,) bool, whether the second one is.
        groups: (B,) int64, the group of twins of each face.
        seed: The resamples' seed.

    Returns:
        ``difference`` of the accuracies (first minus second), its bootstrap interval ``low`` and ``high``, the number
        of faces that ``only_first`` and ``only_second`` get right, and ``p``, two-sided, of McNemar's exact test.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    cells = first.astype(int) - second.astype(int) + 1  # 0: only the second, 1: agree, 2: only the first
    drawn = _resample(_tables(cells, groups, 3), seed)
    low, high = np.quantile((drawn[:, 2] - drawn[:, 0]) / drawn.sum(axis=1), (0.025, 0.975))
    discordant = only_first + only_second
    return {
        "difference": float(first.mean() - second.mean()),
        "low": float(low),
        "high": float(high),
        "only_first": only_first,
        "only_second": only_second,
        "p": float(binomtest(only_first, discordant).pvalue) if discordant else 1.0,
    }


def paired(differences: np.ndarray) -> dict[str, float]:
    """Compare two experiments over their repetitions by Student's paired t-test.

    Args:
        differences: (R,) first minus second, for each seed or fold that both have; R at least 2.

    Returns:
        The mean ``difference``, its 95 % interval ``low`` and ``high``, the two-sided ``p``, the number of ``pairs``.
    """
    number, difference = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / np.sqrt(number)
    half = float(t.ppf(0.975, number - 1)) * error
    p = 2 * float(t.sf(abs(difference) / error, number - 1)) if error else float(difference == 0)
    return {"difference": difference, "low": difference - half, "high": difference + half, "p": p, "pairs": number}


def f1_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return the F1 of each class (..., C) of confusion matrices (..., C, C), 0 for a class that never occurs."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return 2 * right / np.maximum(confusion.sum(axis=-1) + confusion.sum(axis=-2), 1)


def one_vs_rest(accuracy: float, num_classes: int) -> float:
    """Return the two-class accuracy averaged over the classes, the paper's equation 1.

    Each wrong face is wrong for two of the classes, its own and the predicted one, and right for all others.
    """
    return 1 - 2 * (1 - accuracy) / num_classes


def _tables(cells: np.ndarray, groups: np.ndarray, number: int) -> np.ndarray:
    """Return how often each cell occurs in each group: (G, number) float64."""
    heads, position = np.unique(groups, return_inverse=True)
    return np.bincount(position * number + cells, minlength=len(heads) * number).reshape(-1, number).astype(float)


def _resample(tables: np.ndarray, seed: int) -> np.ndarray:
    """Return the sums (RESAMPLES, number) over groups drawn with replacement."""
    random = np.random.default_rng(seed)
    size = len(tables)
    return np.stack([np.bincount(random.integers(size, size=size), minlength=size) @ tables for _ in range(RESAMPLES)])
