"""How an accuracy holds where the faces are changed: stress.json and stress.csv, which only this module knows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fer_lightning.errors import UserError
from fer_lightning.files import write_csv, write_json

NAME = "stress.json"
PLAIN = "as they are"  # what stands first: the faces without a change


class Outcome(NamedTuple):
    """The accuracy under one change."""

    change: str
    strength: int  # from 1, the weakest; 0 of the faces as they are
    setting: str  # in words
    accuracy: float
    low: float  # of its 95 % interval
    high: float
    remains: float  # share of the accuracy on the faces as they are


def write_stress(folder: Path, outcomes: Sequence[Outcome], head: dict[str, object]) -> None:
    """Write stress.json, which begins with a head, and stress.csv."""
    write_json(folder / NAME, {**head, "outcomes": [outcome._asdict() for outcome in outcomes]})
    table = [[*outcome[:3], *(f"{share:.6f}" for share in outcome[3:])] for outcome in outcomes]
    write_csv(folder / "stress.csv", Outcome._fields, table)


def read_stress(folder: Path) -> list[Outcome]:
    """Return what ``write_stress`` wrote, nothing without the file; refuse a damaged one."""
    path = folder / NAME
    if not path.is_file():
        return []
    try:
        return [Outcome(**outcome) for outcome in json.loads(path.read_text(encoding="utf-8"))["outcomes"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r:.100}): run the stress test again") from error


def by_change(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Return the outcomes of each change, the weakest strength first, without those of the faces as they are."""
    names = dict.fromkeys(outcome.change for outcome in outcomes if outcome.strength)
    return {name: [outcome for outcome in outcomes if outcome.change == name] for name in names}


def as_they_are(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of the faces without a change."""
    return next(outcome for outcome in outcomes if not outcome.strength)


def mean_remains(outcomes: Sequence[Outcome]) -> float:
    """Return what remains of the accuracy, as the mean over all changes and strengths."""
    return sum(outcome.remains for outcome in outcomes if outcome.strength) / max(1, len(outcomes) - 1)
