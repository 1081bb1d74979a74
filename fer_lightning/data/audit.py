"""What is wrong with a table of faces before anything is trained on it; nothing is changed."""

import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_lightning.data.cache import load_arrays, save_arrays
from fer_lightning.data.faces import CLASSES, Faces
from fer_lightning.data.published import FER2013, PUBLISHED, compare_with_published
from fer_lightning.data.twins import AUGMENTED, COPIED, Twins, count_twins, find_twins, flat, search
from fer_lightning.words import percent

log = logging.getLogger(__name__)

CACHE_VERSION = 2  # raise it with every change to what the search finds
SAMPLE = 200  # held-out faces that are looked for in training under wide transforms
TWINS_ALARM = 0.005  # share of held-out faces with a twin in training; the synthetic faces reach 0.0015 by chance
COPIES_ALARM = 0.10  # share of sampled held-out faces that are augmented copies of training faces


@dataclass(frozen=True)
class Audit:
    """Findings about a table of faces.

    Attributes:
        faces: The table.
        twins: Its twins.
        sample: (S,) rows of held-out faces that were looked for under wide transforms; empty without held-out faces.
        copies: (C, 2) pairs of a sampled face and the training face that it is an augmented copy of: rotated, mirrored,
            shifted far, or found under wide transforms alone.
        seconds: How long the search took; 0 where its findings were at hand.
    """

    faces: Faces
    twins: Twins
    sample: np.ndarray
    copies: np.ndarray
    seconds: float = 0.0

    @property
    def copied(self) -> int:
        """Return how many of the sampled faces are augmented copies."""
        return len(np.unique(self.copies[:, 0]))

    def contradictory(self, groups: np.ndarray) -> np.ndarray:
        """Return (N,) bool: whether a face's group of twins carries more than one label."""
        labels = self.faces.labels
        lowest, highest = np.full(len(groups), len(self.faces.classes)), np.full(len(groups), -1)
        np.minimum.at(lowest, groups, labels)
        np.maximum.at(highest, groups, labels)
        return lowest[groups] != highest[groups]

    def in_training(self, groups: np.ndarray) -> np.ndarray:
        """Return (N,) bool: held-out faces with a twin in the training folder."""
        train = self.faces.splits == "train"
        return ~train & np.isin(groups, groups[train])

    def report(self) -> dict:
        """Return every figure, ready for JSON."""
        faces, twins = self.faces, self.twins
        name, differences = compare_with_published(faces.classes, faces.counts())
        tones = np.ptp(faces.images.reshape(len(faces), -1), axis=1)
        exact, near = self.in_training(twins.identical), self.in_training(twins.near)
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
            "flat": int((flat(faces.images)).sum()),
            "empty": int((tones == 0).sum()),
            "identical_twins": self._groups(twins.identical),
            "near_twins": {**self._groups(twins.near), "kinds": dict(Counter(twins.kinds.tolist()).most_common())},
            "held_out": {
                split: {
                    "faces": int(rows.sum()),
                    "identical_twin_in_training": round(float(exact[rows].mean()), 6),
                    "twin_in_training": round(float(near[rows].mean()), 6),
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
        }

    def figures(self) -> dict[str, float]:
        """Return the report's numbers under the names that loggers know them by."""
        report = self.report()
        found = {
            "audit/faces": report["faces"],
            "audit/unreadable": report["unreadable"],
            "audit/flat": report["flat"],
            "audit/alarms": len(report["alarms"]),
        }
        for kind in ("identical_twins", "near_twins"):
            for name in ("groups", "pictures", "contradictory_groups"):
                found[f"audit/{kind}_{name}"] = report[kind][name]
        for split, shares in report["held_out"].items():
            found[f"audit/{split}_twin_in_training"] = shares["twin_in_training"]
            found[f"audit/{split}_identical_twin_in_training"] = shares["identical_twin_in_training"]
        return {name: float(number) for name, number in found.items()}

    def alarms(self) -> list[str]:
        """Return what should be known before a score on these faces is believed, one sentence each."""
        held_out = self.faces.splits != "train"
        if not held_out.any():
            return []
        share = self.in_training(self.twins.near)[held_out].mean()
        if (copies := self.copied / len(self.sample)) >= COPIES_ALARM:
            own = {name: percent(figure) for name, figure in FER2013.items()}
            return [
                f"augmented before it was split: {percent(share)} of the held-out faces have a twin among the training "
                f"faces (FER2013 itself: {own['twin_in_training']}), and {self.copied} of {len(self.sample)} sampled "
                f"ones ({percent(copies)}; FER2013 itself: {own['augmented_copies']}) are rotated, mirrored, cropped "
                "or shifted copies of training faces; no protocol can mend that: use the original archive"
            ]
        if share < TWINS_ALARM:
            return []
        exact = self.in_training(self.twins.identical)[held_out].mean()
        return [
            f"{percent(share)} of the held-out faces have a twin among the training faces ({percent(exact)} an "
            "identical one): "
            "protocol=honest leaves those training faces out"
        ]

    def lines(self) -> list[str]:
        """Return the audit in short, for the start of a run."""
        twins = self.twins
        exact, near = self._groups(twins.identical), self._groups(twins.near)
        lines = [
            f"audit: {exact['groups']:,} groups of identical twins ({exact['pictures']:,} pictures, "
            f"{exact['contradictory_groups']:,} groups with contradictory labels); with near twins {near['groups']:,} "
            f"({near['pictures']:,}, {near['contradictory_groups']:,}); {flat(self.faces.images).sum():,} of one grey "
            "tone, "
            f"{len(self.faces.unreadable):,} unreadable"
        ]
        return lines + [f"audit: {alarm}" for alarm in self.alarms()]

    def _groups(self, groups: np.ndarray) -> dict[str, int]:
        number, pictures = count_twins(groups)
        return {
            "groups": number,
            "pictures": pictures,
            "contradictory_groups": len(np.unique(groups[self.contradictory(groups)])),
        }


def audit(faces: Faces, cache_dir: str) -> Audit:
    """Look for everything; what was found in the same faces before is read from the cache."""
    path = Path(cache_dir) / f"audit-v{CACHE_VERSION}-{faces.fingerprint[:32]}.npz"

    def cached(arrays: dict[str, np.ndarray]) -> Audit:
        rows = {name: arrays[name] for name in ("identical", "near", "pairs", "sample", "copies")}
        pairs, copied = len(arrays["kinds"]), len(rows["copies"])
        shapes = [(len(faces),), (len(faces),), (pairs, 2), (len(rows["sample"]),), (copied, 2)]
        for (name, found), shape in zip(rows.items(), shapes, strict=True):
            if found.dtype != np.int64 or found.shape != shape or not np.isin(found, np.arange(-1, len(faces))).all():
                raise ValueError(f"{name} are no rows of {len(faces)} faces")
        twins = Twins(rows["identical"], rows["near"], rows["pairs"], arrays["kinds"])
        return Audit(faces, twins, rows["sample"], rows["copies"])

    if found := load_arrays(path, cached):
        return found
    log.info("audit: looking for twins among %d faces, once: what is found is kept", len(faces))
    start = time.perf_counter()
    twins = find_twins(faces.images)
    train, held_out = np.flatnonzero(faces.splits == "train"), np.flatnonzero(faces.splits != "train")
    sample = np.sort(np.random.default_rng(0).permutation(held_out)[:SAMPLE])
    queries, targets, kinds = search(faces.images[sample], faces.images[train], AUGMENTED)
    copies = np.stack([sample[queries], train[targets]], axis=1)
    copies = copies[np.isin(kinds, COPIED) | (twins.near[copies[:, 0]] != twins.near[copies[:, 1]])]
    save_arrays(
        path,
        identical=twins.identical,
        near=twins.near,
        pairs=twins.pairs,
        kinds=twins.kinds,
        sample=sample,
        copies=copies,
    )
    seconds = time.perf_counter() - start
    log.info("audit: looked for twins in %.1f s", seconds)
    return Audit(faces, twins, sample, copies, seconds)
