"""Figures in one style: arrays in, matplotlib figures out.

The colours of the classes are those of M. Okabe and K. Ito (Color universal design, 2008), which colour-blind readers
can tell apart; maps use a marker of its own for each class besides.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, PercentFormatter

from fer_lightning.data.faces import CLASSES

COLORS = dict(zip(CLASSES, ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#7F7F7F", "#0072B2", "#56B4E9"), strict=True))
MARKERS = dict(zip(CLASSES, "ovs^DPX", strict=True))
RUN_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
RUN_STYLES = ("-", "--", ":", "-.")  # so that more runs than colours stay apart
CURVES = {  # metric: label of its axis
    "train/loss": "training loss",
    "train/active_share": "active share of the triplets",
    "train/positive_distance": "distance of equal labels",
    "train/negative_distance": "distance of different labels",
    "train/spread": "spread of the embeddings",
    "train/learning_rate": "learning rate",
    "val/accuracy_quick": "quick validation accuracy",
    "val/accuracy": "validation accuracy",
}
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "fer_lightning"}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG beside each other; ``path`` has no suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        figure.savefig(path.with_suffix(".png"), dpi=150, metadata={"Software": None})
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def confusion(matrices: Mapping[str, np.ndarray]) -> Figure:
    """Return confusion matrices (C, C) side by side, rows true and columns predicted: share of each row, and count."""
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(5.2 * columns + 1, 5 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(matrices) :]:
            axes.set_axis_off()
        for axes, (name, counts) in zip(grid.flat, matrices.items(), strict=False):
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (row, column), share in np.ndenumerate(shares):
                color = "white" if share > 0.5 else "black"
                text = f"{share:.0%}\n{int(counts[row, column]):,}"
                axes.text(column, row, text, ha="center", va="center", color=color, fontsize=7)
            axes.spines[:].set_visible(True)
            axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=45, ha="right")
            axes.set_yticks(range(len(CLASSES)), CLASSES)
            axes.set(xlabel="predicted", ylabel="label")
            axes.set_title(_short(name), fontsize=9)
        figure.colorbar(picture, ax=grid, label="share of the label's faces", format=PercentFormatter(1), shrink=0.7)
    return figure


def per_class(scores: Mapping[str, np.ndarray], measure: str) -> Figure:
    """Return bars of a measure per class: in the classes' colours for one run, in the runs' colours for several."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7, 3.2), layout="constrained")
        axes = figure.add_subplot()
        width = 0.8 / len(scores)
        for run, (name, values) in enumerate(scores.items()):
            places = np.arange(len(CLASSES)) - 0.4 + width * (run + 0.5)
            colors = list(COLORS.values()) if len(scores) == 1 else _color(run)
            bars = axes.bar(places, values, width, color=colors, label=_short(name))
            if len(scores) <= 2:
                axes.bar_label(bars, [f"{value:.0%}" for value in values], fontsize=7)
        axes.set_xticks(range(len(CLASSES)), CLASSES)
        axes.set(ylabel=f"{measure} of the class", ylim=(0, 1.05))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        if len(scores) > 1:
            figure.legend(loc="outside lower center", ncols=min(3, len(scores)), frameon=False, fontsize=7)
    return figure


def embedding_map(points: np.ndarray, labels: np.ndarray, title: str) -> Figure:
    """Return a map of embeddings: points (B, 2), labels (B,)."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.2, 5), layout="constrained")
        axes = figure.add_subplot()
        for label, name in enumerate(CLASSES):
            own = points[labels == label]
            axes.scatter(*own.T, s=16, marker=MARKERS[name], color=COLORS[name], alpha=0.7, linewidths=0, label=name)
        axes.set(xticks=[], yticks=[], title=title)
        axes.spines[:].set_visible(True)
        figure.legend(loc="outside right center", frameon=False, markerscale=2)
    return figure


def pictures(rows: Sequence[Sequence[np.ndarray]], row_names: Sequence[str], column_names: Sequence[str]) -> Figure:
    """Return a grid of grey pictures (H, W) uint8."""
    with rc_context(STYLE):
        figure = Figure(figsize=(1.05 * len(column_names) + 0.8, 1.08 * len(rows) + 0.3), layout="constrained")
        grid = figure.subplots(len(rows), len(column_names), squeeze=False)
        for axes in grid.flat:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for row, (images, name) in enumerate(zip(rows, row_names, strict=True)):
            grid[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
            for axes, image in zip(grid[row], images, strict=False):
                axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        for axes, name in zip(grid[0], column_names, strict=True):
            axes.set_title(name, fontsize=8)
    return figure


def curves(histories: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> Figure:
    """Return the curves of some runs against the step: run -> metric -> (steps, values)."""
    found = [name for name in CURVES if any(name in history for history in histories.values())]
    with rc_context(STYLE):
        figure = Figure(figsize=(10, 2.5 * max(1, -(-len(found) // 3)) + 0.4), layout="constrained")
        grid = figure.subplots(max(1, -(-len(found) // 3)), 3, squeeze=False)
        for axes in grid.flat[len(found) :]:
            axes.set_axis_off()
        for axes, metric in zip(grid.flat, found, strict=False):
            for run, history in enumerate(histories.values()):
                if metric in history:
                    steps, values = history[metric]
                    axes.plot(steps, _smooth(values), color=_color(run), linestyle=_style(run), linewidth=1.2)
            axes.set(xlabel="step", ylabel=CURVES[metric])
            if "accuracy" in metric:
                axes.yaxis.set_major_formatter(PercentFormatter(1))
        if len(histories) > 1:
            lines = [
                figure.axes[0].plot([], [], color=_color(run), linestyle=_style(run))[0]
                for run in range(len(histories))
            ]
            names = [_short(name) for name in histories]
            figure.legend(lines, names, loc="outside lower center", ncols=2, frameon=False, fontsize=7)
    return figure


def options(values: Mapping[str, tuple[Sequence[str], Sequence[float]]], objective: str) -> Figure:
    """Return the objective against each swept option: option -> (choices, scores), one point per job."""
    with rc_context(STYLE):
        figure = Figure(figsize=(3.4 * max(1, len(values)), 3), layout="constrained")
        grid = figure.subplots(1, max(1, len(values)), squeeze=False, sharey=True)[0]
        for axes, (option, (choices, scores)) in zip(grid, values.items(), strict=False):
            _points(axes, choices, scores)
            axes.set(xlabel=option)
        grid[0].set(ylabel=objective)
        if "accuracy" in objective:
            grid[0].yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _points(axes: Axes, choices: Sequence[str], scores: Sequence[float]) -> None:
    """Plot scores over choices, on a number line where all choices are numbers; a dash marks each choice's mean."""
    try:
        places = [float(choice) for choice in choices]
        axes.xaxis.set_major_locator(FixedLocator(sorted(set(places))))
        axes.margins(x=0.2)
    except ValueError:
        names = sorted(set(choices))
        places = [names.index(choice) for choice in choices]
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.margins(x=0.2)
    axes.plot(places, scores, "o", color=RUN_COLORS[0], alpha=0.7)
    for place in set(places):
        mean = np.mean([score for at, score in zip(places, scores, strict=True) if at == place])
        axes.plot([place], [mean], "_", markersize=22, color="black")


def _smooth(values: np.ndarray, window: int = 25) -> np.ndarray:
    """Return the running mean over long series, so that several runs can be told apart; short ones as they are."""
    if len(values) < 4 * window:
        return values
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _color(run: int) -> str:
    return RUN_COLORS[run % len(RUN_COLORS)]


def _style(run: int) -> str:
    return RUN_STYLES[run // len(RUN_COLORS) % len(RUN_STYLES)]


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."
