"""Published figures of FER2013, and figures of its own audit, with which a table of faces is compared."""

import numpy as np

from fer_lightning.data.faces import CLASSES, Faces

# Shares of the archive that the paper names, measured on all held-out faces and on 1,400 of them.
FER2013 = {"twin_in_training": 0.216, "augmented_copies": 0.028}

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
