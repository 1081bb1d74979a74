"""What is known of FER2013 from elsewhere or from its own audit, for a table of faces to be compared with."""

import numpy as np

from fer_lightning.data.faces import CLASSES, Faces

# FER2013's own shares, by the archive that the paper names: a reader compares with them. Measured on all held-out faces
# and on 1,400 of them.
FER2013 = {"twin_in_training": 0.216, "augmented_copies": 0.028}

# Faces per class, in the order of CLASSES; FER2013 as the contest split it.
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
PAPER = {  # table 1 of the paper, where it differs from the archive that it names
    ("train", "sad", 4938): "the paper's table 1 prints 4,983 for these 4,938",
}
BEST_PUBLISHED = 0.768  # an ensemble of seven networks on FER2013 (ResMaskingNet)


def compare_with_published(classes: tuple[str, ...], counts: dict[str, list[int]]) -> tuple[str | None, list[str]]:
    """Return the published data set that the numbers of faces come closest to, and each difference as a sentence.

    None where no data set has the same classes and splits, and about as many faces (to 5 %) in each split.
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
            for label, ours, theirs in zip(CLASSES, counts[split], published[split], strict=True):
                if ours != theirs:
                    differences.append(f"{split}/{label}: {ours:,} faces, published are {theirs:,}")
                if remark := PAPER.get((split, label, ours)):
                    differences.append(f"{split}/{label}: {remark}")
        return name, differences
    return None, []


def ceiling(faces: Faces, identical: np.ndarray, labels: np.ndarray) -> tuple[float, str]:
    """Return the highest accuracy that can be believed on some pictures, and why.

    Args:
        faces: The table that they come from.
        identical: (B,) group of identical pictures of each.
        labels: (B,) label of each.
    """
    table = np.zeros((len(identical), len(faces.classes)), np.int64)
    np.add.at(table, (np.unique(identical, return_inverse=True)[1], labels), 1)
    limits = [(table.max(axis=1).sum() / len(labels), "identical pictures among them carry different labels")]
    if faces.best_possible is not None:
        limits.append((faces.best_possible, "the share of wrong labels is known"))
    if compare_with_published(faces.classes, faces.counts())[0]:
        limits.append(
            (
                BEST_PUBLISHED,
                "the best published honest figure for FER2013 is that of an ensemble of seven networks, and people "
                "agree with its labels in 65 to 74 of 100 cases",
            )
        )
    return min(limits)
