"""What a report draws of its runs: FIGURES lists it, and disk, page and W&B take it from there.

A new figure is one function in that list: from the runs to a plot, or to None where there is nothing to draw.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from matplotlib.figure import Figure

from fer_lightning.report import certainty, curves, figures
from fer_lightning.report.board import Board, option_scores
from fer_lightning.report.leaderboard import Contender
from fer_lightning.report.statistics import confusion_of, f1_per_class
from fer_lightning.report.stress import mean_remains, read_stress
from fer_lightning.report.style import run_color
from fer_lightning.report.table import experiment
from fer_lightning.report.yardsticks import yardsticks
from fer_lightning.runs.record import Run
from fer_lightning.words import named, percent

MATRICES = 9  # confusion matrices on a page: those of the best runs; the leaderboard holds every run
LINES = 8  # runs whose curves and bars share a figure
SCORES = 40  # rows of the figure of scores


class Plot(NamedTuple):
    """A figure that is not drawn yet.

    Attributes:
        name: Name of its files and of its key in W&B.
        title: Heading on the page.
        text: Explanation on the page.
        draw: Draws it.
        parts: Draw what the page shows instead, where it would be too wide as a whole.
        key: Name, colour and line of each run, for parts that do not say which is which.
    """

    name: str
    title: str
    text: str
    draw: Callable[[], Figure]
    parts: Sequence[Callable[[], Figure]] = ()
    key: Sequence[tuple[str, str, str]] = ()


def scores(board: Board) -> Plot | None:
    """Plot the test accuracies of several runs: whole experiments where they were repeated, else single runs."""
    repeated = [entry for entry in board.entries if len(entry.runs) > 1]
    shown = [entry for entry in repeated or board.entries if "test/accuracy" in entry.row][:SCORES]
    if len(shown) < 2 or not board.scored:
        return None
    dots = "each dot a run, the bar their mean" if repeated else "95 % intervals of single runs"
    leaky = "; hollow: leaky" if any(entry.leaky for entry in shown) else ""
    best = board.scored[0][1]
    known = yardsticks(best)
    if len({run.record.data_fingerprint for _, run in board.scored}) > 1:
        known = known[:1]  # what others reach is known of the best run's faces only
    return Plot(
        "scores",
        "Scores",
        f"Accuracy on the test faces: {dots}{leaky}.",
        lambda: figures.scores([_score(entry) for entry in shown], known),
    )


def training_graphs(board: Board) -> Plot | None:
    """Plot what was logged against the epoch."""
    few = board.scored[:LINES]
    if not any(run.history for _, run in few):
        return None
    names = [experiment(" ".join(run.overrides)) or label for label, run in few]
    kinds = [list(dict.fromkeys(names)).index(name) for name in names]
    known = yardsticks(few[0][1])
    known = [known[0], known[-1]] if len(known) > 1 else known
    drawn = curves.Curves({label: run.history for label, run in few}, kinds, board.objective, known)
    return Plot(
        "training_graphs",
        f"Training graphs{_of_the_best(board)}",
        "The paper's figure 5. A ring: the chosen checkpoint. Long curves are running means over a twentieth of them, "
        f"with the logged values behind them.{curves.flat_in_words(drawn)}",
        lambda: curves.whole(drawn),
        [partial(curves.panel, drawn, metrics) for metrics in drawn.panels],
        list(curves.keys(drawn)) if len(few) > 1 else (),
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
        lambda: figures.options(values, board.objective),
        [partial(figures.options, {option: value}, board.objective) for option, value in values.items()],
    )


def confusion_matrices(board: Board) -> Plot | None:
    """Plot which expression is taken for which."""
    matrices = {label: confusion_of(run) for label, run in _alike(board)[:MATRICES]}
    if not matrices:
        return None
    classes, several = board.scored[0][1].classes, len(matrices) > 1
    of = f" of the {MATRICES} best runs" if len(board.scored) > MATRICES else ""
    return Plot(
        "confusion_matrices" if several else "confusion_matrix",
        f"Confusion {'matrices' if several else 'matrix'}{of}",
        "The paper's figure 6: which expression is taken for which.",
        lambda: figures.confusion(matrices, classes),
        [partial(figures.confusion, {label: matrix}, classes) for label, matrix in matrices.items()] if several else (),
    )


def per_class(board: Board) -> Plot | None:
    """Plot the F1 of each class."""
    values = {label: f1_per_class(confusion_of(run)) for label, run in _alike(board)[:LINES]}
    if not values:
        return None
    classes, several = board.scored[0][1].classes, len(values) > 1
    return Plot(
        "per_class",
        f"F1 per class{_of_the_best(board)}",
        "The harmonic mean of a class's precision and recall.",
        lambda: figures.per_class(values, classes, "F1"),
        [lambda: figures.per_class(values, classes, "F1", legend=False)] if several else (),
        [(label, run_color(number), "-") for number, label in enumerate(values)] if several else (),
    )


def risk_coverage(board: Board) -> Plot | None:
    """Plot how often the best run is wrong where it answers the faces alone that it is surest of."""
    if not board.scored:
        return None
    run = board.scored[0][1]
    share, accuracy, area = (run.figures.get(f"test/{name}") for name in ("answered", "accuracy_answered", "aurc"))
    chosen = None if share is None or accuracy is None or share == 1 else (share, accuracy)
    threshold = run.figures.get("val/confidence_threshold", 0.0)
    return Plot(
        "risk_coverage",
        f"How often wrong, the surest faces first{' (the best run)' if len(board.scored) > 1 else ''}",
        "Faces are answered in the order of the vote for their class: risk against coverage (El-Yaniv, Wiener, 2010)."
        + (f" The area under the curve is {area:.4f}." if area is not None else "")
        + (f" The ring: those whose vote is {percent(threshold)} at least and that are not far." if chosen else ""),
        lambda: certainty.draw_risk_coverage(certainty.certainty_of(run), chosen),
    )


def reliability(board: Board) -> Plot | None:
    """Plot how often the best run is right against its votes, before and after they were calibrated."""
    run = board.scored[0][1] if board.scored else None
    if run is None or "test/calibration_error" not in run.figures:
        return None
    errors = [run.figures[f"test/calibration_error{name}"] for name in ("_raw", "")]
    return Plot(
        "reliability",
        f"What a vote is worth{' (the best run)' if len(board.scored) > 1 else ''}",
        "Test faces by the vote for their class: on the line a vote is the probability to be right; larger marks stand "
        f"for more faces. The temperature {run.figures['val/temperature']:.2f}, chosen on the validation faces, takes "
        f"the expected calibration error from {percent(errors[0])} to {percent(errors[1])} (arXiv:1706.04599).",
        lambda: certainty.draw_reliability(certainty.certainty_of(run), errors),
    )


def stress(board: Board) -> Plot | None:
    """Plot how the best run's accuracy holds on changed faces."""
    outcomes = read_stress(board.scored[0][1].folder) if board.scored else []
    if not outcomes:
        return None
    return Plot(
        "stress",
        f"Under stress{' of the best run' if len(board.scored) > 1 else ''}",
        "The test faces changed, each change at three strengths, the darkest dot the strongest; the line: the faces as "
        f"they are. On average {percent(mean_remains(outcomes))} of the accuracy remains.",
        lambda: figures.stress(outcomes),
    )


FIGURES = (scores, training_graphs, options, confusion_matrices, per_class, risk_coverage, reliability, stress)


def plots(board: Board) -> list[Plot]:
    """Return the figures that there is something to draw for."""
    return [plot for make in FIGURES if (plot := make(board))]


def _score(entry: Contender) -> tuple[str, list[float], tuple[float, float] | None, bool]:
    """Return a row of the figure of scores."""
    accuracies = [run.figures["test/accuracy"] for run in entry.runs]
    interval = None
    if len(entry.runs) == 1 and "test/accuracy_low" in entry.row:
        interval = entry.row["test/accuracy_low"], entry.row["test/accuracy_high"]
    return entry.label, accuracies, interval, entry.leaky


def _alike(board: Board) -> list[tuple[str, Run]]:
    """Return the tested runs that have the classes of the best one."""
    return [(name, run) for name, run in board.scored if run.classes == board.scored[0][1].classes]


def _of_the_best(board: Board) -> str:
    return f" of the {LINES} best runs" if len(board.scored) > LINES else ""
