"""Claim 7: four short trials as one sweep take less time than four processes in a row; two of them side by side, less.

The sweep loads the libraries once and trains one after the other; hydra/launcher=joblib trains two at a time. Of the
four processes, which differ in their seeds alone, two are run and counted twice.
"""

import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from harness import CACHE, COMMON, ROOT, Claim, command, compare_ways, main, source

OPTIONS = [
    *COMMON,
    *source(),
    *("trainer.max_epochs=1", "trainer.limit_train_batches=10", "trainer.limit_val_batches=2"),
    *("trainer.limit_test_batches=2", f"paths.cache_dir={CACHE}"),
]
SEEDS = range(4)


def sweep(folder: Path, *options: str) -> float:
    """Return the seconds of one sweep."""
    destination = f"hydra.sweep.dir={folder}/{time.time()}"
    seeds = f"seed={','.join(map(str, SEEDS))}"
    return command(str(ROOT / "train.py"), "-m", *OPTIONS, seeds, destination, *options, folder=folder)


def row(folder: Path) -> float:
    """Return the seconds of four processes, one after the other, by those of two."""
    runs = f"{folder}/{time.time()}"
    return 2 * sum(
        command(str(ROOT / "train.py"), *OPTIONS, f"seed={seed}", f"hydra.run.dir={runs}/{seed}", folder=folder)
        for seed in SEEDS[:2]
    )


def measure(tiny: bool) -> list[Claim]:
    """Return the claim for a sweep, and for one of two jobs at a time where the launcher is at hand."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command(str(ROOT / "train.py"), *OPTIONS, f"hydra.run.dir={folder}/first", folder=folder)  # fills the caches
        ways = {"four trials in one -m over four processes": partial(sweep, folder)}
        if find_spec("hydra_plugins.hydra_joblib_launcher"):
            joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
            ways["the same, two trials at a time (joblib)"] = partial(sweep, folder, *joblib)
        return compare_ways(7, ways, partial(row, folder), "s", 0.5, "at most", 1 if tiny else 3)


if __name__ == "__main__":
    main(measure)
