"""Published figures of FER2013, and figures of its own audit, with which a table of faces is compared."""

import re

import numpy as np

from fer_lightning.data.faces import CLASSES, SPLITS, Faces

# Shares of the archive that the paper names, measured on all held-out faces and on 1,400 of them.
FER2013 = {"twin_in_training": 0.216, "augmented_copies": 0.036}

# Faces of each class in the order of CLASSES; FER2013 with the splits of the contest.
PUBLISHED = {
    "Kaggle's face expression recognition dataset": {
        "train": [3993, 436, 4103, 7164, 4982, 4938, 3205],
        "validation": [960, 111, 1018, 1825, 1216, 1139, 797],
    },
    "FER2013": {
        "train": [3995, 436, 4097, 7215, 4965, 4830, 3171],
        "validation": [467, 56, 496, 895, 607, 653, 415],
        "test": [491, 55, 528, 879, 626, 594, 416],
    },
}
PAPER = {  # differences between table 1 of the paper and the archive that it names
    ("train", "sad", 4938): "the paper's table 1 prints 4,983 for these 4,938",
}
PARTS = np.repeat(SPLITS, [sum(PUBLISHED["FER2013"][split]) for split in SPLITS])  # split of each row of fer2013.csv
NUMBER = re.compile(r"/(csv_)?(\d{1,9})(?:\.\w+)?$")  # rows of a csv count from 1, files of Kaggle's archive from 0
BEST_PUBLISHED = 0.768  # an ensemble of seven networks on FER2013 (ResMaskingNet)


def compare_with_published(classes: tuple[str, ...], counts: dict[str, list[int]]) -> tuple[str | None, list[str]]:
    """Return the name of the published data set with about these counts, and each difference as a sentence.

    The name is None if no data set has the same classes and splits, and as many faces in each split (within 5 %).
    """
    if classes != CLASSES:
        return None, []
    for name, published in PUBLISHED.items():
        if set(counts) != set(published):
            continue
        if any(abs(sum(counts[split]) - sum(published[split])) > 0.05 * sum(published[split]) for split in counts):
            continue
        differences = []
        for split in counts:
            for label, count, expected in zip(CLASSES, counts[split], published[split], strict=True):
                if count != expected:
                    differences.append(f"{split}/{label}: {count:,} faces, published are {expected:,}")
                if remark := PAPER.get((split, label, count)):
                    differences.append(f"{split}/{label}: {remark}")
        return name, differences
    return None, []


def contest_rows(names: np.ndarray) -> np.ndarray | None:
    """Return the row of fer2013.csv (N,) that the number in each name is, or None if a name has no number."""
    numbers = [NUMBER.search(name) for name in names]
    if not all(numbers):
        return None
    return np.array([int(number[2]) - bool(number[1]) for number in numbers if number])


def no_contest(faces: Faces) -> str:
    """Return why the numbers of the faces are no rows of fer2013.csv, as a clause; empty if they are.

    Rows of a csv with a column Usage are rows, and those of a csv without it if it has as many as fer2013.csv or the
    contest's train.csv. Numbers of files are if each is there once, and the parts of the contest that they give have
    the contest's faces of every class.
    """
    rows = contest_rows(faces.names)
    if rows is None:
        return "the names of the faces have no numbers"
    if rows.max() >= len(PARTS):
        return f"the numbers go up to {rows.max():,}, and that csv has {len(PARTS):,} rows"
    if all(re.search(r"/csv_\d+$", name) for name in faces.names):
        if faces.names[0].count("/") == 2 or len(rows) in (len(PARTS), int((PARTS == "train").sum())):
            return ""  # the names begin with the Usage; or there is none, and every row
        return f"a csv of {len(rows):,} rows without Usage is neither fer2013.csv nor the contest's train.csv"
    if set(faces.classes) != set(CLASSES):
        return f"the classes are not {', '.join(CLASSES)}"
    if len(np.unique(rows)) != len(PARTS) or len(rows) != len(PARTS):
        return f"{len(rows):,} files are not numbered from 0 to {len(PARTS) - 1:,}, each number once"
    usages = ("Training", "PublicTest", "PrivateTest")
    for usage, (split, counts) in zip(usages, PUBLISHED["FER2013"].items(), strict=True):
        labels = faces.labels[PARTS[rows] == split]
        for name, expected in zip(CLASSES, counts, strict=True):
            count = int((labels == faces.classes.index(name)).sum())
            if count != expected:
                return f"by the numbers {usage} has {count:,} faces of {name}, and in the contest {expected:,}"
    return ""


def contest_parts(faces: Faces) -> np.ndarray:
    """Return the split (N,) that each face has in the contest, or in the source if that has all three or no rows."""
    if faces.rows is None or set(SPLITS) <= set(faces.splits):
        return faces.splits
    return PARTS[faces.rows]


def ceiling(faces: Faces, identical: np.ndarray, labels: np.ndarray) -> tuple[float, str]:
    """Return the highest credible accuracy on B pictures, and the reason for this limit.

    Args:
        faces: The table of the pictures.
        identical: (B,) int64, group of identical pictures.
        labels: (B,) int64.
    """
    table = np.zeros((len(identical), len(faces.classes)), np.int64)
    np.add.at(table, (np.unique(identical, return_inverse=True)[1], labels), 1)
    limits = [(table.max(axis=1).sum() / len(labels), "identical pictures among them carry different labels")]
    if faces.best_possible is not None:
        limits.append((faces.best_possible, "the share of wrong labels is known"))
    if compare_with_published(faces.classes, faces.counts())[0]:
        reason = (
            "the best published honest figure for FER2013 is that of an ensemble of seven networks, and people agree "
            "with its labels in 65 to 74 of 100 cases"
        )
        limits.append((BEST_PUBLISHED, reason))
    return min(limits)
