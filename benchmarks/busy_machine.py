"""Claim 10: with one busy competitor a core, a training keeps about half of its speed.

One training goes on all the time, timed by the clock; the competitors come and go.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness import Claim, configure, main
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback
from whole_machine import OPTIONS, WARM


class Competitors(Callback):
    """Start a busy process a core for every other stretch of steps; take the seconds of each stretch."""

    def __init__(self, steps: int) -> None:
        self.steps, self.seconds, self.busy = steps, [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        """End a stretch and begin the next; the first is alone."""
        done = batch_idx + 1 - WARM
        if done % self.steps:
            return
        if done:
            self.seconds.append(time.perf_counter() - self.start)
        if self.busy or not done:
            self.end()
        else:
            endless = [sys.executable, "-c", "while True: pass"]
            self.busy = [subprocess.Popen(endless) for _ in range(os.cpu_count() or 1)]
        self.start = time.perf_counter()

    def end(self) -> None:
        """End the competitors, if there are any."""
        for process in self.busy:
            process.kill()
            process.wait()
        self.busy = []


def measure(tiny: bool) -> list[Claim]:
    """Return the claim."""
    steps, rounds = (6, 1) if tiny else (36, 3)
    competitors = Competitors(steps)
    with tempfile.TemporaryDirectory() as folder:
        cfg = configure(Path(folder), *OPTIONS, f"trainer.limit_train_batches={WARM + 2 * rounds * steps}")
        trainer = instantiate(cfg.trainer)
        trainer.callbacks.append(competitors)
        try:
            trainer.fit(instantiate(cfg.model), instantiate(cfg.data))
        finally:
            competitors.end()
    rates = [cfg.data.batch_size * steps / seconds for seconds in competitors.seconds]
    alone, beside = rates[::2], rates[1::2]
    name = "training beside one busy process a core, over training alone"
    ratios = [busy / idle for busy, idle in zip(beside, alone, strict=True)]
    return [Claim(10, name, median(beside), median(alone), "pictures/s", ratios, 0.45, "at least")]


if __name__ == "__main__":
    main(measure)
