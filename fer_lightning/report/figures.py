"""The figures: arrays in, matplotlib figures out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lightning.report.looks import class_colors, class_markers
from fer_lightning.report.stress import Outcome, as_they_are, by_change
from fer_lightning.report.style import (
    LEAKY,
    RUN_COLORS,
    STYLE,
    legend_columns,
    legend_height,
    mark,
    run_color,
    share_axis,
    short,
    wrapped,
)
from fer_lightning.report.yardsticks import Yardstick
from fer_lightning.words import named, percent


def confusion(matrices: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Return confusion matrices (C, C) side by side, rows true and columns predicted: share of each row, and count."""
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    with rc_context(STYLE):
        side = max(4.4, 0.36 * len(classes))  # inches
        figure = Figure(figsize=((side + 0.2) * columns, side * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(matrices) :]:
            axes.set_axis_off()
        for axes, (name, counts) in zip(grid.flat, matrices.items(), strict=False):
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (row, column), share in np.ndenumerate(shares):
                color = "white" if share > 0.5 else "black"
                text = f"{percent(share, 0)}\n{int(counts[row, column]):,}"
                axes.text(column, row, text, ha="center", va="center", color=color, fontsize=7)
            axes.spines[:].set_visible(True)
            axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
            axes.set_yticks(range(len(classes)), classes)
            axes.set(xlabel="predicted", ylabel="label (share and number of its faces)")
            axes.set_title(wrapped(name, 48), fontsize=9)
    return figure


def per_class(scores: Mapping[str, np.ndarray], classes: Sequence[str], measure: str, legend: bool = True) -> Figure:
    """Return bars of a measure per class: in the classes' colours for one run, in the runs' colours for several.

    Args:
        scores: Run -> the measure of each class (C,).
        classes: Their names.
        measure: Its name.
        legend: Whether to name the runs.
    """
    names = [wrapped(name, 50) for name in scores]
    several = len(scores) > 1
    with rc_context(STYLE):
        height = 1 + len(classes) * max(0.3, 0.14 * len(scores)) + 1.5 * legend_height(names) * several * legend
        figure = Figure(figsize=(4.8, height), layout="constrained")
        axes = figure.add_subplot()
        width, colors = 0.8 / len(scores), list(class_colors(classes).values())
        for run, (name, values) in enumerate(zip(names, scores.values(), strict=True)):
            places = np.arange(len(classes)) - 0.4 + width * (run + 0.5)
            bars = axes.barh(places, values, width, color=run_color(run) if several else colors, label=name)
            if len(scores) <= 2:
                axes.bar_label(bars, [percent(value) for value in values], fontsize=8, padding=2)
        axes.set_yticks(range(len(classes)), classes)
        axes.invert_yaxis()
        axes.set(xlabel=f"{measure} of the class", xlim=(0, 1.08))
        share_axis(axes.xaxis)
        if several and legend:
            figure.legend(loc="outside lower left", ncols=max(1, legend_columns(names) // 2), frameon=False, fontsize=8)
    return figure


def scores(
    rows: Sequence[tuple[str, Sequence[float], tuple[float, float] | None, bool]], yardsticks: Sequence[Yardstick]
) -> Figure:
    """Return the test accuracies at a glance, the first row on top.

    Args:
        rows: Label, accuracy of each repetition, 95 % interval of a single run, whether it leaks.
        yardsticks: Accuracies that lines are drawn at.
    """
    with rc_context(STYLE):
        names = [wrapped(label, 30) for label, *_ in rows]
        lines = sum(name.count("\n") + 1.6 for name in names)
        figure = Figure(figsize=(4.8, 2.3 + 0.16 * lines), layout="constrained")
        axes = figure.add_subplot()
        for place, (_, accuracies, interval, leaky) in enumerate(rows):
            color = LEAKY if leaky else RUN_COLORS[0]
            if interval:
                axes.plot(interval, [place, place], color=color, linewidth=1.5, solid_capstyle="butt")
            else:
                axes.plot(np.mean(accuracies), place, "|", color="black", markersize=14, markeredgewidth=1.5)
            face = "white" if leaky else color
            axes.plot(accuracies, [place] * len(accuracies), "o", color=color, markerfacecolor=face, markersize=5)
        for yardstick in yardsticks:
            mark(axes, f"{yardstick.name} {percent(yardstick.accuracy)}", yardstick.accuracy, vertical=True)
        axes.set_yticks(range(len(rows)), names)
        for label, (*_, leaky) in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_color(LEAKY if leaky else "black")
        axes.set(xlabel="test accuracy", ylim=(len(rows) - 0.4, -0.6))
        axes.margins(x=0.08)
        axes.grid(axis="x", color="#E5E7EB", linewidth=0.6)
        axes.set_axisbelow(True)
        share_axis(axes.xaxis)
    return figure


def embedding_map(points: np.ndarray, labels: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Return a map of embeddings: points (B, 2), labels (B,), names of the C classes."""
    colors, markers = class_colors(classes), class_markers(classes)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.8, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for label, name in enumerate(classes):
            own = points[labels == label]
            axes.scatter(
                own[:, 0],
                own[:, 1],
                s=16,
                marker=markers[name],
                color=colors[name],
                alpha=0.7,
                linewidths=0,
                label=name,
            )
        axes.set(xticks=[], yticks=[], xlabel="first axis (no unit)", ylabel="second axis (no unit)")
        axes.set_title(wrapped(title, 52), fontsize=9)
        axes.spines[:].set_visible(True)
        figure.legend(loc="outside lower center", ncols=4, frameon=False, markerscale=2)
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


def stress(outcomes: Sequence[Outcome]) -> Figure:
    """Return the accuracy under each change, a row a change, a dot a strength with its interval, and a line without."""
    changes, plain = by_change(outcomes), as_they_are(outcomes)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.8, 1.1 + 0.34 * len(changes)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvspan(plain.low, plain.high, color="#E5E7EB", linewidth=0)
        axes.axvline(plain.accuracy, color="#7F7F7F", linestyle=":", linewidth=1)
        axes.set_title(f"line: {plain.change}, {percent(plain.accuracy)}", fontsize=8, loc="right")
        for row, found in enumerate(changes.values()):
            for position, outcome in enumerate(found):
                shade = (position + 1) / len(found)
                place = row + 0.2 * (position - (len(found) - 1) / 2)
                axes.plot([outcome.low, outcome.high], [place] * 2, color=RUN_COLORS[0], alpha=shade, linewidth=1)
                axes.plot(outcome.accuracy, place, "o", color=RUN_COLORS[0], alpha=shade, markersize=4)
        axes.set_yticks(range(len(changes)), [name.replace("_", " ") for name in changes])
        axes.set(xlabel="test accuracy", ylim=(len(changes) - 0.4, -0.6))
        axes.set_xlim(left=0)
        axes.grid(axis="y", color="#E5E7EB", linewidth=0.6)
        axes.set_axisbelow(True)
        share_axis(axes.xaxis)
    return figure


def options(values: Mapping[str, tuple[Sequence[str], Sequence[float]]], objective: str) -> Figure:
    """Return the objective against each swept option: option -> (choices, scores), one point per job."""
    columns = min(3, max(1, len(values)))
    rows = max(1, -(-len(values) // columns))
    with rc_context(STYLE):
        figure = Figure(figsize=(max(4.8, 3.4 * columns), 3 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(values) :]:
            axes.set_axis_off()
        for axes, (option, (choices, scores)) in zip(grid.flat, values.items(), strict=False):
            _points(axes, choices, scores)
            axes.set(xlabel=option)
            if "accuracy" in objective:
                share_axis(axes.yaxis)
        for axes in grid[:, 0]:
            axes.set(ylabel=named(objective))
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
