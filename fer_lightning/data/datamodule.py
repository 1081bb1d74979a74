"""From a source of faces to batches (images, labels, rows)."""

import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import cv2
import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from fer_lightning.data.audit import Audit, audit
from fer_lightning.data.augmentation import Augmentation
from fer_lightning.data.faces import Faces
from fer_lightning.data.partition import Partition
from fer_lightning.data.pictures import Batch, Pictures, TrainingPictures
from fer_lightning.data.readers import read_faces, summarize
from fer_lightning.data.samplers import OrderedSampler, TrainingSampler
from fer_lightning.data.twins import Twins
from fer_lightning.errors import UserError

log = logging.getLogger(__name__)

MIN_SIZE = 16  # pixels; less shows no face


class FacesDataModule(lightning.LightningDataModule):
    """Faces of one source, partitioned by a protocol.

    ``val_dataloader`` yields the gallery (unaugmented training faces) first and the validation faces second, so
    that validation can fit the classifier before it scores. Several processes draw the same batches as one does,
    and each is given its share of them. Faces, audit, partition and training pictures are made when they are first
    asked for, and kept.

    Args:
        root: Folder, zip or csv of faces, "kaggle" to download, or None for the synthetic faces.
        cache_dir: Folder for faces that were read once.
        classes: Names of the classes, in the order of the labels.
        votes: FER+'s file of votes, which label the rows of ``fer2013.csv``; None for the source's own labels.
        image_size: Height and width of the faces, pixels; faces of another size are resized to it.
        drawn: Arguments of ``fer_lightning.data.demo.draw_faces``, without the size.
        protocol: Function from a table of faces and its twins to a ``Partition``.
        augmentation: Changes training faces, and no others.
        batch_size: Training pictures in a batch, of all processes together.
        sampler: Partial of ``ClassSampler`` or ``NaturalSampler``; the labels and this process's part are missing.
        eval_batch_size: Faces in a batch of gallery, validation and test, of all processes together.
        num_workers: Processes that prepare training batches; 0 prepares them in the training process.
        worker_timeout: Seconds without a batch after which those processes count as hung; 0 waits for ever.

    Raises:
        UserError: If a number is out of range.
    """

    trainer: lightning.Trainer  # set by the Trainer before it asks for a loader

    def __init__(
        self,
        root: str | None,
        cache_dir: str,
        classes: Sequence[str],
        votes: str | None,
        image_size: int,
        drawn: Mapping[str, Any],
        protocol: Callable[[Faces, Twins], Partition],
        augmentation: Augmentation,
        batch_size: int,
        sampler: Callable[..., TrainingSampler],
        eval_batch_size: int,
        num_workers: int,
        worker_timeout: float,
    ) -> None:
        super().__init__()
        if image_size < MIN_SIZE or image_size != int(image_size):
            raise UserError(f"data.image_size={image_size} must be a whole number of pixels, {MIN_SIZE} or more")
        if num_workers < 0:
            raise UserError(f"data.num_workers={num_workers} must be 0 or more")
        self.root = root
        self.cache_dir = cache_dir
        self.classes = classes
        self.votes = votes
        self.image_size = int(image_size)
        self.drawn = drawn
        self.protocol = protocol
        self.augmentation = augmentation
        self.batch_size = batch_size
        self.sampler = sampler
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.worker_timeout = worker_timeout

    @cached_property
    def faces(self) -> Faces:
        """Read the faces and say what was found."""
        faces = read_faces(self.root, self.cache_dir, self.drawn, self.image_size, self.classes, self.votes)
        log.info(summarize(faces))
        return faces

    @cached_property
    def audit(self) -> Audit:
        """Audit the faces and say what was found."""
        found = audit(self.faces, self.cache_dir)
        for line in found.lines():
            log.info(line)
        return found

    @cached_property
    def partition(self) -> Partition:
        """Partition the faces and say what they are for."""
        partition = self.protocol(self.faces, self.audit.twins)
        log.info(
            "%d train, %d validate, %d test; %d training faces removed because a copy is in the test set. "
            "What the score shows: %s",
            *(len(rows) for rows in (partition.train, partition.validation, partition.test)),
            partition.left_out,
            partition.proves,
        )
        labels = partition.faces.labels[partition.train]
        for name, count in zip(partition.faces.classes, np.bincount(labels, minlength=len(self.classes)), strict=True):
            if count < 2:
                log.warning("%s has %d training face: a positive of it is the face itself", name, count)
        if leaks := partition.leaks():
            log.warning("leaky: %s", "; ".join(leaks))
        return partition

    @cached_property
    def training(self) -> TrainingPictures:
        """Make the table of training pictures; copies that are drawn once are drawn here."""
        return TrainingPictures(self.partition.faces, self.partition.train, self.augmentation)

    def prepare_data(self) -> None:
        """Read and audit the faces in one process first: the others find both in the cache."""
        self.audit  # noqa: B018  makes it

    def setup(self, stage: str) -> None:
        """Read and partition the faces; draw training pictures where training comes next."""
        self.partition  # noqa: B018
        if stage == "fit":
            self.training  # noqa: B018

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return batches of augmented training pictures."""
        # Lightning asks again each epoch (reload_dataloaders_every_n_epochs=1): workers are forked anew and see it.
        self.training.epoch = self.trainer.current_epoch
        loop = self.trainer.fit_loop
        done = loop.epoch_loop.batch_progress.current.completed  # in the epoch that a checkpoint was written in
        sampler = self.sampler(
            self.training.labels,
            start=done if loop.restarting else 0,
            world_size=self.trainer.world_size,
            rank=self.trainer.global_rank,
        )
        # Without it every epoch has the order of epoch 0. Another class of Lightning's sets it, unseen by mypy.
        if self.trainer.reload_dataloaders_every_n_epochs:  # type: ignore[attr-defined]
            sampler.set_epoch(self.trainer.current_epoch)
        return DataLoader(
            self.training,
            batch_sampler=sampler,
            collate_fn=_as_is,
            num_workers=self.num_workers,
            worker_init_fn=_prepare_worker,
            generator=torch.Generator(),  # else each loader takes a number from the stream that dropout uses
            timeout=self.worker_timeout if self.num_workers else 0,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Return the gallery's and the validation faces' batches."""
        return [self.loader(self.partition.gallery), self.loader(self.partition.validation)]

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the test faces' batches."""
        return self.loader(self.partition.test)

    def loader(self, rows: np.ndarray) -> DataLoader[Batch]:
        """Return batches of the given rows as they are, in their order."""
        sampler = OrderedSampler(len(rows), self.eval_batch_size, self.trainer.world_size, self.trainer.global_rank)
        return DataLoader(
            Pictures(self.partition.faces, rows),
            batch_sampler=sampler,
            collate_fn=_as_is,
            generator=torch.Generator(),
            pin_memory=torch.cuda.is_available(),
        )


def _as_is(batch: Any) -> Any:
    return batch  # ``__getitems__`` has collated it; DataLoader's types know only lists


def _prepare_worker(worker: int) -> None:
    for signum in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C is the training process's to deal with
        signal.signal(signum, signal.SIG_IGN)
    # So is SIGTERM, which Slurm sends to every process of a job; without this one it would find its workers dead.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(30))
    cv2.setNumThreads(0)  # a thread pool does not survive the fork
