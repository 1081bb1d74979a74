"""Count the answers of people to faces, and compare labels and networks with them.

A crowd is (N, A) int64: the people who gave each of A answers, first the C classes, then what is no class. Its answer
to a face is the one with the most votes of all A; a tie is no answer.
"""

from collections.abc import Sequence

import numpy as np

TIE = -1
AGREED = 0.8  # people agree on a face from this share of them on
BINS = ("below 50 %", "50 %", "60 %", "70 %", "80 %", "90 %", "all")  # of agreement; each from its share on


def join_answers(crowd: np.ndarray, columns: Sequence[int], number: int) -> np.ndarray:
    """Return the crowd over other classes. Answers that are none of them keep a column each, behind the classes.

    Args:
        crowd: (N, A).
        columns: New class of each answer, or -1 for none; answers beyond them have none.
        number: How many new classes there are.
    """
    new = np.full(crowd.shape[1], -1)
    new[: len(columns)] = columns
    new[new < 0] = number + np.arange((new < 0).sum())
    return crowd @ np.eye(max(number, new.max() + 1), dtype=np.int64)[new]


def answers(crowd: np.ndarray) -> np.ndarray:
    """Return (N,) int64, the column of the crowd's answer to each face, or ``TIE``."""
    most = crowd == crowd.max(axis=1, keepdims=True)
    return np.where(most.sum(axis=1) == 1, crowd.argmax(axis=1), TIE)


def contradicts(crowd: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (N,) bool, whether the crowd gives another answer than the label (N,); a tie is none."""
    answer = answers(crowd)
    return (answer != labels) & (answer != TIE)


def agreement(crowd: np.ndarray) -> np.ndarray:
    """Return (N,) float, the share of the people who gave the most frequent answer."""
    return crowd.max(axis=1) / np.maximum(crowd.sum(axis=1), 1)


def agreement_bins(agreement: np.ndarray) -> np.ndarray:
    """Return (N,) int64, the position of each share in ``BINS``."""
    return np.clip((10 * agreement + 1e-6).astype(int) - 4, 0, len(BINS) - 1)


def one_with_others(crowd: np.ndarray) -> float:
    """Return how often a person gives the answer of all others. Where these tie, the person does not count."""
    agreeing = asked = 0
    for answer in range(crowd.shape[1]):
        others = crowd.copy()
        others[:, answer] -= 1
        answers_of_others = answers(others)
        asked += crowd[answers_of_others != TIE, answer].sum()
        agreeing += crowd[answers_of_others == answer, answer].sum()
    return float(agreeing / max(asked, 1))


def ranks(crowd: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return (N,) int64, the rank of a class (N,) by votes; 1 is the most, and ties share a rank."""
    return 1 + (crowd > crowd[np.arange(len(crowd)), classes][:, None]).sum(axis=1)


def describe(crowd: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict:
    """Return the answers of people to the faces of each label, ready for JSON; a face on which they tie is left out.

    Returns:
        ``answered``: faces with an answer. ``give_label``: share of them whose answer is the label.
        ``one_with_others``: as the function. ``answers``: label -> answer -> number of faces; the last answer is
        "other", which is no class.
    """
    answer = np.minimum(answers(crowd), len(classes))
    clear = answer != TIE
    table = np.zeros((len(classes), len(classes) + 1), np.int64)
    np.add.at(table, (labels[clear], answer[clear]), 1)
    return {
        "answered": int(clear.sum()),
        "give_label": round(float(np.trace(table) / max(clear.sum(), 1)), 6),
        "one_with_others": round(one_with_others(crowd[clear]), 6),
        "answers": {
            label: dict(zip((*classes, "other"), counts.tolist(), strict=True))
            for label, counts in zip(classes, table, strict=True)
        },
    }


def crowd_figures(
    crowd: np.ndarray, labels: np.ndarray, predictions: np.ndarray, votes: np.ndarray | None
) -> dict[str, float]:
    """Return the figures of a test that compare the crowd with labels and network; none if people tie on all faces.

    Args:
        crowd: (B, A).
        labels: (B,).
        predictions: (B,).
        votes: (B, C) of the network, calibrated; None if they are not known.

    Returns:
        On the faces that have an answer: ``crowd_gives_label``, ``crowd_one_with_others``, ``accuracy_crowd`` (the
        network gives the answer), ``rank_crowd`` and ``rank_crowd_label`` (mean rank of network and label in the
        crowd); where people agree too: ``accuracy_agreed`` (the network gives the label), ``accuracy_crowd_agreed``. On
        the faces with votes for a class: ``cross_entropy_crowd``, nats, of the network's votes in these, and
        ``entropy_crowd``, the least that it can be.
    """
    answer, agreed = answers(crowd), agreement(crowd) >= AGREED
    clear = answer != TIE
    if not clear.any():
        return {}
    figures = {
        "crowd_gives_label": (answer == labels)[clear].mean(),
        "crowd_one_with_others": one_with_others(crowd[clear]),
        "accuracy_crowd": (answer == predictions)[clear].mean(),
        "rank_crowd": ranks(crowd, predictions)[clear].mean(),
        "rank_crowd_label": ranks(crowd, labels)[clear].mean(),
    }
    if (agreed := agreed & clear).any():
        figures["accuracy_agreed"] = (labels == predictions)[agreed].mean()
        figures["accuracy_crowd_agreed"] = (answer == predictions)[agreed].mean()
    if votes is not None:
        shares = crowd[:, : votes.shape[1]].astype(float)
        voted = shares.sum(axis=1) > 0
        shares = shares[voted] / shares[voted].sum(axis=1, keepdims=True)
        for name, other in {"cross_entropy_crowd": votes[voted], "entropy_crowd": shares}.items():
            figures[name] = -(shares * np.log(np.maximum(other, 1e-6))).sum(axis=1).mean()
    return {name: float(figure) for name, figure in figures.items()}
