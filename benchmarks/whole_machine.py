"""Claim 2: two trials of ours side by side train more pictures a second than one as people write it, on all cores.

Theirs is ``people.py`` with two workers and as many threads as torch takes; each of ours has one thread. Both sides are
processes of their own and count from their sixth step on, by the clock on the wall.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Claim, compare, configure, environment, main
from hydra.utils import instantiate
from lightning import Trainer
from lightning.pytorch.callbacks import Callback

OPTIONS = [
    *("loss=triplet", "miner=semihard", "sampler=balanced", "trainer.max_epochs=1", "~callbacks.ending"),
    *("trainer.limit_val_batches=1", "trainer.val_check_interval=1.0"),
]
WARM = 5


class WallClock(Callback):
    """Take the seconds of the steps after the first ones."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        """Begin or go on."""
        if batch_idx == WARM - 1:
            self.start = time.perf_counter()
        self.seconds = time.perf_counter() - getattr(self, "start", 0)


def train(side: str, steps: int, folder: Path) -> float:
    """Return the pictures a second of one training in this process."""
    cfg = configure(folder, *OPTIONS, f"trainer.limit_train_batches={steps + WARM}")
    clock = WallClock()
    datamodule = instantiate(cfg.data)
    if side == "ours":
        trainer = instantiate(cfg.trainer)
        trainer.callbacks.append(clock)
        trainer.fit(instantiate(cfg.model), datamodule)
    else:
        from people import People, loader, write

        datamodule.setup("test")
        rows = datamodule.partition.train
        write(folder / "faces", datamodule.faces.images[rows], datamodule.faces.labels[rows])
        batches = loader(folder / "faces", cfg.data.image_size, cfg.data.batch_size, workers=2)
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "default_root_dir": folder}
        limits = {"max_epochs": 1, "limit_train_batches": steps + WARM, "accelerator": "cpu"}
        Trainer(**limits, **quiet, callbacks=[clock]).fit(People(cfg), batches)
    return cfg.data.batch_size * steps / clock.seconds


def together(side: str, steps: int, trials: int = 1, threads: int | None = 1) -> float:
    """Return the pictures a second of several trainings at a time, in processes of their own."""
    variables = {**environment(), "OMP_NUM_THREADS": str(threads)}
    if threads is None:
        del variables["OMP_NUM_THREADS"]
    command = [sys.executable, __file__, "--side", side, str(steps)]
    trainings = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(trials)]
    answers = [training.communicate()[0] for training in trainings]
    return sum(float(answer.rpartition("PICTURES ")[2]) for answer in answers)


def measure(tiny: bool) -> list[Claim]:
    """Return the claim."""
    steps = 2 if tiny else 60
    name = "two trials side by side over the training that people write"
    sides = (lambda: together("ours", steps, trials=2)), (lambda: together("theirs", steps, threads=None))
    return [compare(2, name, *sides, "pictures/s", 2.5, "at least", 1 if tiny else 3)]


if __name__ == "__main__":
    if "--side" in sys.argv:
        import os  # here: the other way needs none of them
        import warnings

        import torch

        warnings.filterwarnings("ignore")
        if "OMP_NUM_THREADS" in os.environ:
            torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as name:
            print("PICTURES", train(sys.argv[2], int(sys.argv[3]), Path(name)))
    else:
        main(measure)
