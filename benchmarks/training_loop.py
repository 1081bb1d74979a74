"""Claim 1: a training step of ours costs what a hand-written one does.

Both sides use the same network, loss, miner and optimizer. The hand-written loop has its pictures in one tensor and
measures nothing; ours has its sampler, its telemetry, its checks and Lightning around it.
"""

import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from harness import Claim, compare, configure, main
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback

BATCHES = {16: (4, 100), 126: (7, 12)}  # pictures: classes in a batch, steps that are measured
WARM = 5  # steps before them


class Stopwatch(Callback):
    """Take the processor's seconds of the steps after the first ones."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """Begin."""
        if batch_idx == WARM:
            self.start = time.process_time()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        """End: the last call is that of the last step, before its validation."""
        if batch_idx >= WARM:
            self.seconds = time.process_time() - self.start


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
    """Return the pictures a second of processor time of a training by the Trainer."""
    trainer, watch = instantiate(cfg.trainer), Stopwatch()
    trainer.callbacks.append(watch)
    trainer.fit(instantiate(cfg.model), datamodule)
    return size * steps / watch.seconds


def loop(cfg, steps: int, datamodule, size: int) -> float:
    """Return the pictures a second of processor time of a loop written by hand."""
    embedder = instantiate(cfg.embedder).to(memory_format=torch.channels_last).train()  # ours is so too
    loss, miner = instantiate(cfg.loss), instantiate(cfg.miner)
    optimizer = instantiate(cfg.optimizer)(embedder.parameters())
    pictures = datamodule.training
    labels = torch.from_numpy(pictures.labels)
    batches = list(datamodule.sampler(pictures.labels))[: steps + WARM]
    images = pictures.__getitems__(list(range(len(pictures)))).images
    images = images.contiguous(memory_format=torch.channels_last)
    for number, rows in enumerate(batches):
        if number == WARM:
            start = time.process_time()
        embeddings = embedder(images[rows])
        value = loss(embeddings, labels[rows], miner(embeddings, labels[rows]))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return size * steps / (time.process_time() - start)


def measure(tiny: bool) -> list[Claim]:
    """Return the claim for a small and for a large batch."""
    claims = []
    with tempfile.TemporaryDirectory() as folder:
        for size, (_, steps) in list(BATCHES.items())[: 1 if tiny else 2]:
            steps = 1 if tiny else steps
            cfg = configure(Path(folder), *options(size, steps), "~callbacks.quick_validation")
            datamodule = instantiate(cfg.data)
            datamodule.setup("fit")
            sides = [partial(run, cfg, steps, datamodule, size) for run in (train, loop)]
            name = f"training throughput over a hand-written loop, batch {size}"
            claims.append(compare(1, name, *sides, "pictures/s", 0.97, "at least", 1 if tiny else 3))
    return claims


if __name__ == "__main__":
    main(measure)
