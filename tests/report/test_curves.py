"""The training graphs and the figure of scores: what is drawn, where, and in which order."""

from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from fer_lightning.report.curves import Curves, draw_all, draw_panel, flat_in_words, smooth, steps_per_epoch
from fer_lightning.report.figures import draw_scores
from fer_lightning.report.ranking import Entry
from fer_lightning.report.yardsticks import FER2013, Yardstick
from fer_lightning.runs.record import Record, Run


def history(length: int = 40, epochs: int = 4) -> dict:
    """Make the history of a run of four epochs of 100 steps, logged every tenth."""
    steps = np.arange(1, length + 1) * 10 - 1
    ends = np.arange(1, epochs + 1) * 100 - 1
    return {
        "epoch": (steps, (steps // 100).astype(float)),
        "train/loss": (steps, np.linspace(1, 0.5, length)),
        "train/learning_rate": (steps, np.full(length, 1e-4)),
        "train/spread": (steps, np.linspace(0.3, 0.9, length)),
        "train/positive_distance": (steps, np.linspace(1, 0.5, length)),
        "train/negative_distance": (steps, np.linspace(1, 1.2, length)),
        "val/accuracy": (ends, np.array([0.3, 0.5, 0.6, 0.55])),
        "train/accuracy": (np.append(ends, 400), np.array([0.3, 0.6, 0.8, 0.9, 0.8])),
    }


def curves(*histories: dict) -> Curves:
    yardsticks = [Yardstick("always happy", 0.2), Yardstick("the labels allow", 0.9)]
    return Curves({str(n): one for n, one in enumerate(histories)}, range(len(histories)), "val/accuracy", yardsticks)


def test_important_curves_come_first_and_flat_ones_are_left_out():
    accuracies, distances = ("train/accuracy", "val/accuracy"), ("train/positive_distance", "train/negative_distance")
    alone = [("val/accuracy",), accuracies, distances, ("train/spread",), ("train/loss",)]
    assert curves(history()).panels == alone
    assert flat_in_words(curves(history())) == " Left out, since they do not change: learning rate 0.0001."
    several = curves(history(), history())
    assert several.panels == [(name,) for name in ("val/accuracy", "train/accuracy", *distances)] + alone[3:]
    assert len(draw_all(several).axes) == 6


def test_axis_has_epochs_and_the_chosen_checkpoint():
    assert steps_per_epoch(history()) == 100
    quarters = np.arange(25, 801, 25) - 1  # four validations in each of eight epochs
    often = {"epoch": (quarters, quarters // 100), "val/accuracy": (quarters, np.zeros(32))}
    assert steps_per_epoch(often) == 100
    axes = draw_panel(curves(history()), ("val/accuracy",)).axes[0]
    assert axes.get_xlabel() == "epoch"
    line, ring, *marks = axes.lines
    assert line.get_xdata() == pytest.approx([1, 2, 3, 4])
    assert (ring.get_xdata(), ring.get_ydata()) == (pytest.approx([3]), pytest.approx([0.6]))
    assert [mark.get_ydata()[0] for mark in marks] == [0.2, 0.9]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["always happy\n20.0 %", "the labels allow\n90.0 %"]
    assert axes.get_title(loc="left") == "validation accuracy, chosen: 60.0 %"
    training = draw_panel(curves(history()), ("train/accuracy", "val/accuracy")).axes[0].lines[0]
    assert training.get_xdata() == pytest.approx([1, 2, 3, 4])  # without the test's figure at step 400
    short = {name: (steps[:9], values[:9]) for name, (steps, values) in history().items() if name != "val/accuracy"}
    assert draw_panel(curves(short), ("train/loss",)).axes[0].get_xlabel() == "step (batches)"


@pytest.mark.parametrize("references", [(0.52, 0.55), (0.2, 0.9), (0.6, 0.6), (0.58,)])
@pytest.mark.parametrize("runs", [1, 2])
def test_labels_cover_neither_each_other_nor_the_curves(references, runs):
    graphs = replace(curves(*[history()] * runs), references=[Yardstick("always happy", it) for it in references])
    figure = draw_panel(graphs, ("val/accuracy",))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [text.get_window_extent().padded(-2) for text in axes.texts]
    assert len(boxes) == len(references)
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    assert all(box.x0 > axes.bbox.x1 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_long_curves_are_smoothed_over_their_raw_values():
    assert smooth(np.arange(39.0)) == pytest.approx(np.arange(39.0))
    assert smooth(np.tile([0.0, 3.0, 0.0], 20))[1:-1] == pytest.approx(1)
    raw, smoothed = draw_panel(curves(history()), ("train/loss",)).axes[0].lines
    assert raw.get_alpha() < 0.5
    assert len(raw.get_xdata()) == len(smoothed.get_xdata()) == 40


@pytest.mark.parametrize("accuracies", [(0.240, 0.264), (0.3, 0.99), (0.671, 0.675)])
def test_labels_of_the_scores_do_not_touch(accuracies):
    entries = []
    for value in accuracies:
        figures = {"test/accuracy": value, "test/accuracy_low": value - 0.01, "test/accuracy_high": value + 0.01}
        entries.append(Entry(f"run {value}", [Run(Path("run"), Record(figures=figures))], "", figures, None))
    for yardsticks in ([], [Yardstick("always happy", 0.258), *FER2013]):
        figure = draw_scores(entries, yardsticks)
        figure.draw_without_rendering()
        (axes,) = figure.axes
        boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
        assert [text.get_text() for text in axes.texts][1:] == [
            "people 65.0 %",
            "one network, published 72.0 %",
            "ensemble, published 76.8 %",
        ][: 3 * bool(yardsticks)]
