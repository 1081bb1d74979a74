"""What the audit takes at so many of FER_DATA's faces; beyond them, turned and shifted copies are added.

    FER_DATA=face-expression-recognition-dataset.zip python benchmarks/audit_sizes.py 8972 35887 63000

Each in seconds of the processor, by n log n, and with the memory that the process had taken at its highest.
"""

import math
import resource
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import albumentations
import numpy as np
import torch
from harness import configure, seconds
from hydra.utils import instantiate

from fer_lightning.data.audit import audit
from fer_lightning.data.faces import Faces, fingerprint

torch.set_num_threads(1)


def some(faces: Faces, count: int) -> Faces:
    """Return so many of the faces, or all and copies of them."""
    rows = np.resize(np.random.default_rng(0).permutation(len(faces)), count)
    moved = albumentations.Compose(
        [
            albumentations.Rotate((-10, 10), border_mode=1, p=1),
            albumentations.Affine(translate_percent=0.1, border_mode=1, p=1),
        ],
        seed=0,
    )
    images = faces.images[rows]
    for place in range(len(faces), count):
        images[place] = moved(image=images[place])["image"]
    labels, splits, names = faces.labels[rows], faces.splits[rows], faces.names[rows]
    return replace(
        faces,
        **{"images": images, "labels": labels, "splits": splits, "names": names, "true_labels": None},
        fingerprint=fingerprint(images, labels, splits),
    )


with tempfile.TemporaryDirectory() as name:
    every = instantiate(configure(Path(name)).data).faces
    for count in map(int, sys.argv[1:]):
        drawn = some(every, count)
        with tempfile.TemporaryDirectory(dir=name) as cache:
            taken = seconds(partial(audit, drawn, cache))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{count:,} faces: {taken:.1f} s, {1e6 * taken / (count * math.log(count)):.0f} us n log n, "
            f"{memory:,.0f} MiB",
            flush=True,
        )
