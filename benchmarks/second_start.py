"""Claim 9: a second start takes little more than its imports, from the process's start to the first logged step."""

import tempfile
import time
from functools import partial
from pathlib import Path
from subprocess import DEVNULL

from harness import CACHE, COMMON, ROOT, Claim, command, compare, main, source, start

IMPORTS = "import lightning, torch, torchvision, albumentations, pytorch_metric_learning, torchmetrics, hydra, sklearn"


def first_step(folder: Path) -> float:
    """Return the seconds until a training has written its first row of metrics; it is ended then."""
    every = ["trainer.log_every_n_steps=1", "logger.csv.buffer_size=1"]  # else a hundred rows are written at once
    options = [*every, *COMMON, *source(), f"hydra.run.dir={folder}/{time.time()}"]
    began = time.perf_counter()
    process = start(str(ROOT / "train.py"), *options, f"paths.cache_dir={CACHE}", folder=folder, stderr=DEVNULL)
    while not any(file.stat().st_size for file in folder.glob("*/metrics.csv")):
        if process.poll() is not None:
            raise RuntimeError(f"train.py ended with {process.returncode}")
        time.sleep(0.02)
    took = time.perf_counter() - began
    process.terminate()
    process.wait()
    for file in folder.glob("*/metrics.csv"):
        file.unlink()
    return took


def measure(tiny: bool) -> list[Claim]:
    """Return the claim; the first start is another one's, which fills the caches."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first_step(folder)
        sides = partial(first_step, folder), partial(command, "-c", IMPORTS, folder=folder)
        return [compare(9, "second start over its imports", *sides, "s", 1.2, "at most", 1 if tiny else 3)]


if __name__ == "__main__":
    main(measure)
