"""Splitting: the test part of a source that has no split."""

from dataclasses import replace

import numpy as np

from fer_lightning.data.faces import Faces, fingerprint
from fer_lightning.data.partition import divide, unite
from fer_lightning.data.twins import load_twins
from fer_lightning.errors import UserError
from fer_lightning.words import percent

OWN = "to use your own split, make folders train/ and test/, or a column split in data.labels"


def draw_split(faces: Faces, cache_dir: str, share: float, seed: int) -> Faces:
    """Return the faces with a test part, stratified by class; twins and persons are on one side.

    A source with a split keeps it.

    Raises:
        UserError: If one of the two parts would lack a class.
    """
    if faces.splits.astype(bool).any():
        return faces
    groups = unite(load_twins(faces.images, cache_dir).groups, faces.persons)
    test, train = divide(np.arange(len(faces)), faces, groups, [share, 1 - share], seed)
    for part, rows in (("test", test), ("train", train)):
        counts = np.bincount(faces.labels[rows], minlength=len(faces.classes))
        if missing := [name for name, count in zip(faces.classes, counts, strict=True) if not count]:
            raise UserError(
                f"{faces.source} has no split, and one drawn by data.split.share={share:g} data.split.seed={seed} has "
                f"no {part} face of {', '.join(missing)}, since copies and persons are kept on one side: give another "
                f"share or seed, or more faces; {OWN}"
            )
    splits = np.full(len(faces), "train")
    splits[test] = "test"
    options = f"data.split.share={share:g} data.split.seed={seed}"
    remark = (
        f"The source has no split: {percent(len(test) / len(faces))} of its faces were drawn as test part, by class, "
        f"copies and persons on one side ({options}); {OWN}."
    )
    return replace(
        faces,
        splits=splits,
        fingerprint=fingerprint(faces.images, faces.labels, splits, faces.classes),
        remarks=(*faces.remarks, remark),
        split=options,
    )
