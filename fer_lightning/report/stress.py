"""Results of a stress test: the accuracy on changed faces, in stress.json and stress.csv."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fer_lightning.errors import UserError
from fer_lightning.files import write_csv, write_json

NAME = "stress.json"
PLAIN = "as they are"  # the first outcome: the faces without a change


class Outcome(NamedTuple):
    """The accuracy under one change."""

    change: str
    strength: int  # from 1, the weakest; 0 for the faces as they are
    setting: str  # of the change, in words
    accuracy: float
    low: float  # of the 95 % interval
    high: float
    remains: float  # share of the accuracy on the faces as they are


def write_stress(folder: Path, outcomes: Sequence[Outcome], head: dict[str, object]) -> None:
    """Write stress.json, which begins with the entries of ``head``, and stress.csv."""
    write_json(folder / NAME, {**head, "outcomes": [outcome._asdict() for outcome in outcomes]})
    table = [[*outcome[:3], *(f"{share:.6f}" for share in outcome[3:])] for outcome in outcomes]
    write_csv(folder / "stress.csv", Outcome._fields, table)


def read_stress(folder: Path, weights: str | None) -> list[Outcome]:
    """Return the outcomes in a folder; empty without the file, or if it is about another network.

    Args:
        folder: The run's folder.
        weights: Fingerprint of the network.

    Raises:
        UserError: If the file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("weights") != weights:
            return []
        return [Outcome(**outcome) for outcome in content["outcomes"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error!r:.100}): run the stress test again") from error


def by_change(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Return change -> its outcomes, the weakest strength first."""
    names = dict.fromkeys(outcome.change for outcome in outcomes if outcome.strength)
    return {name: [outcome for outcome in outcomes if outcome.change == name] for name in names}


def mean_remains(outcomes: Sequence[Outcome]) -> float:
    """Return the mean share of the accuracy that remains, over all changes and strengths."""
    return sum(outcome.remains for outcome in outcomes if outcome.strength) / max(1, len(outcomes) - 1)
