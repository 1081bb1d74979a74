"""Decide whether the best run is really better: its score, its lead, and the test of that lead."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_lightning.config.verbs import verb
from fer_lightning.errors import UserError
from fer_lightning.report.peers import beside
from fer_lightning.report.ranking import ENOUGH, Board, Entry
from fer_lightning.report.statistics import Comparison, compare, paired
from fer_lightning.report.tables import figure_text
from fer_lightning.report.yardsticks import near_chance, yardsticks
from fer_lightning.runs.record import Run, read_record
from fer_lightning.words import counted, named, number, percent, points

QUESTION = "Is the best really better?"
TOO_EARLY = "Too early to say"
WITHOUT_TWINS, WITH_TWINS = "test/accuracy_without_twins_same_mix", "test/accuracy_with_twins_same_mix"


class Card(NamedTuple):
    """One answer at the top of the page."""

    title: str
    answer: str
    note: str

    def __str__(self) -> str:
        return f"{self.title}{'' if self.title.endswith('?') else ':'} {self.answer}, {self.note}"


def verdict(board: Board) -> list[Card]:
    """Return the best entry, its score, its lead, and whether the lead means anything.

    Where every score leaks, return the best accuracy on faces without twins, if it is known.
    Repeated experiments are compared if there are any, else runs. Only those of the best one's protocol are: others
    report on other test faces.
    """
    honest = [entry for entry in board.entries if _competes(entry, board.objective)]
    candidates = [entry for entry in honest if entry.repeated] or honest
    if not candidates:
        return _without_twins(board)
    best, *others = [entry for entry in candidates if entry.record.protocol == candidates[0].record.protocol]
    protocol = "" if len(others) + 1 == len(candidates) else f" under protocol {best.record.protocol}"
    kind = "experiments" if best.repeated else "runs"
    among = "this chose the checkpoint"
    if others:
        among = f"the highest of {len(others) + 1} {kind}{protocol} that do not leak"
    score = figure_text(best, board.objective)
    cards = []
    if len(board.entries) == 1 and board.objective != "test/accuracy":
        cards = [Card(named(board.objective).capitalize(), score, among)]
    elif len(board.entries) > 1:
        cards = [Card("Best", best.label, f"{named(board.objective)} {score}, {among}")]
    accuracy, spread = best.figures["test/accuracy"], _spread(best)
    chance, *references = yardsticks(best.runs[0])
    is_near = near_chance(accuracy, len(best.runs[0].right), chance.accuracy)
    context = [f"{'near it, ' if is_near else ''}{chance.name} scores {percent(chance.accuracy)}"]
    context += [f"{reference.name} {percent(reference.accuracy)}" for reference in references]
    cards.append(Card("Test accuracy", percent(accuracy), f"{spread}; {'; '.join(context)}"))
    if others:
        result = contest(best, others[0])
        cards.append(_lead(best, others[0], result))
        if is_near:
            cards.append(Card(QUESTION, TOO_EARLY, f"the best is near {chance.name}: train longer, then compare"))
        else:
            cards.append(Card(QUESTION, *_meaning(result)))
    return cards


def _without_twins(board: Board) -> list[Card]:
    """Return the highest accuracy that rests on no copies, with the class mix of all test faces held fixed."""
    entries = [entry for entry in board.entries if WITH_TWINS in entry.figures and not entry.record.too_good]
    if not entries:
        return []
    best = max(entries, key=lambda entry: entry.figures[WITHOUT_TWINS])
    note = (
        f"{best.label}, with the class mix of all faces; {percent(best.figures[WITH_TWINS])} on faces with a twin in "
        f"training, {percent(best.figures['test/accuracy'])} on all"
    )
    return [Card("Test accuracy without twins", percent(best.figures[WITHOUT_TWINS]), note)]


def differences(board: Board) -> list[tuple[str, str]]:
    """Return for each entry its test accuracy minus that of the best of its kind, in points, and the interval.

    Runs are compared with the best run of their protocol, repeated experiments with the best experiment of theirs.
    """
    bests: dict[tuple[bool, str | None], Entry] = {}
    cells = []
    for entry in board.entries:
        cell = ("", "")
        if _competes(entry, board.objective):
            kind = entry.repeated, entry.record.protocol
            if kind not in bests:
                bests[kind] = entry
                cell = ("best", "")
            elif result := contest(entry, bests[kind]):
                text = points(result.difference)
                interval = "" if result.p is None else f"({_interval(result)})"
                cell = (text if result.significant else f"≈ {text}", interval)
        cells.append(cell)
    return cells


def _competes(entry: Entry, objective: str) -> bool:
    """Return whether an entry can be the best."""
    return not entry.leaky and objective in entry.figures and bool(entry.runs[0].predictions)


def contest(first: Entry, second: Entry) -> Comparison | None:
    """Compare the test accuracies of two entries, or return None if nothing can be compared.

    Two runs are compared on their common test faces, two experiments over the seeds or folds that both have. Fewer than
    ``ENOUGH`` of these are not tested.
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
    return paired(gains) if len(shared) >= ENOUGH else Comparison(float(gains.mean()), pairs=len(shared))


def _spread(entry: Entry) -> str:
    """Return the uncertainty of an entry's test accuracy as text."""
    accuracies = sorted(run.figures["test/accuracy"] for run in entry.runs)
    if len(accuracies) == 1:
        low, high = entry.figures["test/accuracy_low"], entry.figures["test/accuracy_high"]
        return f"95 % interval {number(low)} to {number(high)}"
    deviation = entry.deviation("test/accuracy")
    if deviation is None:
        return f"mean of {' and '.join(map(percent, accuracies))}"
    return f"mean of {len(accuracies)} runs, standard deviation {number(deviation)} points"


def _interval(result: Comparison) -> str:
    return f"{points(result.low)} to {points(result.high)}"


def _lead(best: Entry, second: Entry, result: Comparison | None) -> Card:
    """Return how far the best is ahead of the second on the test faces, or behind it."""
    difference, note = best.figures["test/accuracy"] - second.figures["test/accuracy"], second.label
    if result:
        difference = result.difference
        if result.p is not None:
            note += f"; 95 % interval of the difference {_interval(result)}"
    side = "Ahead of" if difference > 0 else "Behind" if difference < 0 else "Level with"
    if difference < 0:
        note += "; the validation faces chose, the test faces only report"
    return Card(f"{side} the next, on the test faces", f"{number(abs(difference))} points", note)


def _meaning(result: Comparison | None) -> tuple[str, str]:
    """Return an answer and its reason."""
    if result is None:
        return "Unknown", "the two report on different test faces, or share no seeds"
    if result.p is None:
        return TOO_EARLY, f"{result.pairs} repetitions of each are too few: add seeds, as seed=0,1,2,3,4"
    answer = "Yes" if result.significant and result.difference > 0 else "No"
    verb = "do not tell the two apart"
    if result.significant:
        verb = "tell the two apart" if result.difference > 0 else "put the next ahead"
    if result.pairs:
        return answer, f"the repetitions {verb} (paired t-test over {result.pairs}, p = {result.p:.2g})"
    test = f"McNemar's exact test on {result.faces:,} test faces, p = {result.p:.2g}"
    return answer, f"these faces {verb} ({test}); other seeds may change it"


def compare_runs(first: Run, second: Run) -> Comparison:
    """Compare two runs on the same test faces.

    Raises:
        UserError: If a run has no predictions, or the two do not report on the same faces and labels.
    """
    for run in (first, second):
        _check_predictions(run)
    first_order, second_order = (np.argsort(run.predictions["file"]) for run in (first, second))
    differing = np.setxor1d(first.predictions["file"], second.predictions["file"])
    if len(differing) or (first.predictions["label"][first_order] != second.predictions["label"][second_order]).any():
        raise UserError(
            f"{first.folder} and {second.folder} cannot be compared: they report on different faces or labels "
            f"({len(differing):,} files in one only); use runs of the same data.root, protocol and fold"
        )
    twins = first.predictions["twins"][first_order].astype(int)
    return compare(first.right[first_order], second.right[second_order], twins)


def _check_predictions(run: Run) -> None:
    """Refuse a run without predictions."""
    if "twins" not in run.predictions:
        raise UserError(f"{run.folder}/predictions.csv is missing: score the run's checkpoint with eval.py first")


def read_sides(paths: Sequence[Path]) -> tuple[Run, Run]:
    """Return the two runs of a comparison; one may be a csv of predictions that were made elsewhere.

    Raises:
        UserError: If both are csv files, which hold no labels.
    """
    first, second = paths
    runs = [Run(path, read_record(path)) for path in paths if not path.is_file()]
    if not runs:
        raise UserError(
            f"{first} and {second} are two csv files, and one side must be a run: make one of a csv by `python -m "
            f"fer_lightning score {first} data.root=...`"
        )
    for run in runs:
        _check_predictions(run)
    if first.is_file():
        return beside(first, runs[0])
    return beside(second, runs[0])[::-1] if second.is_file() else (runs[0], runs[1])


@verb(
    "compare",
    "compare two runs on the same test faces, or a run with a csv of predictions",
    {"folders": {"nargs": 2, "metavar": "RUN", "help": "folder of a run, or a csv of predictions made elsewhere"}},
)
def print_comparison(folders: Sequence[Path]) -> None:
    """Print how two runs differ.

    Args:
        folders: Folders of the two runs; one may be a csv.

    Raises:
        UserError: If they cannot be compared.
    """
    first, second = read_sides(folders)
    result = compare_runs(first, second)
    csv = next((path for path in folders if path.is_file()), None)
    print(counted(result.faces, "test face") + ("" if csv is None else f" that {csv} answers"))
    for run in (first, second):
        print(f"test accuracy {percent(run.right.mean())}  {run.folder}")
    if csv is not None:
        command = f"`python -m fer_lightning score {csv} data.root=...`"
        print(f"{command} tells whether copies of these faces trained the network")
    elif first.record.corrections != second.record.corrections:
        for run in (first, second):
            print(f"labels of {run.folder}: {run.record.corrections or 'not corrected'}")
    test = f"95 % interval {_interval(result)}, McNemar's exact test p = {result.p:.2g}"
    print(f"difference {points(result.difference)} points ({test})")
    print(f"{counted(result.only_first, 'face')} only the first has right, {result.only_second:,} only the second")
    better = first if result.difference > 0 else second
    decision = f"{better.folder} is better on these faces"
    if not result.significant:
        decision = "these faces do not tell them apart"
    print(f"{decision}; the spread over seeds is not in this test")
