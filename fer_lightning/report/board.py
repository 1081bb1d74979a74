"""The runs of a report in order and by name, and what their options made of the objective."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from fer_lightning.report.leaderboard import Contender, contenders, distinguish, order
from fer_lightning.runs.record import Run


class Board(NamedTuple):
    """The runs of a report, the best first.

    Attributes:
        runs: All of them.
        objective: Metric that orders them.
        entries: Repeated experiments, then every run.
        scored: Name and run of those that have been tested.
    """

    runs: list[Run]
    objective: str
    entries: list[Contender]
    scored: list[tuple[str, Run]]


def board(runs: Sequence[Run]) -> Board:
    """Return some runs in order, with their names."""
    objective = next((run.record.objective for run in runs if run.record.objective), "val/accuracy")
    ordered = order(runs, objective)
    names = distinguish(ordered)
    record = ordered[0].record
    if len(ordered) == 1 and record.data is not None:  # there is no other run to tell it from
        names = [f"{record.data}, protocol {record.protocol}"]
    scored = [(name, run) for name, run in zip(names, ordered, strict=True) if run.predictions]
    return Board(ordered, objective, contenders(ordered, objective), scored)


def option_scores(runs: Sequence[Run], objective: str) -> dict[str, tuple[list[str], list[float]]]:
    """Return option -> (choices, scores) for options that differ between runs and are given in every one.

    Leaky runs are left out, unless there are no others.
    """
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    runs = [run for run in runs if objective in run.figures]
    runs = [run for run in runs if not run.record.leaks] or runs
    for run in runs:
        for override in run.overrides:
            key, _, value = override.partition("=")
            found[key].append((value, run.figures[objective]))
    return {
        key: ([value for value, _ in points], [score for _, score in points])
        for key, points in found.items()
        if len(points) == len(runs) and len({value for value, _ in points}) > 1
    }
