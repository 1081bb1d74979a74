"""Which run is best, by how much, and whether that means anything."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fer_lightning.errors import UserError
from fer_lightning.report.comparison import compare_runs, differs
from fer_lightning.report.statistics import paired
from fer_lightning.report.table import (
    ENOUGH,
    MEASURED,
    experiment,
    figure,
    markdown,
    rank,
    row_of,
    seconds,
    summarize,
    unshared,
)
from fer_lightning.report.yardsticks import yardsticks
from fer_lightning.runs.record import Run
from fer_lightning.words import named, number, percent, points

NEAR = 0.05  # accuracy above always the largest class, below which no run is called better than another
QUESTION = "Is the best really better?"
TOO_EARLY = "Too early to say"


class Contender(NamedTuple):
    """A run, or the repetitions of one experiment over seeds or folds; ``row`` holds its figures."""

    label: str
    runs: list[Run]
    row: dict[str, Any]

    @property
    def leaky(self) -> bool:
        """Whether its score says nothing about new faces."""
        return bool(self.row.get("leaks"))


class Card(NamedTuple):
    """One answer of the page's first lines."""

    title: str
    answer: str
    note: str

    def __str__(self) -> str:
        return f"{self.title}{'' if self.title.endswith('?') else ':'} {self.answer}, {self.note}"


def order(runs: Iterable[Run], objective: str) -> list[Run]:
    """Return the runs, the best first."""
    return sorted(runs, key=lambda run: rank(row_of(run), objective))


def distinguish(runs: Sequence[Run]) -> list[str]:
    """Return a short name for each run: the overrides that not all of them share, else the folder's name."""
    labels = [label or "all defaults" for label in unshared([run.overrides for run in runs])]
    if len(runs) > 1 and len(set(labels)) == len(labels):
        return labels
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def contenders(runs: Sequence[Run], objective: str) -> list[Contender]:
    """Return an entry for each repeated experiment, then one for each run; both in the order of the objective."""
    rows = [row_of(run) for run in runs]
    repeated = defaultdict(list)
    for run, row in zip(runs, rows, strict=True):
        if row["status"] == "completed":
            repeated[experiment(row["overrides"])].append(run)
    means = summarize(rows, objective)
    names = unshared([row["overrides"].split() for row in [*means, *rows]])
    return [
        *(
            Contender(f"mean of {row['runs']}: {name}".rstrip(": "), repeated[row["overrides"]], row)
            for row, name in zip(means, names, strict=False)
        ),
        *(Contender(label, [run], row) for label, run, row in zip(distinguish(runs), runs, rows, strict=True)),
    ]


def leading(entries: Sequence[Contender], objective: str) -> list[Contender]:
    """Return those that the question is about, best first: repeated experiments where there are any, else runs."""
    scored = [entry for entry in entries if not entry.leaky and objective in entry.row and entry.runs[0].predictions]
    return [entry for entry in scored if len(entry.runs) > 1] or scored


def contest(first: Contender, second: Contender) -> dict[str, float] | None:
    """Return how the test accuracies differ (first minus second), or None where nothing can be said.

    Two runs are compared on the same test faces, two experiments over the seeds or folds that both have: no interval
    ``low`` to ``high`` and no ``p`` for fewer than ``ENOUGH`` of these.
    """
    if len(first.runs) == len(second.runs) == 1:
        try:
            return compare_runs(first.runs[0], second.runs[0])
        except UserError:
            return None
    one, other = (
        {run.repetition: run.figures["test/accuracy"] for run in entry.runs if "test/accuracy" in run.figures}
        for entry in (first, second)
    )
    both = sorted(one.keys() & other.keys())
    if not both:
        return None
    differences = np.array([one[key] - other[key] for key in both])
    if len(both) < ENOUGH:
        return {"difference": float(differences.mean()), "pairs": len(both)}
    return paired(differences)


def verdict(entries: Sequence[Contender], objective: str) -> list[Card]:
    """Return which entry is best, its score, how far ahead it is and whether that means anything; none without one."""
    if not (candidates := leading(entries, objective)):
        return []
    best, *others = candidates
    what = "experiments" if len(best.runs) > 1 else "runs"
    among = f"the highest of {len(candidates)} {what} that do not leak" if others else "this chose the checkpoint"
    score = " ".join(figure(best.row, objective)).strip()
    cards = [Card("Best", best.label, f"{named(objective)} {score}, {among}")]
    if len(entries) == 1:
        cards = [Card(named(objective).capitalize(), score, among)]
    low, spread = _spread(best)
    chance, *others_known = yardsticks(best.runs[0])
    above = best.row["test/accuracy"] - chance.accuracy
    warning = "not above it, " if low <= chance.accuracy else "near it, " if above < NEAR else ""
    known = "; ".join(
        [f"{warning}{chance.name} scores {percent(chance.accuracy)}"]
        + [f"{one.name} {percent(one.accuracy)}" for one in others_known]
    )
    cards.append(Card("Test accuracy", percent(best.row["test/accuracy"]), f"{spread}; {known}"))
    if others:
        result = contest(best, others[0])
        cards.append(_margin(best, others[0], result))
        if low <= chance.accuracy or above < NEAR:
            cards.append(Card(QUESTION, TOO_EARLY, f"the best is near {chance.name}: train longer, then compare"))
        else:
            cards.append(Card(QUESTION, *_meaning(result)))
    return cards


def _spread(entry: Contender) -> tuple[float, str]:
    """Return the lower end of an entry's test accuracies, and what they are uncertain by in words."""
    accuracies = sorted(run.figures["test/accuracy"] for run in entry.runs)
    if len(accuracies) == 1:
        low, high = (entry.row[f"test/accuracy_{end}"] for end in ("low", "high"))
        return low, f"95 % interval {number(low)} to {number(high)}"
    if "test/accuracy_sd" in entry.row:
        deviation = number(entry.row["test/accuracy_sd"])
        return accuracies[0], f"mean of {len(accuracies)} runs, standard deviation {deviation} points"
    return accuracies[0], f"mean of {' and '.join(map(percent, accuracies))}"


def _margin(best: Contender, second: Contender, result: dict[str, float] | None) -> Card:
    """Return how far the best is ahead of the second on the test faces, or behind it."""
    difference = best.row["test/accuracy"] - second.row["test/accuracy"] if result is None else result["difference"]
    side = "Ahead of" if difference > 0 else "Behind" if difference < 0 else "Level with"
    note = second.label
    if result and "p" in result:
        note += f"; 95 % interval of the difference {points(result['low'])} to {points(result['high'])}"
    if difference < 0:
        note += "; the validation faces chose, the test faces only report"
    return Card(f"{side} the next, on the test faces", f"{number(abs(difference))} points", note)


def _meaning(result: dict[str, float] | None) -> tuple[str, str]:
    """Return an answer, and what it rests on."""
    if result is None:
        return "Unknown", "the two report on different test faces, or share no seeds"
    if "p" not in result:
        return TOO_EARLY, f"{result['pairs']} repetitions of each are too few: add seeds, as seed=0,1,2,3,4"
    told = told_apart(result)
    answer = "Yes" if told and result["difference"] > 0 else "No"
    verb = "put the next ahead" if told and result["difference"] < 0 else "tell the two apart"
    if "faces" in result:
        test = f"McNemar's exact test on {result['faces']:,} test faces, p = {result['p']:.2g}"
        return answer, f"these faces {'' if told else 'do not '}{verb} ({test}); other seeds may change it"
    test = f"paired t-test over {result['pairs']}, p = {result['p']:.2g}"
    return answer, f"the repetitions {'' if told else 'do not '}{verb} ({test})"


def told_apart(result: dict[str, float]) -> bool:
    """Return whether a difference is more than chance; fewer than ``ENOUGH`` repetitions never show that."""
    return "p" in result and differs(result)


def behind(entries: Sequence[Contender], objective: str) -> list[tuple[str, str]]:
    """Return for each entry how its test accuracy differs from the best of its kind, in points, and the interval."""
    bests: dict[bool, Contender] = {}
    found = []
    for entry in entries:
        if entry.leaky or objective not in entry.row or not entry.runs[0].predictions:
            found.append(("", ""))
        elif best := bests.get(len(entry.runs) > 1):
            result = contest(entry, best)
            if result:
                text = points(result["difference"])
                interval = f"({points(result['low'])} to {points(result['high'])})" if "p" in result else ""
                found.append((text if told_apart(result) else f"≈ {text}", interval))
            else:
                found.append(("", ""))
        else:
            bests[len(entry.runs) > 1] = entry
            found.append(("best", ""))
    return found


def leaderboard(entries: Sequence[Contender], objective: str) -> str:
    """Return the entries that have ended as a table to paste into a paper."""
    header = ["job", "protocol", "runs", *map(named, (objective, *MEASURED)), "seconds"]
    rows = [
        [
            label,
            f"{row.get('protocol', '')}{' (leaky)' if row.get('leaks') else ''}",
            str(row["runs"]),
            *(" ".join(figure(row, name)).strip() for name in (objective, *MEASURED)),
            seconds(row),
        ]
        for label, _, row in entries
        if row["status"] in ("completed", "mean")
    ]
    note = (
        "One run: value (95 % bootstrap interval over groups of twins). Three runs and more: mean ± standard "
        "deviation; two: mean (the two values). Accuracy is multiclass; one-vs-rest is the two-class accuracy averaged "
        "over the classes, the paper's equation 1."
    )
    return f"{markdown(header, rows)}\n{note}\n"
