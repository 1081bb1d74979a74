"""Claims about a GPU: make bench-gpu. Without one, or with the word cpu, a dry run of the same code in a few steps.

The paper's trial 1 with 960 exact validations took 974 seconds (its table 6); the goal is 60 on an H200, 20 of them for
the training alone. experiment=best has two minutes from its start to its last figure. FER_DATA=... has as many faces as
the paper; the synthetic ones are fewer.
"""

import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import harness
import torch
import training_loop
from harness import ROOT, Claim, compare, configure, main, now, source
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback
from waits import Waits

PAPER, VALIDATIONS = 974, 960  # seconds, exact validations of the paper's trial 1
DEVICE = "gpu" if torch.cuda.is_available() and "cpu" not in sys.argv else "cpu"
DRY = DEVICE == "cpu"
HERE = [f"trainer.accelerator={DEVICE}", "~callbacks.quick_validation"]


class Switch(Callback):
    """Count the waits of the steps after the second one, without the last, which is logged."""

    def __init__(self, waits: Waits) -> None:
        self.waits = waits

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """Count from the third step on."""
        self.waits.counting = 2 <= batch_idx < trainer.num_training_batches - 1


def waits(folder: Path, steps: int) -> float:
    """Return how often a training step that is not logged waits for the device."""
    limits = ["trainer.max_epochs=1", f"trainer.limit_train_batches={steps}", "trainer.limit_val_batches=1"]
    cfg = configure(folder, *HERE, *limits, "~callbacks.ending", f"trainer.log_every_n_steps={2 * steps}")
    trainer, counter = instantiate(cfg.trainer), Waits()
    trainer.callbacks.append(Switch(counter))
    with counter:
        trainer.fit(instantiate(cfg.model), instantiate(cfg.data))
    return len(counter.noted) / (steps - 3)


def trial(folder: Path, validated: bool, steps: int | None) -> tuple[float, int]:
    """Return the seconds of the paper's trial 1, or of its first steps, and the number of its exact validations."""
    cfg = configure(folder, "experiment=paper_trial1", *HERE)
    datamodule, model = instantiate(cfg.data), instantiate(cfg.model)
    datamodule.setup("fit")
    batches = steps or len(datamodule.training) // cfg.data.batch_size
    epochs = 1 if steps else cfg.trainer.max_epochs
    interval = max(1, epochs * batches // VALIDATIONS) if validated else batches
    cfg.trainer.max_epochs, cfg.trainer.limit_train_batches, cfg.trainer.val_check_interval = epochs, batches, interval
    if not validated:
        cfg.trainer.limit_val_batches = 1
    trainer = instantiate(cfg.trainer)
    start = now(DEVICE)
    trainer.fit(model, datamodule)
    return now(DEVICE) - start, epochs * (batches // interval)


def best(folder: Path, tiny: bool) -> float:
    """Return the seconds of experiment=best, or of two steps of it, as a command, with its test, figures and report."""
    few = ["trainer.precision=32-true", "trainer.max_epochs=1", "trainer.limit_train_batches=2", "data.batch_size=16"]
    base = [option for option in harness.COMMON if option.startswith(("logger", "trainer.enable", "data."))]
    folders = [f"hydra.run.dir={folder}/best", f"paths.cache_dir={harness.CACHE}", f"trainer.accelerator={DEVICE}"]
    options = ["experiment=best", *base, *source(), *folders, *(few if tiny else ())]
    return harness.command(str(ROOT / "train.py"), *options, folder=folder)


def augmented(folder: Path, device: str, batches: int) -> float:
    """Return the augmented pictures a second that arrive on the training's device.

    Args:
        folder: Folder of the run.
        device: Value of augmentation.device.
        batches: Batches of 126 pictures that are measured.
    """
    more = ["augmentation.keep_original=false", "augmentation.copies=1", "data.batch_size=126"]
    cfg = configure(folder, *HERE, *more, f"augmentation.device={device}")
    datamodule, trainer = instantiate(cfg.data), instantiate(cfg.trainer)
    datamodule.trainer = trainer
    datamodule.setup("fit")
    target = torch.device("cuda" if DEVICE == "gpu" else "cpu")

    def arrive(batch) -> None:
        datamodule.on_after_batch_transfer(datamodule.transfer_batch_to_device(batch, target, 0), 0)

    loader = iter(datamodule.train_dataloader())
    arrive(next(loader))
    start, count = now(DEVICE), 0
    for _, batch in zip(range(batches), loader, strict=False):
        arrive(batch)
        count += len(batch.rows)
    return count / (now(DEVICE) - start)


def measure(tiny: bool) -> list[Claim]:
    """Return the claims; the trial and the experiment are measured once, as they are long."""
    begun = time.perf_counter()
    tiny = tiny or DRY
    rounds, steps = (1, 4) if tiny else (3, None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loops = training_loop.measure(tiny, f"trainer.accelerator={DEVICE}")
        claims = [replace(claim, number=15) for claim in loops]
        sides = [partial(augmented, folder, device, 5 if tiny else 100) for device in ("accelerator", "cpu")]
        title = "augmentation on the training's device over albumentations"
        claims.append(compare(16, title, *sides, "pictures/s", 1, "at least", rounds))
        waited = waits(folder, 10 if tiny else 40)
        claims.append(Claim(17, "times that a step waits for the device", waited, 0, "a step", [waited], 0, "at most"))
        for validated, goal in ((True, 60), (False, 20)):
            took, count = trial(folder, validated, steps)
            title = f"the paper's trial 1, {count} exact validations, over the paper's seconds with {VALIDATIONS}"
            claims.append(Claim(18, title, took, PAPER, "s", [took / PAPER], goal / PAPER, "at most"))
        took = best(folder, tiny)
        claims.append(
            Claim(19, "experiment=best, from its start to its figures", took, 120, "s", [took / 120], 1, "at most")
        )
    kind = (
        "dry run on the CPU in a few steps: neither its figures nor what holds is about a GPU"
        if DRY
        else torch.cuda.get_device_name()
    )
    print(f"{kind}: {time.perf_counter() - begun:.0f} s; {harness.machine()}", file=sys.stderr)
    return [replace(claim, name=f"{'dry run' if DRY else 'GPU'}: {claim.name}") for claim in claims]


if __name__ == "__main__":
    main(measure)
