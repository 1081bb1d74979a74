"""How sure a tested network is, and whether rightly: risk against coverage, votes against accuracy."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from fer_lightning.models.calibration import BINS, Calibration, calibration_error
from fer_lightning.report.style import RUN_COLORS, STYLE, share_axis
from fer_lightning.runs.record import Run
from fer_lightning.words import number, percent


class Certainty(NamedTuple):
    """What predictions.csv says of the B test faces of a run."""

    right: np.ndarray  # (B,) bool
    votes: np.ndarray  # (B,) for the winning class, calibrated
    raw_votes: np.ndarray  # (B,) shares of the vote


def certainty_of(run: Run) -> Certainty:
    """Return how sure a run was of each test face."""
    rows = run.predictions
    raw_vote = "raw_vote" if "raw_vote" in rows[0] else "vote"  # of a run from before votes were calibrated
    votes, raw = (np.array([float(row[name]) for row in rows]) for name in ("vote", raw_vote))
    return Certainty(np.array([row["label"] == row["prediction"] for row in rows]), votes, raw)


def measures(outputs: Mapping[str, np.ndarray], calibration: Calibration) -> dict[str, float]:
    """Return what metrics.json holds of it, by name.

    Args:
        outputs: ``ExpressionModule.test_outputs``.
        calibration: What validation faces had chosen.
    """
    right = outputs["predictions"] == outputs["labels"]
    votes, raw = (outputs[name].max(axis=1) for name in ("votes", "raw_votes"))
    found = {
        "test/calibration_error_raw": calibration_error(raw, right),
        "test/aurc": float(risk_coverage(votes, right)[1].mean()),
    }
    if calibration.temperature is None:  # a checkpoint from before votes were calibrated
        return found
    answered = outputs["abstained"] == 0
    found |= {"test/calibration_error": calibration_error(votes, right), "test/answered": float(answered.mean())}
    if answered.any():
        found["test/accuracy_answered"] = float(right[answered].mean())
    chosen = {"temperature": calibration.temperature, "confidence_threshold": calibration.confidence}
    chosen |= {"distance_threshold": calibration.distance, **calibration.scores}
    return found | {f"val/{name}": value for name, value in chosen.items() if value is not None}


def risk_coverage(votes: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of the faces that are answered, the surest first, and the share of wrong ones among them; (B,).

    R. El-Yaniv and Y. Wiener, JMLR 11 (2010), 1605-1641; Y. Geifman and R. El-Yaniv, arXiv:1705.08500. The mean of the
    second is the area under the curve (arXiv:1805.08206). Faces with equal votes are answered in random order: each
    counts as their mean.

    Args:
        votes: (B,) for the winning class.
        right: (B,) bool.
    """
    _, place, counts = np.unique(-votes, return_inverse=True, return_counts=True)
    wrong = (np.bincount(place, ~right) / counts)[np.sort(place)]
    numbers = np.arange(1, len(wrong) + 1)
    return numbers / len(wrong), np.cumsum(wrong) / numbers


def draw_risk_coverage(found: Certainty, answered: tuple[float, float] | None) -> Figure:
    """Return the risk against the coverage.

    Args:
        found: Of a run's test faces.
        answered: Share of them that the chosen threshold answers, and the accuracy on these; None to mark nothing.
    """
    coverage, risk = risk_coverage(found.votes, found.right)
    best = risk_coverage(found.right.astype(float), found.right)[1]
    with rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(coverage, risk, color=RUN_COLORS[0], label="the surest first")
        axes.plot(coverage, best, color="#7F7F7F", linestyle="--", linewidth=1, label="if every right one came first")
        axes.axhline(risk[-1], color="#7F7F7F", linestyle=":", linewidth=1, label="in random order")
        if answered:
            share, accuracy = answered
            axes.plot(share, 1 - accuracy, "o", color=RUN_COLORS[1], markersize=8, markerfacecolor="none")
            text = f"chosen: {percent(share)} answered,\n{percent(1 - accuracy)} of them wrong"
            axes.annotate(
                text,
                (share, 1 - accuracy),
                xytext=(-8, 10),
                textcoords="offset points",
                ha="right" if share > 0.5 else "left",
                fontsize=8,
            )
        axes.set(xlabel="answered, of the test faces", ylabel="wrong, of those answered", xlim=(0, 1.02))
        axes.set_ylim(bottom=0, top=1.6 * max(risk.max(), 0.01))
        for axis in (axes.xaxis, axes.yaxis):
            share_axis(axis)
        axes.legend(loc="upper left", frameon=False, fontsize=8)
    return figure


def draw_reliability(found: Certainty, errors: Sequence[float]) -> Figure:
    """Return the accuracy of the faces of each bin of votes, before and after calibration.

    Args:
        found: Of a run's test faces.
        errors: Expected calibration error before and after.
    """
    series = (("shares of the vote", found.raw_votes, "s"), ("calibrated", found.votes, "o"))
    with rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color="#7F7F7F", linestyle=":", linewidth=1)
        for place, ((name, votes, marker), error) in enumerate(zip(series, errors, strict=True)):
            mean, accuracy, counts = reliability(votes, found.right)
            color = RUN_COLORS[1 - place]
            axes.plot(mean, accuracy, color=color, linewidth=1)
            sizes = 8 + 150 * counts / counts.sum()
            label = f"{name}: {number(error)} % off"
            axes.scatter(mean, accuracy, sizes, color=color, marker=marker, alpha=0.7, linewidths=0, label=label)
        axes.set(xlabel="vote for the class that was answered", ylabel="right, of such faces")
        axes.set(xlim=(0, 1.03), ylim=(0, 1.03))
        for axis in (axes.xaxis, axes.yaxis):
            share_axis(axis)
        axes.legend(loc="upper left", frameon=False, fontsize=8)
    return figure


def reliability(votes: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean vote, accuracy and number of faces of each bin that has any, of ``BINS`` of equal width."""
    bins = np.minimum((votes * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    means = [np.bincount(bins, values, BINS)[filled] / counts[filled] for values in (votes, right)]
    return means[0], means[1], counts[filled]
