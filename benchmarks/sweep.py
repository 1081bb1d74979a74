"""Claim 7: four short trials as one sweep take less time than four processes in a row; two of them side by side, less.

The sweep loads the libraries once and trains one after the other; hydra/launcher=joblib trains two at a time.
"""

import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from harness import CACHE, COMMON, ROOT, Claim, command, main, source

OPTIONS = [
    *COMMON,
    *source(),
    *("trainer.max_epochs=1", "trainer.limit_train_batches=10", "trainer.limit_val_batches=2"),
    *("trainer.limit_test_batches=2", f"paths.cache_dir={CACHE}"),
]
SEEDS = range(4)


def sweep(folder: Path, *options: str) -> float:
    """Return the seconds of one sweep."""
    place = f"hydra.sweep.dir={folder}/{time.time()}"
    seeds = f"seed={','.join(map(str, SEEDS))}"
    return command(str(ROOT / "train.py"), "-m", *OPTIONS, seeds, place, *options, folder=folder)


def row(folder: Path) -> float:
    """Return the seconds of four processes, one after the other."""
    place = f"{folder}/{time.time()}"
    return sum(
        command(str(ROOT / "train.py"), *OPTIONS, f"seed={seed}", f"hydra.run.dir={place}/{seed}", folder=folder)
        for seed in SEEDS
    )


def measure(tiny: bool) -> list[Claim]:
    """Return the claim for a sweep, and for one of two jobs at a time where the launcher is at hand."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command(str(ROOT / "train.py"), *OPTIONS, f"hydra.run.dir={folder}/first", folder=folder)  # fills the caches
        ways = {"four trials in one -m over four processes": []}
        if find_spec("hydra_plugins.hydra_joblib_launcher"):
            ways["the same, two trials at a time (joblib)"] = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
        rounds = [
            ([sweep(folder, *options) for options in ways.values()], row(folder)) for _ in range(1 if tiny else 3)
        ]
        claims = []
        for way, words in enumerate(ways):
            ours, theirs = [sides[way] for sides, _ in rounds], [other for _, other in rounds]
            ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
            claims.append(Claim(7, words, median(ours), median(theirs), "s", ratios, 0.5, "at most"))
        return claims


if __name__ == "__main__":
    main(measure)
