"""Claims about a GPU: make bench-gpu. Skipped, by name, where there is no CUDA device. Not run yet: no GPU was at hand.

The paper's trial 1 with 960 exact validations took 974 seconds (its table 6); here at most 60 on an H200. Throughput in
bf16 is compared with float32's at batch 126, and copies from the device to the host are counted in a training step.
"""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from harness import Claim, compare, configure, main
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback
from training_loop import options

PAPER, VALIDATIONS = 974, 960  # seconds, exact validations of the paper's trial 1
ON_GPU = ["trainer.accelerator=gpu", "~callbacks.quick_validation"]


class DeviceClock(Callback):
    """Take the seconds of the steps after the first ten, when the device has done them."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        """Begin, and note each end."""
        if batch_idx == 9:
            torch.cuda.synchronize()
            self.start = time.perf_counter()
        if batch_idx == trainer.num_training_batches - 1:
            torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.start


def throughput(folder: Path, steps: int, *extra: str) -> float:
    """Return the pictures a second of a training at batch 126."""
    cfg = configure(folder, *options(126, steps), *ON_GPU, *extra)
    trainer, clock = instantiate(cfg.trainer), DeviceClock()
    trainer.callbacks.append(clock)
    trainer.fit(instantiate(cfg.model), instantiate(cfg.data))
    return 126 * (trainer.num_training_batches - 10) / clock.seconds


def synchronisations(folder: Path) -> float:
    """Return how often a training step waits for the device: what torch warns of, without the logged steps."""
    import warnings

    cfg = configure(folder, *options(16, 40), *ON_GPU, "trainer.log_every_n_steps=1000")
    trainer = instantiate(cfg.trainer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        trainer.fit(instantiate(cfg.model), instantiate(cfg.data))
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught) / trainer.global_step


def trial(folder: Path) -> float:
    """Return the seconds of the paper's trial 1 with its exact validations."""
    cfg = configure(folder, "experiment=paper_trial1", *ON_GPU, "trainer.val_check_interval=30")
    trainer, model, datamodule = instantiate(cfg.trainer), instantiate(cfg.model), instantiate(cfg.data)
    start = time.perf_counter()
    trainer.fit(model, datamodule)
    return time.perf_counter() - start


def measure(tiny: bool) -> list[Claim]:
    """Return the claims; one round of the trial, which is long."""
    if not torch.cuda.is_available():
        sys.exit("skipped: bf16 on the GPU, synchronisations of a step, the paper's trial 1 (no CUDA device)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = [partial(throughput, folder, 60, f"trainer.precision={kind}") for kind in ("bf16-mixed", "32-true")]
        claims = [compare(15, "GPU: bf16 over fp32, batch 126", *sides, "pictures/s", 1.8, "at least", 3)]
        waits = synchronisations(folder)
        claims.append(Claim(16, "GPU: times that a step waits", waits, 1, "a step", [waits], 0, "at most"))
        took = trial(folder)
        title = f"GPU: the paper's trial 1, {VALIDATIONS} exact validations, over its {PAPER} s"
        return [*claims, Claim(17, title, took, PAPER, "s", [took / PAPER], 60 / PAPER, "at most")]


if __name__ == "__main__":
    main(measure)
