"""The training graphs: what was logged of some runs against the epoch, the most important first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fer_lightning.report.style import (
    RUN_STYLES,
    STYLE,
    legend_columns,
    legend_height,
    mark,
    run_color,
    share_axis,
    wrapped,
)
from fer_lightning.report.yardsticks import Yardstick
from fer_lightning.words import percent

History = Mapping[str, tuple[np.ndarray, np.ndarray]]  # metric -> steps, values

PANELS = {  # metrics of a panel: its title; two share one where there is a single run
    ("val/accuracy",): "validation accuracy",
    ("train/accuracy", "val/accuracy"): "accuracy on training and validation faces",
    ("train/positive_distance", "train/negative_distance"): "distance of two faces (0 to 2)",
    ("train/spread",): "spread of the embeddings (0 to 1)",
    ("train/loss",): "training loss",
    ("train/active_share",): "active triplets, of all valid ones",
    ("train/learning_rate",): "learning rate",
    ("val/accuracy_quick",): "quick validation accuracy (rough)",
}
ALONE = {  # title of a metric that shares a panel, where it has one of its own
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
FLAT = 0.02  # range of a curve over its largest value, below which it says no more than a number
LONG = 40  # values from which a curve is smoothed
WINDOW = 20  # a curve is smoothed over this part of it


@dataclass(frozen=True)
class Curves:
    """What was logged of some runs.

    Attributes:
        histories: Run -> metric -> (steps, values).
        kinds: The experiment of each run, from 0; its repetitions share a colour and differ in their lines.
        objective: Metric whose highest value chose the checkpoint.
        yardsticks: Accuracies that lines are drawn at.
    """

    histories: Mapping[str, History]
    kinds: Sequence[int]
    objective: str
    yardsticks: Sequence[Yardstick]

    @property
    def panels(self) -> list[tuple[str, ...]]:
        """The metrics of each panel, without those that are flat or were not logged."""
        found = [metrics for metrics in PANELS if any(self.moves(metric) for metric in metrics)]
        found = [tuple(metric for metric in metrics if self.logged(metric)) for metrics in found]
        if len(self.histories) > 1:
            found = [(metric,) for metric in dict.fromkeys(metric for metrics in found for metric in metrics)]
        return list(dict.fromkeys(found))

    @property
    def flat(self) -> dict[str, float]:
        """The last value of each metric that is left out because it is flat, by its title."""
        found = {}
        for metric in (metric for metrics in PANELS for metric in metrics):
            if self.logged(metric) and not any(metric in metrics for metrics in self.panels):
                found[title((metric,))] = self.logged(metric)[-1][1][-1]
        return found

    @property
    def looks(self) -> list[dict[str, Any]]:
        """Colour and line of each run."""
        return [
            {"color": run_color(kind), "linestyle": RUN_STYLES[self.kinds[:run].count(kind) % len(RUN_STYLES)]}
            for run, kind in enumerate(self.kinds)
        ]

    @property
    def lengths(self) -> list[float]:
        """The steps of an epoch of each run; 1 each where one is unknown, or where no run trained for two epochs."""
        lengths = [steps_per_epoch(history) for history in self.histories.values()]
        ends = [last_step(history) + 1 for history in self.histories.values()]
        known = [length for length in lengths if length]
        if len(known) == len(lengths) and any(end >= 2 * one for end, one in zip(ends, known, strict=True)):
            return known
        return [1] * len(lengths)

    def logged(self, metric: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the curve of a metric of each run that logged it."""
        return [curve for history in self.histories.values() if (curve := points_of(history, metric))]

    def moves(self, metric: str) -> bool:
        """Return whether a metric says more than a number; the validation accuracy always does."""
        return any(
            metric == "val/accuracy" or np.ptp(smooth(values)) > FLAT * np.abs(values).max()
            for _, values in self.logged(metric)
        )


def points_of(history: History, metric: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return steps and values of a metric, or None; those of the training faces where the run was validated.

    (The test logs the training accuracy of the chosen checkpoint once more, at the step of its own.)
    """
    if metric not in history:
        return None
    steps, values = history[metric]
    if metric == "train/accuracy":
        kept = np.isin(steps, history["val/accuracy"][0]) if "val/accuracy" in history else np.zeros(len(steps), bool)
        steps, values = steps[kept], values[kept]
    return (steps, values) if len(values) else None


def last_step(history: History) -> int:
    """Return the last step of a training."""
    return max((int(steps[-1]) for name, (steps, _) in history.items() if not name.startswith("test/")), default=0)


def steps_per_epoch(history: History) -> float | None:
    """Return how many steps an epoch has, which the first validation tells."""
    if "epoch" not in history or "val/accuracy" not in history:
        return None
    step = int(history["val/accuracy"][0][0])
    epochs = dict(zip(*history["epoch"], strict=True))
    return (step + 1) / (epochs[step] + 1)


def title(metrics: tuple[str, ...]) -> str:
    """Return the title of a panel."""
    return PANELS.get(metrics) or ALONE[metrics[0]]


def flat_in_words(curves: Curves) -> str:
    """Return which curves are left out, as one sentence; nothing where none is."""
    found = [f"{name} {figure:.3g}" for name, figure in curves.flat.items()]
    return f" Left out, since they do not change: {', '.join(found)}." if found else ""


def whole(curves: Curves) -> Figure:
    """Return all panels in one figure."""
    panels = curves.panels
    columns = min(3, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    names = [wrapped(name, 60) for name in curves.histories]
    with rc_context(STYLE):
        height = 2.7 * rows + 0.2 + legend_height(names)
        figure = Figure(figsize=(max(5, 3.5 * columns), height), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, metrics in zip(grid.flat, panels, strict=False):
            draw(axes, curves, metrics)
        if len(names) > 1:
            lines = [figure.axes[0].plot([], [], **look)[0] for look in curves.looks]
            figure.legend(
                lines, names, loc="outside lower left", ncols=legend_columns(names), frameon=False, fontsize=8
            )
    return figure


def panel(curves: Curves, metrics: tuple[str, ...]) -> Figure:
    """Return one panel as a figure of its own."""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3), layout="constrained")
        draw(figure.add_subplot(), curves, metrics)
    return figure


def draw(axes: Axes, curves: Curves, metrics: tuple[str, ...]) -> None:
    """Draw the curves of one panel."""
    for history, look, length in zip(curves.histories.values(), curves.looks, curves.lengths, strict=True):
        for place, metric in enumerate(metrics):
            if curve := points_of(history, metric):
                own = {**look, "color": run_color(place), "label": LINES[metric]} if len(metrics) > 1 else look
                places = (curve[0] + 1) / length
                _line(axes, places, curve[1], own)
                if metrics == ("val/accuracy",) and curves.objective in history:
                    _mark_the_chosen(axes, places, curves, history, look["color"])
    if metrics[0] in ACCURACIES:
        for yardstick in curves.yardsticks:
            mark(axes, f"{yardstick.name} {percent(yardstick.accuracy)}", yardstick.accuracy, vertical=False)
    axes.set_title(title(metrics), fontsize=9, loc="left")
    axes.set_xlabel("step (batches)" if set(curves.lengths) == {1} else "epoch")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if metrics[0] in SHARES:
        share_axis(axes.yaxis)
    else:
        axes.ticklabel_format(axis="y", scilimits=(-3, 4), useOffset=False)
    if len(metrics) > 1:
        axes.legend(frameon=False, fontsize=8)
    axes.margins(y=0.1)


def _line(axes: Axes, places: np.ndarray, values: np.ndarray, look: Mapping[str, Any]) -> None:
    """Draw a curve, smoothed where it is long, with the raw one behind it."""
    smoothed = smooth(values)
    if smoothed is not values:
        axes.plot(places, values, color=look["color"], linewidth=0.7, alpha=0.25)
    axes.plot(places, smoothed, marker="." if len(values) < LONG else "", **look)


def _mark_the_chosen(axes: Axes, places: np.ndarray, curves: Curves, history: History, color: str) -> None:
    """Mark the validation accuracy of the chosen checkpoint with a ring."""
    steps, scores = history[curves.objective]
    for chosen in np.flatnonzero(history["val/accuracy"][0] == steps[scores.argmax()]):
        at = places[chosen], history["val/accuracy"][1][chosen]
        axes.plot(*at, "o", color=color, markersize=10, markerfacecolor="none")
        if len(curves.histories) == 1:
            text = f"chosen: {percent(at[1])}"
            axes.annotate(text, at, xytext=(0, -16), textcoords="offset points", ha="right", fontsize=8)


def smooth(values: np.ndarray) -> np.ndarray:
    """Return the running mean of a long curve, so that several can be told apart; a short one as it is."""
    if len(values) < LONG:
        return values
    half = max(1, len(values) // WINDOW // 2)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    places = np.arange(len(values))
    starts, ends = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    return (sums[ends] - sums[starts]) / (ends - starts)


def keys(curves: Curves) -> Iterator[tuple[str, str, str]]:
    """Yield name, colour and line of each run, for a page."""
    for name, look in zip(curves.histories, curves.looks, strict=True):
        yield name, look["color"], look["linestyle"]
