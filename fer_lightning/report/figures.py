"""The figures of a report. FIGURES lists them; disk, page and W&B take them from there.

A new figure is one function in that list, from the board of runs to a plot, or to None if there is nothing to draw.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lightning.data.crowd import AGREED, BINS, agreement_bins
from fer_lightning.report import curves
from fer_lightning.report.ranking import Board, Entry, experiment, option_scores
from fer_lightning.report.statistics import confusion_of, f1_per_class, reliability_bins, risk_and_coverage
from fer_lightning.report.stress import Outcome, by_change, mean_remains, read_stress
from fer_lightning.report.style import (
    CLASS_COLORS,
    GREY,
    GRID,
    LEAKY,
    RUN_COLORS,
    STYLE,
    by_class,
    draw_reference,
    legend_columns,
    legend_height,
    new_figure,
    new_grid,
    run_color,
    share_axis,
    short,
    wrapped,
)
from fer_lightning.report.yardsticks import Yardstick, yardsticks
from fer_lightning.runs.record import Run
from fer_lightning.words import named, number, percent

MATRICES = 9  # confusion matrices on a page, those of the best runs
LINES = 8  # runs that share a figure of curves or bars
SCORES = 40  # rows of the figure of scores


class Plot(NamedTuple):
    """A figure that is not drawn yet."""

    name: str  # of its files, and of its key in W&B
    title: str
    text: str  # explanation on the page
    draw: Callable[[], Figure]
    parts: Sequence[Callable[[], Figure]] = ()  # smaller figures for the page, instead of a wide one
    key: Sequence[tuple[str, str, str]] = ()  # name, colour and line of each run, if the parts have no legend


def scores(board: Board) -> Plot | None:
    """Plot the test accuracies of several entries: repeated experiments if there are any, else runs."""
    repeated = [entry for entry in board.entries if entry.repeated]
    entries = [entry for entry in repeated or board.entries if "test/accuracy" in entry.figures][:SCORES]
    if len(entries) < 2:
        return None
    dots = "each dot a run, the bar their mean" if repeated else "95 % intervals of single runs"
    leaky = "; hollow: leaky" if any(entry.leaky for entry in entries) else ""
    references = yardsticks(board.best)
    if len({run.record.data_fingerprint for _, run in board.scored}) > 1:
        references = references[:1]  # the others hold for the faces of the best run only
    return Plot(
        "scores",
        "Scores",
        f"Accuracy on the test faces: {dots}{leaky}.",
        partial(draw_scores, entries, references),
    )


@rc_context(STYLE)
def draw_scores(entries: Sequence[Entry], references: Sequence[Yardstick]) -> Figure:
    """Draw the test accuracies of some entries, the first on top, with a line for each reference."""
    names = [wrapped(entry.label, 30) for entry in entries]
    lines = sum(name.count("\n") + 1.6 for name in names)
    figure, axes = new_figure(4.8, 2.3 + 0.16 * lines)
    for row, entry in enumerate(entries):
        color = LEAKY if entry.leaky else RUN_COLORS[0]
        accuracies = [run.figures["test/accuracy"] for run in entry.runs]
        if entry.repeated or "test/accuracy_low" not in entry.figures:
            axes.plot(np.mean(accuracies), row, "|", color="black", markersize=14, markeredgewidth=1.5)
        else:
            interval = [entry.figures["test/accuracy_low"], entry.figures["test/accuracy_high"]]
            axes.plot(interval, [row, row], color=color, linewidth=1.5, solid_capstyle="butt")
        face = "white" if entry.leaky else color
        axes.plot(accuracies, [row] * len(accuracies), "o", color=color, markerfacecolor=face, markersize=5)
    for reference in references:
        draw_reference(axes, f"{reference.name} {percent(reference.accuracy)}", reference.accuracy, vertical=True)
    axes.set_yticks(range(len(names)), names)
    for label, entry in zip(axes.get_yticklabels(), entries, strict=True):
        label.set_color(LEAKY if entry.leaky else "black")
    axes.set(xlabel="test accuracy", ylim=(len(entries) - 0.4, -0.6))
    axes.margins(x=0.08)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    share_axis(axes.xaxis)
    return figure


def training_graphs(board: Board) -> Plot | None:
    """Plot the logged metrics of the best runs against the epoch."""
    best = board.scored[:LINES]
    if not any(run.history for _, run in best):
        return None
    names = [" ".join(experiment(run.overrides)) or label for label, run in best]
    kinds = [list(dict.fromkeys(names)).index(name) for name in names]
    references = yardsticks(board.best)
    if len(references) > 1:
        references = [references[0], references[-1]]
    graphs = curves.Curves({label: run.history for label, run in best}, kinds, board.objective, references)
    key = [(label, style["color"], style["linestyle"]) for (label, _), style in zip(best, graphs.styles, strict=True)]
    return Plot(
        "training_graphs",
        f"Training graphs{_of_the_best(board)}",
        "The paper's figure 5. A ring: the chosen checkpoint. Long curves are running means over a twentieth of them, "
        f"with the logged values behind them.{curves.flat_in_words(graphs)}",
        partial(curves.draw_all, graphs),
        [partial(curves.draw_panel, graphs, metrics) for metrics in graphs.panels],
        key if len(best) > 1 else (),
    )


def options(board: Board) -> Plot | None:
    """Plot the objective against each option that differs between the runs."""
    values = option_scores([run for _, run in board.scored], board.objective)
    if not values:
        return None
    return Plot(
        "options",
        "Options",
        f"The {named(board.objective)} of each run that does not leak, and a dash for the mean of each choice.",
        partial(draw_options, values, board.objective),
        [partial(draw_options, {option: value}, board.objective) for option, value in values.items()],
    )


@rc_context(STYLE)
def draw_options(values: Mapping[str, Mapping[str, Sequence[float]]], objective: str) -> Figure:
    """Draw a panel for each option: option -> choice -> scores, one point a run."""
    figure, grid = new_grid(len(values), 3.4, 3, least_width=4.8, sharey=True)
    for axes, (option, scores) in zip(grid.flat, values.items(), strict=False):
        _draw_points(axes, scores)
        axes.set(xlabel=option)
        if "accuracy" in objective:
            share_axis(axes.yaxis)
    for axes in grid[:, 0]:
        axes.set(ylabel=named(objective))
    return figure


def _draw_points(axes: Axes, scores: Mapping[str, Sequence[float]]) -> None:
    """Draw the scores of each choice, to scale if all choices are numbers, with a dash at their mean."""
    try:
        positions = [float(choice) for choice in scores]
        if min(positions) > 0 and max(positions) >= 8 * min(positions):
            axes.set_xscale("log")
        ticks = dict(sorted(zip(positions, scores, strict=True)))  # one of 0.001 and 1e-3
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.minorticks_off()
    except ValueError:
        positions = [float(row) for row in range(len(scores))]
        axes.set_xticks(positions, [short(choice, 24) for choice in scores], rotation=30, ha="right")
    axes.margins(x=0.2, y=0.12)
    for position, values in zip(positions, scores.values(), strict=True):
        axes.plot([position] * len(values), values, "o", color=RUN_COLORS[0], alpha=0.7)
        axes.plot(position, np.mean(values), "_", markersize=22, color="black")


def confusion_matrices(board: Board) -> Plot:
    """Plot the confusion matrices of the best runs."""
    matrices = {label: confusion_of(run) for label, run in _comparable(board)[:MATRICES]}
    classes, several = board.best.classes, len(matrices) > 1
    best = f" of the {MATRICES} best runs" if len(board.scored) > MATRICES else ""
    parts = [partial(draw_confusion, {label: matrix}, classes) for label, matrix in matrices.items()]
    return Plot(
        "confusion_matrices" if several else "confusion_matrix",
        f"Confusion {'matrices' if several else 'matrix'}{best}",
        "The paper's figure 6: which expression is taken for which.",
        partial(draw_confusion, matrices, classes),
        parts if several else (),
    )


@rc_context(STYLE)
def draw_confusion(matrices: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Draw confusion matrices (C, C) side by side, rows true and columns predicted: share of each row, and count."""
    side = max(4.4, 0.36 * len(classes))  # inches
    figure, grid = new_grid(len(matrices), side + 0.2, side)
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


def per_class(board: Board) -> Plot:
    """Plot the F1 of each class."""
    values = {label: f1_per_class(confusion_of(run)) for label, run in _comparable(board)[:LINES]}
    classes, several = board.best.classes, len(values) > 1
    return Plot(
        "per_class",
        f"F1 per class{_of_the_best(board)}",
        "The harmonic mean of a class's precision and recall.",
        partial(draw_per_class, values, classes),
        [partial(draw_per_class, values, classes, legend=False)] if several else (),
        [(label, run_color(row), "-") for row, label in enumerate(values)] if several else (),
    )


@rc_context(STYLE)
def draw_per_class(values: Mapping[str, np.ndarray], classes: Sequence[str], legend: bool = True) -> Figure:
    """Draw bars of the F1 per class (C,): in the colours of the classes for one run, of the runs for several."""
    names = [wrapped(name, 50) for name in values]
    several = len(values) > 1
    height = 1 + len(classes) * max(0.3, 0.14 * len(values))
    if several and legend:
        height += 1.5 * legend_height(names)
    figure, axes = new_figure(4.8, height)
    width, colors = 0.8 / len(values), list(by_class(classes, CLASS_COLORS).values())
    for run, (name, scores) in enumerate(zip(names, values.values(), strict=True)):
        positions = np.arange(len(classes)) - 0.4 + width * (run + 0.5)
        bars = axes.barh(positions, scores, width, color=run_color(run) if several else colors, label=name)
        if len(values) <= 2:
            axes.bar_label(bars, [percent(score) for score in scores], fontsize=8, padding=2)
    axes.set_yticks(range(len(classes)), classes)
    axes.invert_yaxis()
    axes.set(xlabel="F1 of the class", xlim=(0, 1.08))
    share_axis(axes.xaxis)
    if several and legend:
        figure.legend(loc="outside lower left", ncols=max(1, legend_columns(names) // 2), frameon=False, fontsize=8)
    return figure


def risk_coverage(board: Board) -> Plot | None:
    """Plot the share of wrong answers of the best run if it answers only its surest faces."""
    run = board.best
    if not run.predictions["vote"][0]:  # of a network that gives no votes
        return None
    share, accuracy, area = (run.figures.get(f"test/{name}") for name in ("answered", "accuracy_answered", "aurc"))
    chosen = None if share is None or accuracy is None or share == 1 else (share, accuracy)
    text = (
        "How often the answer is wrong if only the surest faces are answered, in the order of the vote for their class "
        "(El-Yaniv, Wiener, 2010)."
    )
    if area is not None:
        text += f" The area under the curve is {area:.4f}."
    text += _abstention(run)
    return Plot(
        "risk_coverage",
        f"Risk-coverage curve{' of the best run' if len(board.scored) > 1 else ''}",
        text,
        partial(draw_risk_coverage, run, chosen),
    )


def _abstention(run: Run) -> str:
    """Return a sentence about the faces that a run abstains from; empty for one from before votes were calibrated."""
    figures = run.figures
    if "val/confidence_threshold" in figures:
        rule = " and the nearest training face near enough" if "val/distance_threshold" in figures else ""
        return (
            f" A face is answered if its vote is {percent(figures['val/confidence_threshold'])} at least{rule}. The "
            f"validation faces chose this: {percent(figures['val/answered'])} of them are answered, "
            f"{percent(figures['val/accuracy_answered'])} of those correctly. Ring: the answered test faces."
        )
    if "val/accuracy_reachable" not in figures:
        return ""
    return (
        " No face is abstained from: model.abstention.accuracy is null, or above "
        f"{percent(figures['val/accuracy_reachable'])}, the highest accuracy of any threshold on the validation faces."
    )


@rc_context(STYLE)
def draw_risk_coverage(run: Run, chosen: tuple[float, float] | None) -> Figure:
    """Draw risk against coverage, with a ring at the share above the chosen threshold and the accuracy there."""
    right, votes = run.right, run.predictions["vote"].astype(float)
    coverage, risk = risk_and_coverage(votes, right)
    best = risk_and_coverage(right.astype(float), right)[1]
    figure, axes = new_figure(4.8, 3.6)
    axes.plot(coverage, risk, color=RUN_COLORS[0], label="the surest first")
    axes.plot(coverage, best, color=GREY, linestyle="--", linewidth=1, label="if every right one came first")
    axes.axhline(risk[-1], color=GREY, linestyle=":", linewidth=1, label="in random order")
    if chosen:
        share, accuracy = chosen
        label = f"chosen: {percent(share)} answered,\n{percent(1 - accuracy)} of them wrong"
        ring: dict[str, Any] = {"color": RUN_COLORS[1], "markersize": 8, "markerfacecolor": "none", "linestyle": "none"}
        axes.plot(share, 1 - accuracy, marker="o", label=label, **ring)
    axes.set(xlabel="answered, of the test faces", ylabel="wrong, of those answered", xlim=(0, 1.02))
    axes.set_ylim(bottom=0, top=min(1.0, 1.2 * max(risk.max(), 0.01)))
    share_axis(axes.xaxis, axes.yaxis)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    return figure


def reliability(board: Board) -> Plot | None:
    """Plot the accuracy of the best run against its votes, before and after calibration."""
    run = board.best
    before, after = (run.figures.get(f"test/calibration_error{kind}") for kind in ("_raw", ""))
    if before is None:
        return None
    text = f"The expected calibration error is {percent(before)} (arXiv:1706.04599)."
    if after is not None:
        text = (
            f"The temperature {run.figures['val/temperature']:.2f}, chosen on the validation faces, takes the expected "
            f"calibration error from {percent(before)} to {percent(after)} (arXiv:1706.04599)."
        )
    return Plot(
        "reliability",
        f"Reliability diagram{' of the best run' if len(board.scored) > 1 else ''}",
        "Test faces by the vote for their class: on the line a vote is the probability to be right; larger marks stand "
        f"for more faces. {text}",
        partial(draw_reliability, run, before, after),
    )


@rc_context(STYLE)
def draw_reliability(run: Run, before: float, after: float | None) -> Figure:
    """Draw the accuracy of each bin of votes; the label names the calibration error ``before`` and ``after``."""
    series = [("shares of the vote", "raw_vote", before, "s", RUN_COLORS[1])]
    if after is not None:
        series.append(("calibrated", "vote", after, "o", RUN_COLORS[0]))
    figure, axes = new_figure(4.8, 3.6)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    for name, column, error, marker, color in series:
        mean, accuracy, counts = reliability_bins(run.predictions[column].astype(float), run.right)
        axes.plot(mean, accuracy, color=color, linewidth=1)
        sizes = 8 + 150 * counts / counts.sum()
        label = f"{name}: {number(error)} % off"
        axes.scatter(mean, accuracy, sizes, color=color, marker=marker, alpha=0.7, linewidths=0, label=label)
    axes.set(xlabel="vote for the class that was answered", ylabel="right, of such faces")
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03))
    share_axis(axes.xaxis, axes.yaxis)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    return figure


def stress(board: Board) -> Plot | None:
    """Plot the accuracy of the best run on changed faces."""
    outcomes = read_stress(board.best.folder, board.best.record.weights)
    if not outcomes:
        return None
    return Plot(
        "stress",
        f"Under stress{' of the best run' if len(board.scored) > 1 else ''}",
        "The test faces changed, each change at three strengths, the darkest dot the strongest; the line: the faces as "
        f"they are. On average {percent(mean_remains(outcomes))} of the accuracy remains.",
        partial(draw_stress, outcomes),
    )


@rc_context(STYLE)
def draw_stress(outcomes: Sequence[Outcome]) -> Figure:
    """Draw a row for each change, a dot with its interval for each strength, a line for the faces as they are."""
    changes, plain = by_change(outcomes), outcomes[0]
    figure, axes = new_figure(4.8, 1.1 + 0.34 * len(changes))
    axes.axvspan(plain.low, plain.high, color=GRID, linewidth=0)
    axes.axvline(plain.accuracy, color=GREY, linestyle=":", linewidth=1)
    axes.set_title(f"line: {plain.change}, {percent(plain.accuracy)}", fontsize=8, loc="right")
    for row, strengths in enumerate(changes.values()):
        for position, outcome in enumerate(strengths):
            shade = (position + 1) / len(strengths)
            y = row + 0.2 * (position - (len(strengths) - 1) / 2)
            axes.plot([outcome.low, outcome.high], [y, y], color=RUN_COLORS[0], alpha=shade, linewidth=1)
            axes.plot(outcome.accuracy, y, "o", color=RUN_COLORS[0], alpha=shade, markersize=4)
    axes.set_yticks(range(len(changes)), [name.replace("_", " ") for name in changes])
    axes.set(xlabel="test accuracy", ylim=(len(changes) - 0.4, -0.6))
    axes.set_xlim(left=0)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    share_axis(axes.xaxis)
    return figure


def crowd(board: Board) -> Plot | None:
    """Plot what people see in the test faces beside the answers of the best run, by agreement and by label."""
    run, figures = board.best, board.best.figures
    if "test/accuracy_crowd" not in figures:
        return None
    clear = {name: column[run.predictions["crowd"] != ""] for name, column in run.predictions.items()}
    label, prediction, answer = (clear[name] for name in ("label", "prediction", "crowd"))
    bins = agreement_bins(clear["agreement"].astype(float))
    hits = {
        "people's answer is the label": answer == label,
        "the network gives the label": prediction == label,
        "the network gives people's answer": prediction == answer,
    }
    panels = {
        "share of people who agree": {name: bins == number for number, name in enumerate(BINS)},
        "label": {name: label == name for name in run.classes},
    }
    agreed, entropy = "", ""
    if "test/accuracy_agreed" in figures:
        agreed = (
            f" Where {percent(AGREED, 0)} of the people or more agree, it gives the label in "
            f"{percent(figures['test/accuracy_agreed'])} and their answer in "
            f"{percent(figures['test/accuracy_crowd_agreed'])}."
        )
    if "test/entropy_crowd" in figures:
        entropy = (
            f" Cross-entropy of the network's votes with people's: {figures['test/cross_entropy_crowd']:.2f} nats, at "
            f"least {figures['test/entropy_crowd']:.2f}."
        )
    return Plot(
        "crowd",
        f"What people see{' beside the best run' if len(board.scored) > 1 else ''}",
        f"The {len(label):,} test faces on which people do not tie. Their answer is the label in "
        f"{percent(figures['test/crowd_gives_label'])}; one person gives the answer of all others in "
        f"{percent(figures['test/crowd_one_with_others'])}. The network gives their answer in "
        f"{percent(figures['test/accuracy_crowd'])}; the mean rank of its answers in people's votes is "
        f"{figures['test/rank_crowd']:.2f} (of the labels: {figures['test/rank_crowd_label']:.2f}).{agreed}{entropy}",
        partial(draw_crowd, panels, hits),
    )


@rc_context(STYLE)
def draw_crowd(panels: Mapping[str, Mapping[str, np.ndarray]], hits: Mapping[str, np.ndarray]) -> Figure:
    """Draw the share of hits in groups of faces, a row for each group; faces and hits are (B,) bool."""
    figure, grid = new_grid(len(panels), 3.6, 3.4)
    for axes, (title, groups) in zip(grid.flat, panels.items(), strict=False):
        filled = {name: faces for name, faces in groups.items() if faces.any()}
        for (name, right), color, marker in zip(hits.items(), (GREY, *RUN_COLORS), "so^", strict=False):
            shares = [right[faces].mean() for faces in filled.values()]
            axes.plot(shares, range(len(filled)), marker, color=color, label=name, alpha=0.8)
        names = [f"{name} ({faces.sum():,})" for name, faces in filled.items()]
        axes.set_yticks(range(len(filled)), names)
        axes.set(xlim=(-0.03, 1.03), ylim=(len(filled) - 0.5, -0.5), title=f"by {title} (test faces)")
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        share_axis(axes.xaxis)
    figure.legend(
        *grid.flat[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, frameon=False, fontsize=8
    )
    return figure


FIGURES = (scores, training_graphs, options, confusion_matrices, per_class, crowd, risk_coverage, reliability, stress)


def plots(board: Board) -> list[Plot]:
    """Return the figures that have something to draw; none if no run was tested."""
    return [plot for make in FIGURES if (plot := make(board))] if board.scored else []


def _comparable(board: Board) -> list[tuple[str, Run]]:
    """Return the tested runs with the same classes as the best one."""
    return [(name, run) for name, run in board.scored if run.classes == board.best.classes]


def _of_the_best(board: Board) -> str:
    return f" of the {LINES} best runs" if len(board.scored) > LINES else ""
