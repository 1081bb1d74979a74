"""Which run is best, by how much, and whether that means anything."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError
from fer_lightning.report.comparison import compare_runs, differs
from fer_lightning.report.statistics import confusion_of, paired
from fer_lightning.report.table import (
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
from fer_lightning.runs.record import Run

NAMES = {
    "test/accuracy": "accuracy",
    "test/balanced_accuracy": "balanced accuracy",
    "test/macro_f1": "macro F1",
    "test/accuracy_without_twins": "accuracy without twins",
    "test/one_vs_rest_accuracy": "one-vs-rest accuracy",
}
ENOUGH = 3  # repetitions of an experiment before a difference of means is called one


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
    return sorted(runs, key=lambda run: rank(run.metrics, objective))


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

    Two runs are compared on the same test faces, two experiments over the seeds or folds that both have.
    """
    if len(first.runs) == len(second.runs) == 1:
        try:
            return compare_runs(first.runs[0], second.runs[0])
        except UserError:
            return None
    one, other = (
        {run.repetition: run.metrics["test/accuracy"] for run in entry.runs if "test/accuracy" in run.metrics}
        for entry in (first, second)
    )
    both = sorted(one.keys() & other.keys())
    return paired(np.array([one[key] - other[key] for key in both])) if len(both) > 1 else None


def verdict(entries: Sequence[Contender], objective: str) -> list[Card]:
    """Return which entry is best, its score, how far ahead it is and whether that means anything; none without one."""
    if not (candidates := leading(entries, objective)):
        return []
    best, *others = candidates
    several = len(best.runs) > 1
    what = "experiments" if several else "runs"
    among = f"the highest of {len(candidates)} {what} that do not leak" if others else "chose the checkpoint"
    value = " ".join(figure(best.row, objective)).strip()
    cards = [Card("Best" if len(entries) > 1 else "Run", best.label, f"{objective} {value}, {among}")]
    accuracy = best.row["test/accuracy"]
    if several:
        low = min(run.metrics["test/accuracy"] for run in best.runs)
        note = f"mean of {len(best.runs)} runs, standard deviation {100 * best.row['test/accuracy_sd']:.2f}"
    else:
        low, high = (best.row[f"test/accuracy_{end}"] for end in ("low", "high"))
        note = f"95 % interval {100 * low:.2f} to {100 * high:.2f}"
    name, share = majority(best.runs[0])
    chance = f"always answering {name} scores {share:.2%}"
    cards.append(
        Card("Test accuracy", f"{accuracy:.2%}", f"{note}; {'not above chance: ' if low <= share else ''}{chance}")
    )
    if others:
        cards += _margin(best, others[0])
    return cards


def _margin(best: Contender, second: Contender) -> Iterator[Card]:
    """Yield how far ahead of the second the best is, and whether that means anything."""
    result = contest(best, second)
    if result is None:
        points = 100 * (best.row["test/accuracy"] - second.row["test/accuracy"])
        yield Card("Ahead of the next, on the test faces", f"{points:+.2f} points", second.label)
        yield Card("Does that mean anything?", "Unknown", "the two report on different test faces, or share no seeds")
        return
    low, high = (100 * result[end] for end in ("low", "high"))
    note = f"{second.label}; 95 % interval {low:+.2f} to {high:+.2f}"
    yield Card("Ahead of the next, on the test faces", f"{100 * result['difference']:+.2f} points", note)
    yield Card("Does that mean anything?", *_meaning(result))


def _meaning(result: dict[str, float]) -> tuple[str, str]:
    """Return an answer, and what it rests on."""
    answer, told = ("Yes", "tell") if told_apart(result) else ("No", "do not tell")
    if "faces" in result:
        test = f"McNemar's exact test on {result['faces']:,} test faces, p = {result['p']:.2g}"
        return answer, f"these faces {told} the two apart ({test}); what another seed would change is not in it"
    if result["pairs"] < ENOUGH:
        return "Too early to say", f"{result['pairs']} repetitions of each are too few: add seeds, as seed=0,1,2,3,4"
    test = f"paired t-test over {result['pairs']}, p = {result['p']:.2g}"
    return answer, f"the repetitions {told} the two apart ({test})"


def told_apart(result: dict[str, float]) -> bool:
    """Return whether a difference is more than chance; two repetitions never show that."""
    return differs(result) and result.get("pairs", ENOUGH) >= ENOUGH


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
                text = f"{100 * result['difference']:+.2f}"
                interval = f"({100 * result['low']:+.2f} to {100 * result['high']:+.2f})"
                found.append((text if told_apart(result) else f"≈ {text}", interval))
            else:
                found.append(("", ""))
        else:
            bests[len(entry.runs) > 1] = entry
            found.append(("best", ""))
    return found


def majority(run: Run) -> tuple[str, float]:
    """Return the most frequent label of the test faces and its share: what always answering it scores."""
    true = confusion_of(run).sum(axis=1)
    return CLASSES[true.argmax()], float(true.max() / true.sum())


def leaderboard(entries: Sequence[Contender], objective: str) -> str:
    """Return the entries that have ended as a table to paste into a paper."""
    header = ["job", "protocol", "runs", objective, *(NAMES[name] for name in MEASURED), "seconds"]
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
        "One run: value (95 % bootstrap interval over groups of twins). Several: mean ± standard deviation. Accuracy "
        "is multiclass; one-vs-rest is the two-class accuracy averaged over the classes, the paper's equation 1."
    )
    return f"{markdown(header, rows)}\n{note}\n"
