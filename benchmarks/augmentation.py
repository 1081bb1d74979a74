"""Claim 4: online augmentation over ImageFolder with albumentations for each picture, in pictures a second of a core.

Both sides give batches of float tensors of the paper's augmentation; theirs reads a PNG file for each picture.
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np
from harness import Claim, compare, configure, main, seconds
from hydra.utils import instantiate
from people import loader, write

BATCH = 16


def measure(tiny: bool) -> list[Claim]:
    """Return the claim."""
    count = 2 * BATCH if tiny else 60 * BATCH
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        cfg = configure(Path(folder), "augmentation.keep_original=false", "augmentation.copies=1")
        datamodule = instantiate(cfg.data)
        datamodule.setup("fit")
        pictures, faces = datamodule.training, datamodule.partition.faces
        count = min(count, len(pictures) // BATCH * BATCH)
        rows = datamodule.partition.train[:count]
        write(Path(folder), faces.images[rows], faces.labels[rows])
        order = np.random.default_rng(0).permutation(count).reshape(-1, BATCH).tolist()
        theirs = loader(Path(folder), cfg.data.image_size, BATCH, workers=0)

        def one() -> float:
            return count / seconds(lambda: [pictures.__getitems__(positions) for positions in order])

        def other() -> float:
            return count / seconds(lambda: list(theirs))

        name = "online augmentation over ImageFolder + albumentations"
        return [compare(4, name, one, other, "pictures/s", 5, "at least", 1 if tiny else 3)]


if __name__ == "__main__":
    main(measure)
