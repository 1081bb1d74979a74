"""Audit of a table of faces before training: twins, leaks, flat pictures, published counts. Nothing is changed."""

import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_lightning.data.cache import load_arrays, save_arrays
from fer_lightning.data.crowd import describe
from fer_lightning.data.faces import CLASSES, Faces
from fer_lightning.data.published import FER2013, PUBLISHED, compare_with_published
from fer_lightning.data.twins import AUGMENTED, COPIED, Twins, flat, load_twins, search
from fer_lightning.words import counted, percent

log = logging.getLogger(__name__)

CACHE_VERSION = 4  # raise it with every change to the results of the search, or to the cache's files
SAMPLE = 200  # held-out faces that are searched for in training under wide transforms
TWINS_ALARM = 0.005  # share of held-out faces with a twin in training; the synthetic faces reach 0.0015 by chance
COPIES_ALARM = 0.10  # share of sampled held-out faces that are augmented copies of training faces


@dataclass(frozen=True)
class Audit:
    """Findings about a table of faces.

    Attributes:
        faces: The table.
        twins: Its twins.
        sample: (S,) rows of held-out faces that were searched for under wide transforms; empty without held-out faces.
        copies: (C, 2) pairs of rows: a sampled face, and a training face of which it is an augmented copy. A pair is
            rotated, mirrored or shifted far, or it matches under wide transforms only.
        seconds: Time of the search; 0 if the findings come from the cache.
    """

    faces: Faces
    twins: Twins
    sample: np.ndarray
    copies: np.ndarray
    seconds: float = 0.0

    @property
    def copied(self) -> int:
        """Return the number of sampled faces that are augmented copies."""
        return len(np.unique(self.copies[:, 0]))

    def contradictory(self, groups: np.ndarray) -> np.ndarray:
        """Return (N,) bool: whether the group of each face has more than one label."""
        pairs = np.unique(np.stack([groups, self.faces.labels]), axis=1)  # each label of a group once
        return np.bincount(pairs[0])[groups] > 1

    def in_training(self, groups: np.ndarray) -> np.ndarray:
        """Return (N,) bool: whether each face is held out and has a twin in the training folder."""
        train = self.faces.splits == "train"
        return ~train & np.isin(groups, groups[train])

    @property
    def persons(self) -> int | None:
        """Return the number of persons, or None if they are not known."""
        return None if self.faces.persons is None else len(np.unique(self.faces.persons))

    def person_in_training(self) -> np.ndarray:
        """Return (N,) bool: whether each face is held out and shows a person of the training folder."""
        if self.faces.persons is None:
            return np.zeros(len(self.faces), bool)
        train = self.faces.splits == "train"
        return ~train & np.isin(self.faces.persons, self.faces.persons[train])

    def report(self) -> dict:
        """Return every figure, ready for JSON."""
        faces, twins = self.faces, self.twins
        name, differences = compare_with_published(faces.classes, faces.counts())
        tones = np.ptp(faces.images.reshape(len(faces), -1), axis=1)
        identical, similar = self.in_training(twins.identical), self.in_training(twins.groups)
        persons = self.person_in_training()
        return {
            "data": faces.source,
            "data_fingerprint": faces.fingerprint,
            "faces": len(faces),
            "counts": {
                split: dict(zip(faces.classes, counts, strict=True)) for split, counts in faces.counts().items()
            },
            "published": name,
            "published_counts": {
                split: dict(zip(CLASSES, counts, strict=True))
                for split, counts in (PUBLISHED[name] if name else {}).items()
            },
            "differences": differences,
            "unreadable": len(faces.unreadable),
            "persons": self.persons,
            "flat": int(flat(faces.images).sum()),
            "empty": int((tones == 0).sum()),
            "identical_twins": self._count(twins.identical),
            "near_twins": {**self._count(twins.groups), "kinds": dict(Counter(twins.kinds.tolist()).most_common())},
            "held_out": {
                split: {
                    "faces": int(rows.sum()),
                    "identical_twin_in_training": round(float(identical[rows].mean()), 6),
                    "twin_in_training": round(float(similar[rows].mean()), 6),
                    **({} if faces.persons is None else {"person_in_training": round(float(persons[rows].mean()), 6)}),
                }
                for split in ("validation", "test")
                if (rows := faces.splits == split).any()
            },
            "augmented_copies": {
                "sampled": len(self.sample),
                "found": self.copied,
                "share": round(self.copied / max(1, len(self.sample)), 6),
            },
            "fer2013": FER2013,
            "labels_allow": faces.best_possible,
            "alarms": self.alarms(),
            "crowd": None if faces.crowd is None else describe(faces.crowd, faces.labels, faces.classes),
        }

    def figures(self) -> dict[str, float]:
        """Return the numbers of the report by their names in loggers."""
        report = self.report()
        figures = {name: report[name] for name in ("faces", "unreadable", "flat")} | {"alarms": len(report["alarms"])}
        for kind in ("identical_twins", "near_twins"):
            for name in ("groups", "pictures", "contradictory_groups"):
                figures[f"{kind}_{name}"] = report[kind][name]
        for split, shares in report["held_out"].items():
            figures |= {f"{split}_{name}": share for name, share in shares.items() if name != "faces"}
        if report["crowd"]:
            figures |= {f"crowd_{name}": report["crowd"][name] for name in ("give_label", "one_with_others")}
        return {f"audit/{name}": float(number) for name, number in figures.items()}

    def alarms(self) -> list[str]:
        """Return one sentence for each reason not to believe a score on these faces."""
        held_out = self.faces.splits != "train"
        if not held_out.any():
            return []
        return [*self._twin_alarms(held_out), *self._person_alarms(held_out)]

    def _person_alarms(self, held_out: np.ndarray) -> list[str]:
        rows = np.flatnonzero(self.person_in_training())
        if self.faces.persons is None or not len(rows):
            return []
        return [
            f"{percent(len(rows) / held_out.sum())} of the held-out faces show a person of the training faces "
            f"({self.faces.persons[rows[0]]} on both sides): a training with protocol=honest leaves those faces out, "
            "protocol=subject reports on folds of persons"
        ]

    def _twin_alarms(self, held_out: np.ndarray) -> list[str]:
        share = self.in_training(self.twins.groups)[held_out].mean()
        copies = self.copied / len(self.sample)
        if copies >= COPIES_ALARM:
            original = {name: percent(figure) for name, figure in FER2013.items()}
            return [
                f"augmented before it was split: {percent(share)} of the held-out faces have a twin among the training "
                f"faces (FER2013 itself: {original['twin_in_training']}). {self.copied} of {len(self.sample)} "
                f"sampled ones ({percent(copies)}; FER2013 itself: {original['augmented_copies']}) are rotated, "
                "mirrored, cropped or shifted copies of training faces. No protocol can mend that: use the original "
                "archive"
            ]
        if share < TWINS_ALARM:
            return []
        identical = self.in_training(self.twins.identical)[held_out].mean()
        return [
            f"{percent(share)} of the held-out faces have a twin among the training faces ({percent(identical)} an "
            "identical one): a training with protocol=honest leaves those faces out"
        ]

    def lines(self) -> list[str]:
        """Return the summary and the alarms, for the start of a run."""
        identical, similar = self._count(self.twins.identical), self._count(self.twins.groups)
        summary = (
            f"{counted(identical['groups'], 'group')} of identical twins ({counted(identical['pictures'], 'picture')}, "
            f"{counted(identical['contradictory_groups'], 'group')} with contradictory labels); with near twins "
            f"{similar['groups']:,} ({similar['pictures']:,}, {similar['contradictory_groups']:,}); "
            f"{flat(self.faces.images).sum():,} of one grey tone, {len(self.faces.unreadable):,} unreadable"
        )
        if self.persons is not None:
            summary += f"; {counted(self.persons, 'person')}"
        return [f"audit: {line}" for line in (summary, *self.alarms())]

    def _count(self, groups: np.ndarray) -> dict[str, int]:
        sizes = np.bincount(groups)
        sizes = sizes[sizes > 1]
        return {
            "groups": len(sizes),
            "pictures": int(sizes.sum()),
            "contradictory_groups": len(np.unique(groups[self.contradictory(groups)])),
        }


def audit(faces: Faces, cache_dir: str) -> Audit:
    """Return the audit of a table; earlier searches in the same faces are read from the cache."""
    path = Path(cache_dir) / f"audit-v{CACHE_VERSION}-{faces.fingerprint[:32]}.npz"
    seconds, start = 0.0, time.perf_counter()
    twins = load_twins(faces.images, cache_dir)
    arrays = load_arrays(path)
    if arrays is None:
        arrays = _search_copies(faces, twins)
        save_arrays(path, arrays)
        seconds = time.perf_counter() - start
        log.info("audit: the search for twins took %.1f s", seconds)
    return Audit(faces, twins, arrays["sample"], arrays["copies"], seconds)


def _search_copies(faces: Faces, twins: Twins) -> dict[str, np.ndarray]:
    """Return ``sample`` and ``copies`` of ``Audit``."""
    train, held_out = np.flatnonzero(faces.splits == "train"), np.flatnonzero(faces.splits != "train")
    sample = np.sort(np.random.default_rng(0).permutation(held_out)[:SAMPLE])
    queries, targets, kinds = search(faces.images[sample], faces.images[train], AUGMENTED)
    copies = np.stack([sample[queries], train[targets]], axis=1)
    copies = copies[np.isin(kinds, COPIED) | (twins.groups[copies[:, 0]] != twins.groups[copies[:, 1]])]
    return {"sample": sample, "copies": copies}
