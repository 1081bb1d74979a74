"""The training graphs: the logged metrics of some runs against the epoch, the most important first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fer_lightning.report.style import (
    RUN_STYLES,
    STYLE,
    draw_reference,
    legend_columns,
    legend_height,
    new_figure,
    new_grid,
    run_color,
    share_axis,
    wrapped,
)
from fer_lightning.report.yardsticks import Yardstick
from fer_lightning.words import percent

History = Mapping[str, tuple[np.ndarray, np.ndarray]]  # metric -> steps, values

PANELS = {  # metrics of a panel -> its title; two metrics share a panel only if there is a single run
    ("val/accuracy",): "validation accuracy",
    ("train/accuracy", "val/accuracy"): "accuracy on training and validation faces",
    ("train/positive_distance", "train/negative_distance"): "distance of two faces (0 to 2)",
    ("train/spread",): "spread of the embeddings (0 to 1)",
    ("train/loss",): "training loss",
    ("train/active_share",): "active triplets, of all valid ones",
    ("train/learning_rate",): "learning rate",
    ("val/accuracy_quick",): "quick validation accuracy (rough)",
}
ALONE = {  # title of a metric from a shared panel when it has a panel of its own
    "train/accuracy": "accuracy on training faces",
    "train/positive_distance": "distance of faces of equal label (0 to 2)",
    "train/negative_distance": "distance of faces of different label (0 to 2)",
}
LINES = {
    "train/accuracy": "training faces",
    "val/accuracy": "validation faces",
    "train/positive_distance": "equal label",
    "train/negative_distance": "different label",
}
SHARES = ("train/active_share", "val/accuracy_quick", "val/accuracy", "train/accuracy")
ACCURACIES = ("val/accuracy", "train/accuracy")
FLAT = 0.02  # a curve whose range is below this share of its largest value is shown as a number
LONG = 40  # values; a curve with fewer is not smoothed
WINDOW = 20  # a curve is smoothed over this fraction of its length


@dataclass(frozen=True)
class Curves:
    """The logged metrics of some runs."""

    histories: Mapping[str, History]  # by run
    kinds: Sequence[int]  # number of each run's experiment; repetitions share a colour and differ in their lines
    objective: str  # metric that chose the checkpoint
    references: Sequence[Yardstick]  # accuracies to draw lines at

    @property
    def panels(self) -> list[tuple[str, ...]]:
        """The metrics of each panel, without panels that are flat or empty."""
        panels = [
            tuple(metric for metric in metrics if self.logged(metric))
            for metrics in PANELS
            if any(self.changes(metric) for metric in metrics)
        ]
        if len(self.histories) > 1:
            panels = [(metric,) for metrics in panels for metric in metrics]
        return list(dict.fromkeys(panels))

    @property
    def styles(self) -> list[dict[str, Any]]:
        """Colour and line of each run."""
        return [
            {"color": run_color(kind), "linestyle": RUN_STYLES[self.kinds[:run].count(kind) % len(RUN_STYLES)]}
            for run, kind in enumerate(self.kinds)
        ]

    @property
    def epoch_lengths(self) -> list[float]:
        """Steps per epoch of each run; 1 each if any is unknown, or if no run trained for two epochs."""
        lengths = [steps_per_epoch(history) for history in self.histories.values()]
        ends = [last_step(history) + 1 for history in self.histories.values()]
        if all(lengths) and any(end >= 2 * length for end, length in zip(ends, lengths, strict=True)):
            return lengths
        return [1] * len(lengths)

    def logged(self, metric: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the curve of a metric of each run that logged it."""
        return [curve for history in self.histories.values() if (curve := curve_of(history, metric))]

    def changes(self, metric: str) -> bool:
        """Return whether a metric is worth a panel; the validation accuracy always is."""
        curves = self.logged(metric)
        if metric == "val/accuracy":
            return bool(curves)
        return any(np.ptp(smooth(values)) > FLAT * np.abs(values).max() for _, values in curves)


def curve_of(history: History, metric: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the steps and values of a metric, or None if it was not logged.

    The training accuracy is taken at the validations only: the test logs it once more for the chosen checkpoint.
    """
    if metric not in history:
        return None
    steps, values = history[metric]
    if metric == "train/accuracy":
        during_training = np.zeros(len(steps), bool)
        if "val/accuracy" in history:
            during_training = np.isin(steps, history["val/accuracy"][0])
        steps, values = steps[during_training], values[during_training]
    return (steps, values) if len(values) else None


def last_step(history: History) -> int:
    """Return the last step of a training."""
    return max((int(steps[-1]) for name, (steps, _) in history.items() if not name.startswith("test/")), default=0)


def steps_per_epoch(history: History) -> float:
    """Return the number of steps of an epoch, from the last validations of the epochs; 0 if it is unknown."""
    if "epoch" not in history or "val/accuracy" not in history:
        return 0
    epochs = dict(zip(*history["epoch"], strict=True))
    return max((step + 1) / (epochs[step] + 1) for step in history["val/accuracy"][0])


def panel_title(metrics: tuple[str, ...]) -> str:
    """Return the title of a panel."""
    return PANELS.get(metrics) or ALONE[metrics[0]]


def flat_in_words(curves: Curves) -> str:
    """Return a sentence about the curves that are left out, with their last values; empty if there are none."""
    drawn = {metric for metrics in curves.panels for metric in metrics}
    left_out = dict.fromkeys(metric for metrics in PANELS for metric in metrics if metric not in drawn)
    ends = {metric: logged[-1][1][-1] for metric in left_out if (logged := curves.logged(metric))}
    values = [f"{panel_title((metric,))} {value:.3g}" for metric, value in ends.items()]
    return f" Left out, since they do not change: {', '.join(values)}." if values else ""


@rc_context(STYLE)
def draw_all(curves: Curves) -> Figure:
    """Draw all panels in one figure."""
    panels = curves.panels
    names = [wrapped(name, 60) for name in curves.histories]
    figure, grid = new_grid(len(panels), 3.5, 2.7, least_width=5, legend=0.2 + legend_height(names))
    for axes, metrics in zip(grid.flat, panels, strict=False):
        _draw(axes, curves, metrics)
    if len(names) > 1:
        lines = [figure.axes[0].plot([], [], **style)[0] for style in curves.styles]
        figure.legend(lines, names, loc="outside lower left", ncols=legend_columns(names), frameon=False, fontsize=8)
    return figure


@rc_context(STYLE)
def draw_panel(curves: Curves, metrics: tuple[str, ...]) -> Figure:
    """Draw one panel as a figure."""
    figure, axes = new_figure(4.2, 3)
    _draw(axes, curves, metrics)
    return figure


def _draw(axes: Axes, curves: Curves, metrics: tuple[str, ...]) -> None:
    """Draw the curves of one panel."""
    lengths, chosen = curves.epoch_lengths, ""
    for history, run_style, length in zip(curves.histories.values(), curves.styles, lengths, strict=True):
        for number, metric in enumerate(metrics):
            if curve := curve_of(history, metric):
                style = run_style
                if len(metrics) > 1:
                    style = {**run_style, "color": run_color(number), "label": LINES[metric]}
                epochs = (curve[0] + 1) / length
                values, smoothed = curve[1], smooth(curve[1])
                if smoothed is not values:  # the logged values stand behind it
                    axes.plot(epochs, values, color=style["color"], linewidth=0.7, alpha=0.25)
                axes.plot(epochs, smoothed, marker="." if len(values) < LONG else "", **style)
                if metrics == ("val/accuracy",) and curves.objective in history:
                    accuracy = _draw_ring(axes, epochs, curves, history, run_style["color"])
                    if accuracy is not None and len(curves.histories) == 1:
                        chosen = f", chosen: {percent(accuracy)}"
    if metrics[0] in ACCURACIES:
        # Two labels of two lines each: the lower hangs from its line and the upper stands on it, so they never touch.
        ends = ["top", "bottom"] if len(curves.references) > 1 else ["center"]
        for reference, end in zip(sorted(curves.references, key=attrgetter("accuracy")), ends, strict=False):
            name = f"{reference.name}\n{percent(reference.accuracy)}"
            draw_reference(axes, name, reference.accuracy, vertical=False, va=end)
    axes.set_title(panel_title(metrics) + chosen, fontsize=9, loc="left")
    axes.set_xlabel("step (batches)" if set(lengths) == {1} else "epoch")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if metrics[0] in SHARES:
        share_axis(axes.yaxis)
    else:
        axes.ticklabel_format(axis="y", scilimits=(-3, 4), useOffset=False)
    if len(metrics) > 1:
        axes.legend(frameon=False, fontsize=8)
    axes.margins(y=0.1)


def _draw_ring(axes: Axes, epochs: np.ndarray, curves: Curves, history: History, color: str) -> float | None:
    """Draw a ring around the validation accuracy of the chosen checkpoint, and return it; None if it is not logged."""
    steps, scores = history[curves.objective]
    accuracy = None
    for row in np.flatnonzero(history["val/accuracy"][0] == steps[scores.argmax()]):
        accuracy = float(history["val/accuracy"][1][row])
        axes.plot(epochs[row], accuracy, "o", color=color, markersize=10, markerfacecolor="none")
    return accuracy


def smooth(values: np.ndarray) -> np.ndarray:
    """Return the running mean of a long curve; a short curve unchanged."""
    if len(values) < LONG:
        return values
    window = np.ones(2 * max(1, len(values) // WINDOW // 2) + 1)
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
