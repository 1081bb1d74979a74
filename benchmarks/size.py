"""Claim 13: an epoch takes time in proportion to the faces, and the audit at most n log n.

The epoch is one of a small network on the same faces 1, 4 and 16 times over. The audit is one of all faces over one of
a quarter of them, both for each n log n; audit_sizes.py takes larger tables.
"""

import math
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import albumentations
import numpy as np
from harness import Claim, compare, compare_ways, configure, main, seconds
from hydra.utils import instantiate

from fer_lightning.data.audit import audit
from fer_lightning.data.faces import Faces, fingerprint

SMALL = [
    *("embedder.stages=[[[8,8,16,4,8,8]]]", "embedder.stem_channels=8", "embedder.hidden_size=32"),
    *("trainer.max_epochs=1", "~callbacks.ending", "trainer.limit_val_batches=1", "~callbacks.quick_validation"),
]


def epoch(folder: Path, count: int, times: int) -> float:
    """Return the milliseconds of the processor for each face of an epoch."""
    cfg = configure(folder, *SMALL)
    datamodule, trainer = instantiate(cfg.data), instantiate(cfg.trainer)
    rows = np.tile(datamodule.partition.train[:count], times)
    datamodule.__dict__["partition"] = replace(datamodule.partition, train=rows)  # in place of the cached one
    model = instantiate(cfg.model)
    return 1000 * seconds(lambda: trainer.fit(model, datamodule)) / len(rows)


def some(faces: Faces, count: int) -> Faces:
    """Return so many of the faces, or all, and turned and shifted copies of them."""
    rows = np.resize(np.random.default_rng(0).permutation(len(faces)), count)
    moved = albumentations.Compose(
        [
            albumentations.Rotate((-10, 10), border_mode=1, p=1),
            albumentations.Affine(translate_percent=0.1, border_mode=1, p=1),
        ],
        seed=0,
    )
    images, labels, splits = faces.images[rows], faces.labels[rows], faces.splits[rows]
    for row in range(len(faces), count):
        images[row] = moved(image=images[row])["image"]
    return replace(
        faces,
        **{"images": images, "labels": labels, "splits": splits, "names": faces.names[rows], "true_labels": None},
        fingerprint=fingerprint(images, labels, splits),
    )


def search(faces: Faces, count: int, folder: str) -> float:
    """Return the seconds of the audit of so many faces."""
    drawn = some(faces, count)
    with tempfile.TemporaryDirectory(dir=folder) as cache:  # empty: else it is read
        return seconds(lambda: audit(drawn, cache))


def by_n_log_n(duration: float, count: int) -> float:
    """Return the microseconds for each n log n."""
    return 1e6 * duration / (count * math.log(count))


def measure(tiny: bool) -> list[Claim]:
    """Return the claims on the epoch and on the audit."""
    rounds, count = (1, 50) if tiny else (3, 400)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways = {
            f"an epoch at {times} times the faces, a face": partial(epoch, folder, count, times)
            for times in ((2,) if tiny else (4, 16))
        }
        claims = compare_ways(13, ways, partial(epoch, folder, count, 1), "ms", 1.1, "at most", rounds)
        drawn = [] if tiny else ["data.drawn.count=11200"]
        faces = instantiate(configure(folder, *drawn).data).faces
        whole = 400 if tiny else len(faces)
        sides = [lambda n=n: by_n_log_n(search(faces, n, name), n) for n in (whole, whole // 4)]
        title = f"the audit of {whole:,} faces over that of a quarter, by n log n"
        return [*claims, compare(13, title, *sides, "us", 1, "at most", rounds)]


if __name__ == "__main__":
    main(measure)
