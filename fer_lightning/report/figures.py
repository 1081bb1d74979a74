"""The figures: arrays in, matplotlib figures out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.style import (
    COLORS,
    LEAKY,
    MARKERS,
    RUN_COLORS,
    RUN_STYLES,
    STYLE,
    legend_columns,
    legend_height,
    run_color,
    short,
    wrapped,
)

CURVES = {  # metric: label of its axis
    "train/loss": "training loss",
    "train/active_share": "active triplets, of all valid ones",
    "train/positive_distance": "distance of equal labels (0 to 2)",
    "train/negative_distance": "distance of different labels (0 to 2)",
    "train/spread": "spread of the embeddings (0 to 1)",
    "train/learning_rate": "learning rate",
    "val/accuracy_quick": "quick validation accuracy",
    "val/accuracy": "validation accuracy",
}
SHARES = ("train/active_share", "val/accuracy_quick", "val/accuracy")


def confusion(matrices: Mapping[str, np.ndarray]) -> Figure:
    """Return confusion matrices (C, C) side by side, rows true and columns predicted: share of each row, and count."""
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.1 * columns, 4 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(matrices) :]:
            axes.set_axis_off()
        for axes, (name, counts) in zip(grid.flat, matrices.items(), strict=False):
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (row, column), share in np.ndenumerate(shares):
                color = "white" if share > 0.5 else "black"
                text = f"{share:.0%}\n{int(counts[row, column]):,}"
                axes.text(column, row, text, ha="center", va="center", color=color, fontsize=7)
            axes.spines[:].set_visible(True)
            axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=45, ha="right")
            axes.set_yticks(range(len(CLASSES)), CLASSES)
            axes.set(xlabel="predicted", ylabel="label (share and number of its faces)")
            axes.set_title(wrapped(name, 48), fontsize=9)
    return figure


def per_class(scores: Mapping[str, np.ndarray], measure: str) -> Figure:
    """Return bars of a measure per class: in the classes' colours for one run, in the runs' colours for several."""
    names = [wrapped(name, 60) for name in scores]
    with rc_context(STYLE):
        figure = Figure(figsize=(7, 3 + legend_height(names)), layout="constrained")
        axes = figure.add_subplot()
        width = 0.8 / len(scores)
        for run, (name, values) in enumerate(zip(names, scores.values(), strict=True)):
            places = np.arange(len(CLASSES)) - 0.4 + width * (run + 0.5)
            colors = list(COLORS.values()) if len(scores) == 1 else run_color(run)
            bars = axes.bar(places, values, width, color=colors, label=name)
            if len(scores) <= 2:
                axes.bar_label(bars, [f"{value:.0%}" for value in values], fontsize=7)
        axes.set_xticks(range(len(CLASSES)), CLASSES)
        axes.set(ylabel=f"{measure} of the class", ylim=(0, 1.05))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        if len(scores) > 1:
            figure.legend(loc="outside lower left", ncols=legend_columns(names), frameon=False, fontsize=8)
        else:
            axes.set_title(names[0], fontsize=9)
    return figure


def scores(rows: Sequence[tuple[str, Sequence[float], tuple[float, float] | None, bool]], chance: float) -> Figure:
    """Return the test accuracies at a glance, the first row on top.

    Args:
        rows: Label, accuracy of each repetition, 95 % interval of a single run, whether it leaks.
        chance: Accuracy of always giving the most frequent answer.
    """
    with rc_context(STYLE):
        names = [wrapped(label, 30) for label, *_ in rows]
        lines = sum(name.count("\n") + 1.6 for name in names)
        figure = Figure(figsize=(5.4, 0.9 + 0.16 * lines), layout="constrained")
        axes = figure.add_subplot()
        for place, (_, accuracies, interval, leaky) in enumerate(rows):
            color = LEAKY if leaky else RUN_COLORS[0]
            if interval:
                axes.plot(interval, [place, place], color=color, linewidth=1.5, solid_capstyle="butt")
            else:
                axes.plot(np.mean(accuracies), place, "|", color="black", markersize=14, markeredgewidth=1.5)
            face = "white" if leaky else color
            axes.plot(accuracies, [place] * len(accuracies), "o", color=color, markerfacecolor=face, markersize=5)
        axes.axvline(chance, color="#7F7F7F", linestyle=":", linewidth=1)
        axes.set_yticks(range(len(rows)), names)
        for label, (*_, leaky) in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_color(LEAKY if leaky else "black")
        axes.set(xlabel="test accuracy", ylim=(len(rows) - 0.4, -0.6))
        axes.grid(axis="x", color="#E5E7EB", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    return figure


def embedding_map(points: np.ndarray, labels: np.ndarray, title: str) -> Figure:
    """Return a map of embeddings: points (B, 2), labels (B,)."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.2, 5), layout="constrained")
        axes = figure.add_subplot()
        for label, name in enumerate(CLASSES):
            own = points[labels == label]
            axes.scatter(
                own[:, 0],
                own[:, 1],
                s=16,
                marker=MARKERS[name],
                color=COLORS[name],
                alpha=0.7,
                linewidths=0,
                label=name,
            )
        axes.set(xticks=[], yticks=[], xlabel="first axis (no unit)", ylabel="second axis (no unit)")
        axes.set_title(wrapped(title, 60), fontsize=9)
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


def curves(histories: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], kinds: Sequence[int]) -> Figure:
    """Return the curves of some runs against the step.

    Args:
        histories: Run -> metric -> (steps, values).
        kinds: The experiment of each run, from 0; its repetitions share a colour and differ in their lines.
    """
    found = [name for name in CURVES if any(name in history for history in histories.values())]
    looks: list[dict[str, Any]] = [
        {
            "color": run_color(kind),
            "linestyle": RUN_STYLES[kinds[:run].count(kind) % len(RUN_STYLES)],
            "linewidth": 1.2,
        }
        for run, kind in enumerate(kinds)
    ]
    columns = min(3, max(1, len(found)))
    rows = max(1, -(-len(found) // columns))
    names = [wrapped(name, 60) for name in histories]
    height = 2.5 * rows + 0.2 + legend_height(names)
    with rc_context(STYLE):
        figure = Figure(figsize=(max(5, 3.35 * columns), height), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(found) :]:
            axes.set_axis_off()
        for axes, metric in zip(grid.flat, found, strict=False):
            for history, look in zip(histories.values(), looks, strict=True):
                if metric in history:
                    steps, values = history[metric]
                    axes.plot(steps, _smooth(values), marker="." if len(values) < 20 else "", **look)
            axes.set(xlabel="step (batches)", ylabel=CURVES[metric])
            if metric in SHARES:
                axes.yaxis.set_major_formatter(PercentFormatter(1))
            else:
                axes.ticklabel_format(axis="y", scilimits=(-3, 4), useOffset=False)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if len(histories) > 1:
            lines = [figure.axes[0].plot([], [], **look)[0] for look in looks]
            figure.legend(
                lines, names, loc="outside lower left", ncols=legend_columns(names), frameon=False, fontsize=8
            )
    return figure


def options(values: Mapping[str, tuple[Sequence[str], Sequence[float]]], objective: str) -> Figure:
    """Return the objective against each swept option: option -> (choices, scores), one point per job."""
    columns = min(3, max(1, len(values)))
    rows = max(1, -(-len(values) // columns))
    with rc_context(STYLE):
        figure = Figure(figsize=(3.4 * columns, 3 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(values) :]:
            axes.set_axis_off()
        for axes, (option, (choices, scores)) in zip(grid.flat, values.items(), strict=False):
            _points(axes, choices, scores)
            axes.set(xlabel=option)
            if "accuracy" in objective:
                axes.yaxis.set_major_formatter(PercentFormatter(1))
        for axes in grid[:, 0]:
            axes.set(ylabel=objective)
    return figure


def _points(axes: Axes, choices: Sequence[str], scores: Sequence[float]) -> None:
    """Plot scores over choices, on a number line where all choices are numbers; a dash marks each choice's mean."""
    try:
        places = [float(choice) for choice in choices]
        if min(places) > 0 and max(places) >= 8 * min(places):
            axes.set_xscale("log")
        axes.set_xticks(*zip(*sorted({float(choice): choice for choice in choices}.items()), strict=True))
        axes.minorticks_off()
    except ValueError:
        names = list(dict.fromkeys(choices))
        places = [names.index(choice) for choice in choices]
        axes.set_xticks(range(len(names)), [short(name, 24) for name in names], rotation=30, ha="right")
    axes.margins(x=0.2)
    axes.plot(places, scores, "o", color=RUN_COLORS[0], alpha=0.7)
    for place in set(places):
        mean = np.mean([score for at, score in zip(places, scores, strict=True) if at == place])
        axes.plot([place], [mean], "_", markersize=22, color="black")


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return the running mean over long series, so that several runs can be told apart; short ones as they are."""
    window = len(values) // 40
    if window < 5:
        return values
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)
