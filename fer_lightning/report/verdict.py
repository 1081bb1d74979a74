"""Whether the best run is really better: its score, its lead, and the test of that lead."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fer_lightning.config.verbs import verb
from fer_lightning.errors import UserError
from fer_lightning.report.ranking import ENOUGH, Board, Entry
from fer_lightning.report.statistics import compare, paired
from fer_lightning.report.tables import figure
from fer_lightning.report.yardsticks import yardsticks
from fer_lightning.runs.record import Run
from fer_lightning.words import named, number, percent, points

NEAR = 0.05  # accuracy above "always the largest class"; below it no run is called better than another
QUESTION = "Is the best really better?"
TOO_EARLY = "Too early to say"


class Card(NamedTuple):
    """One answer at the top of the page."""

    title: str
    answer: str
    note: str

    def __str__(self) -> str:
        return f"{self.title}{'' if self.title.endswith('?') else ':'} {self.answer}, {self.note}"


def verdict(board: Board) -> list[Card]:
    """Return the best entry, its score, its lead, and whether the lead means anything; empty without scores."""
    if not (candidates := contenders(board)):
        return []
    best, *others = candidates
    kind = "experiments" if best.repeated else "runs"
    among = f"the highest of {len(candidates)} {kind} that do not leak" if others else "this chose the checkpoint"
    score = " ".join(figure(best, board.objective)).strip()
    if len(board.entries) == 1:
        cards = [Card(named(board.objective).capitalize(), score, among)]
    else:
        cards = [Card("Best", best.label, f"{named(board.objective)} {score}, {among}")]
    low, spread = _spread(best)
    accuracy = best.figures["test/accuracy"]
    chance, *references = yardsticks(best.runs[0])
    near_chance = low <= chance.accuracy or accuracy - chance.accuracy < NEAR
    warning = "not above it, " if low <= chance.accuracy else "near it, " if near_chance else ""
    context = [f"{warning}{chance.name} scores {percent(chance.accuracy)}"]
    context += [f"{reference.name} {percent(reference.accuracy)}" for reference in references]
    cards.append(Card("Test accuracy", percent(accuracy), f"{spread}; {'; '.join(context)}"))
    if others:
        result = contest(best, others[0])
        cards.append(_lead(best, others[0], result))
        if near_chance:
            cards.append(Card(QUESTION, TOO_EARLY, f"the best is near {chance.name}: train longer, then compare"))
        else:
            cards.append(Card(QUESTION, *_meaning(result)))
    return cards


def contenders(board: Board) -> list[Entry]:
    """Return the honest entries with a score, best first: repeated experiments if there are any, else runs."""
    scored = [entry for entry in board.entries if _competes(entry, board.objective)]
    return [entry for entry in scored if entry.repeated] or scored


def differences(board: Board) -> list[tuple[str, str]]:
    """Return for each entry its test accuracy minus that of the best of its kind, in points, and the interval.

    Single runs are compared with the best run, repeated experiments with the best experiment.
    """
    bests: dict[bool, Entry] = {}
    cells = []
    for entry in board.entries:
        cell = ("", "")
        if _competes(entry, board.objective):
            if entry.repeated not in bests:
                bests[entry.repeated] = entry
                cell = ("best", "")
            elif result := contest(entry, bests[entry.repeated]):
                cell = _difference(result)
        cells.append(cell)
    return cells


def _competes(entry: Entry, objective: str) -> bool:
    """Return whether an entry can be the best."""
    return not entry.leaky and objective in entry.figures and bool(entry.runs[0].predictions)


def _difference(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return a difference and its interval as text."""
    text = points(result["difference"])
    interval = f"({points(result['low'])} to {points(result['high'])})" if "p" in result else ""
    return text if significant(result) else f"≈ {text}", interval


def contest(first: Entry, second: Entry) -> dict[str, Any] | None:
    """Compare the test accuracies of two entries, or return None if nothing can be compared.

    Two runs are compared on their common test faces, two experiments over the seeds or folds that both have. With
    fewer than ``ENOUGH`` of these there is no interval and no ``p``.

    Returns:
        ``difference`` (first minus second), its interval ``low`` and ``high``, ``p``, and ``faces`` or ``pairs``.
    """
    if not first.repeated and not second.repeated:
        try:
            return compare_runs(first.runs[0], second.runs[0])
        except UserError:
            return None
    accuracies, others = (
        {run.repetition: run.figures["test/accuracy"] for run in entry.runs if "test/accuracy" in run.figures}
        for entry in (first, second)
    )
    shared = sorted(accuracies.keys() & others.keys())
    if not shared:
        return None
    gains = np.array([accuracies[repetition] - others[repetition] for repetition in shared])
    if len(shared) < ENOUGH:
        return {"difference": float(gains.mean()), "pairs": len(shared)}
    return paired(gains)


def significant(result: Mapping[str, Any]) -> bool:
    """Return whether interval and test both say that a difference is more than chance."""
    return "p" in result and result["p"] < 0.05 and result["low"] * result["high"] > 0


def _spread(entry: Entry) -> tuple[float, str]:
    """Return the lower end of an entry's test accuracies, and their uncertainty in words."""
    accuracies = sorted(run.figures["test/accuracy"] for run in entry.runs)
    if len(accuracies) == 1:
        low, high = (entry.figures[f"test/accuracy_{end}"] for end in ("low", "high"))
        return low, f"95 % interval {number(low)} to {number(high)}"
    deviation = entry.deviation("test/accuracy")
    if deviation is not None:
        words = f"mean of {len(accuracies)} runs, standard deviation {number(deviation)} points"
    else:
        words = f"mean of {' and '.join(map(percent, accuracies))}"
    return accuracies[0], words


def _lead(best: Entry, second: Entry, result: Mapping[str, Any] | None) -> Card:
    """Return how far the best is ahead of the second on the test faces, or behind it."""
    if result is None:
        difference = best.figures["test/accuracy"] - second.figures["test/accuracy"]
    else:
        difference = result["difference"]
    side = "Ahead of" if difference > 0 else "Behind" if difference < 0 else "Level with"
    note = second.label
    if result and "p" in result:
        note += f"; 95 % interval of the difference {points(result['low'])} to {points(result['high'])}"
    if difference < 0:
        note += "; the validation faces chose, the test faces only report"
    return Card(f"{side} the next, on the test faces", f"{number(abs(difference))} points", note)


def _meaning(result: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return an answer and its reason."""
    if result is None:
        return "Unknown", "the two report on different test faces, or share no seeds"
    if "p" not in result:
        return TOO_EARLY, f"{result['pairs']} repetitions of each are too few: add seeds, as seed=0,1,2,3,4"
    if not significant(result):
        answer, verb = "No", "do not tell the two apart"
    elif result["difference"] > 0:
        answer, verb = "Yes", "tell the two apart"
    else:
        answer, verb = "No", "put the next ahead"
    if "faces" in result:
        test = f"McNemar's exact test on {result['faces']:,} test faces, p = {result['p']:.2g}"
        return answer, f"these faces {verb} ({test}); other seeds may change it"
    return answer, f"the repetitions {verb} (paired t-test over {result['pairs']}, p = {result['p']:.2g})"


def compare_runs(first: Run, second: Run) -> dict[str, Any]:
    """Compare two runs on the same test faces.

    Returns:
        The result of ``statistics.compare``, the ``accuracies`` of both runs, and the number of ``faces``.

    Raises:
        UserError: If a run has no predictions, or the two do not report on the same faces and labels.
    """
    for run in (first, second):
        if not run.predictions or "twins" not in run.predictions[0]:
            raise UserError(f"{run.folder}/predictions.csv is missing: score the run's checkpoint with eval.py first")
    rows, others = ({row["file"]: row for row in run.predictions} for run in (first, second))
    differing = rows.keys() ^ others.keys()
    if differing or any(rows[file]["label"] != others[file]["label"] for file in rows):
        raise UserError(
            f"{first.folder} and {second.folder} cannot be compared: they report on different faces or labels "
            f"({len(differing):,} files in one only); use runs of the same data.root, protocol and fold"
        )
    right, others_right = (
        np.array([table[file]["label"] == table[file]["prediction"] for file in rows]) for table in (rows, others)
    )
    groups = np.array([int(row["twins"]) for row in rows.values()])
    return {
        **compare(right, others_right, groups),
        "accuracies": [float(right.mean()), float(others_right.mean())],
        "faces": len(rows),
    }


def in_words(result: Mapping[str, Any]) -> str:
    """Return the result of ``compare_runs`` as one clause."""
    return (
        f"{points(result['difference'])} points (95 % interval {points(result['low'])} to {points(result['high'])}, "
        f"McNemar's exact test p = {result['p']:.2g})"
    )


@verb(
    "compare",
    "compare two runs on the same test faces",
    {"folders": {"nargs": 2, "metavar": "RUN", "help": "folder of a run"}},
)
def print_comparison(folders: Sequence[Path]) -> None:
    """Print how two runs differ.

    Args:
        folders: Folders of the two runs.

    Raises:
        UserError: If they cannot be compared.
    """
    first, second = (Run(folder) for folder in folders)
    result = compare_runs(first, second)
    better = first if result["difference"] > 0 else second
    print(f"{result['faces']:,} test faces")
    for run, accuracy in zip((first, second), result["accuracies"], strict=True):
        print(f"test accuracy {percent(accuracy)}  {run.folder}")
    print(f"difference {in_words(result)}")
    print(f"{result['only_first']:,} faces only the first has right, {result['only_second']:,} only the second")
    decision = (
        f"{better.folder} is better on these faces" if significant(result) else "these faces do not tell them apart"
    )
    print(f"{decision}; the spread over seeds is not in this test")
