"""Claim 1: a training step of ours costs what a hand-written one does.

Both sides use the same network, loss, miner and optimizer. The hand-written loop has its pictures in one tensor and
measures nothing; ours has its sampler, its telemetry, its checks and Lightning around it. gpu.py runs both on a GPU.
"""

import tempfile
from functools import partial
from pathlib import Path

import torch
from harness import Claim, compare, configure, main, now
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback

BATCHES = {16: (4, 100), 126: (7, 12)}  # pictures: classes in a batch, steps that are measured
WARM = 5  # steps before them


class Stopwatch(Callback):
    """Take the seconds of the steps after the first ones."""

    def __init__(self, device: str) -> None:
        self.device = device

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """Begin."""
        if batch_idx == WARM:
            self.start = now(self.device)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        """End, before the validation."""
        if batch_idx == trainer.num_training_batches - 1:
            self.end = now(self.device)


def options(size: int, steps: int) -> list[str]:
    """Return the options of a training of so many steps of so many pictures."""
    return [
        *("loss=triplet", "miner=semihard", "sampler=balanced", "augmentation=none"),
        *(
            "trainer.max_epochs=1",
            f"trainer.limit_train_batches={steps + WARM}",
            "~callbacks.ending",
            "trainer.limit_val_batches=1",
        ),
        *(f"data.batch_size={size}", f"sampler.classes_per_batch={BATCHES[size][0]}"),
    ]


def train(cfg, steps: int, datamodule, size: int) -> float:
    """Return the pictures a second of a training by the Trainer."""
    trainer, watch = instantiate(cfg.trainer), Stopwatch(cfg.trainer.accelerator)
    trainer.callbacks.append(watch)
    trainer.fit(instantiate(cfg.model), datamodule)
    return size * steps / (watch.end - watch.start)


def loop(cfg, steps: int, datamodule, size: int) -> float:
    """Return the pictures a second of a loop written by hand."""
    device = "cuda" if cfg.trainer.accelerator == "gpu" else "cpu"
    embedder = instantiate(cfg.embedder).to(device, memory_format=torch.channels_last).train()  # ours is so too
    loss, miner = instantiate(cfg.loss).to(device), instantiate(cfg.miner)
    optimizer = instantiate(cfg.optimizer)(embedder.parameters())
    pictures = datamodule.training
    labels = torch.from_numpy(pictures.labels).to(device)
    batches = list(datamodule.sampler(pictures.labels))[: steps + WARM]
    images = pictures.__getitems__(list(range(len(pictures)))).images
    images = images.to(device, memory_format=torch.channels_last)
    for number, rows in enumerate(batches):
        if number == WARM:
            start = now(cfg.trainer.accelerator)
        embeddings = embedder(images[rows])
        value = loss(embeddings, labels[rows], miner(embeddings, labels[rows]))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return size * steps / (now(cfg.trainer.accelerator) - start)


def measure(tiny: bool, *more: str) -> list[Claim]:
    """Return the claim for a small and for a large batch, with more options."""
    claims = []
    with tempfile.TemporaryDirectory() as folder:
        for size, (_, steps) in list(BATCHES.items())[: 1 if tiny else 2]:
            steps = 1 if tiny else steps
            cfg = configure(Path(folder), *options(size, steps), "~callbacks.quick_validation", *more)
            datamodule = instantiate(cfg.data)
            datamodule.setup("fit")
            sides = [partial(run, cfg, steps, datamodule, size) for run in (train, loop)]
            name = f"training throughput over a hand-written loop, batch {size}"
            claims.append(compare(1, name, *sides, "pictures/s", 0.97, "at least", 1 if tiny else 3))
    return claims


if __name__ == "__main__":
    main(measure)
