"""From a source of faces to batches (images, labels, rows)."""

import logging
import signal
import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import cv2
import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fer_lightning.data.audit import Audit, audit
from fer_lightning.data.augmentation import Augmentation
from fer_lightning.data.faces import CLASSES, Faces
from fer_lightning.data.protocols import Partition
from fer_lightning.data.readers import read_faces, scan_line
from fer_lightning.data.sampler import OrderedSampler
from fer_lightning.data.twins import Twins
from fer_lightning.errors import UserError
from fer_lightning.progress import track

log = logging.getLogger(__name__)

# Lightning's notices of devices, limits and its own offers say nothing about the run.
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.WARNING)
warnings.filterwarnings("ignore", ".*does not have many workers")  # batches come out of one array in memory
warnings.filterwarnings("ignore", "The `srun` command is available")  # also said where Slurm is not meant
warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")  # Lightning 2.6 on torch 2.15
warnings.filterwarnings("ignore", ".*your dataloader is not resumable")  # its sampler starts where training stopped
warnings.filterwarnings("ignore", "It is recommended to use .self.log.*sync_dist")  # every process logs the same number
warnings.filterwarnings("ignore", "The dirpath has changed from")  # an evaluation writes into a folder of its own
warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # that of a run that goes on


class Batch(NamedTuple):
    """What a loader yields."""

    images: Tensor  # (B, 1, 48, 48) float32 in [-1, 1]
    labels: Tensor  # (B,) int64
    rows: Tensor  # (B,) int64, rows of the table of faces


class Pictures(Dataset[Batch]):
    """Pictures of some rows of a table, read a batch at a time out of its one array."""

    def __init__(self, faces: Faces, rows: np.ndarray) -> None:
        self.images = faces.images  # (N, 48, 48) uint8
        self.labels = faces.labels[rows]  # (M,)
        self.rows = rows  # (M,)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return one batch; ``DataLoader`` calls this in place of ``__getitem__`` item by item."""
        pixels = torch.from_numpy(self.pixels(positions)).unsqueeze(1)  # (B, 1, 48, 48)
        return Batch(
            images=pixels.float().div_(127.5).sub_(1),
            labels=torch.from_numpy(self.labels[positions]),
            rows=torch.from_numpy(self.rows[positions]),
        )

    def pixels(self, positions: list[int]) -> np.ndarray:
        """Return (B, 48, 48) uint8, a copy."""
        return self.images[self.rows[positions]]


class TrainingPictures(Pictures):
    """``copies`` pictures of each training face, augmented as ``Augmentation`` says."""

    def __init__(self, faces: Faces, rows: np.ndarray, augmentation: Augmentation) -> None:
        super().__init__(faces, np.tile(rows, augmentation.copies))  # first every face once, then every face again
        self.augmentation = augmentation
        self.epoch = 0
        self.first = augmentation.plain_copies * len(rows)  # position of the first augmented picture
        self.drawn: np.ndarray | None = None  # (M - first, 48, 48) uint8
        if not augmentation.online and self.first < len(self):
            log.info("drawing %d augmented copies", len(self) - self.first)
            self.drawn = self.images[self.rows[self.first :]]
            for place, image in enumerate(track(self.drawn, "drawing augmented copies")):
                self.drawn[place] = augmentation.chain(image, 0, self.first + place)

    def pixels(self, positions: list[int]) -> np.ndarray:
        """Return (B, 48, 48) uint8, drawn for this epoch where augmentation is online."""
        images = super().pixels(positions)
        for place, position in enumerate(positions):
            if position >= self.first:
                if self.drawn is not None:
                    images[place] = self.drawn[position - self.first]
                else:
                    images[place] = self.augmentation.chain(images[place], self.epoch, position)
        return images


class FacesDataModule(lightning.LightningDataModule):
    """Faces of one source, partitioned by a protocol.

    ``val_dataloader`` yields the gallery (unaugmented training faces) first and the validation faces second, so
    that validation can fit the k-NN classifier before it scores. Several processes draw the same batches as one does,
    and each is given its share of them.

    Args:
        root: Folder, zip or csv of faces, "kaggle" to download, or None for the drawn faces.
        cache_dir: Folder for faces that were read once.
        drawn: Arguments of ``fer_lightning.data.demo.draw_faces``.
        protocol: Function from a table of faces and its twins to a ``Partition``.
        augmentation: For training faces only.
        batch_size: Training pictures in a batch, of all processes together.
        sampler: Partial of ``ClassSampler`` or ``NaturalSampler``, lacking the labels and this process's part.
        eval_batch_size: Faces in a batch of gallery, validation and test, of all processes together.
        num_workers: Processes that prepare training batches; 0 prepares them in the training process.
        worker_timeout: Seconds without a batch after which those processes count as hung; 0 waits for ever.
    """

    def __init__(
        self,
        root: str | None,
        cache_dir: str,
        drawn: Mapping,
        protocol: Callable[[Faces, Twins], Partition],
        augmentation: Augmentation,
        batch_size: int,
        sampler: Callable[..., Sampler[list[int]]],
        eval_batch_size: int,
        num_workers: int,
        worker_timeout: float,
    ) -> None:
        super().__init__()
        self.root = root
        self.cache_dir = cache_dir
        self.drawn = drawn
        self.protocol = protocol
        self.augmentation = augmentation
        self.batch_size = batch_size
        self.sampler = sampler
        self.eval_batch_size = eval_batch_size
        if num_workers < 0:
            raise UserError(f"data.num_workers={num_workers} must be 0 or more")
        self.num_workers = num_workers
        self.worker_timeout = worker_timeout
        self.faces: Faces | None = None
        self.audit: Audit | None = None
        self.partition: Partition | None = None
        self.training: TrainingPictures | None = None

    def read(self) -> None:
        """Read and audit the faces, and say what was found."""
        self.faces = read_faces(self.root, self.cache_dir, self.drawn)
        log.info(scan_line(self.faces))
        self.audit = audit(self.faces, self.cache_dir)
        for line in self.audit.lines():
            log.info(line)

    def prepare_data(self) -> None:
        """Read the faces in one process first: the others find them in the cache."""
        if self.faces is None:
            self.read()

    def setup(self, stage: str) -> None:
        """Read and partition the faces, once; say what they are for."""
        self.prepare_data()
        if self.partition is None:
            self.partition = self.protocol(self.faces, self.audit.twins)
            log.info(
                "%d train, %d validate, %d test; %d training faces left out for a held-out twin. Shows: %s",
                *(len(rows) for rows in (self.partition.train, self.partition.validation, self.partition.test)),
                self.partition.left_out,
                self.partition.proves,
            )
            labels = self.partition.faces.labels[self.partition.train]
            for name, count in zip(CLASSES, np.bincount(labels, minlength=len(CLASSES)), strict=True):
                if count < 2:
                    log.warning("%s has %d training face: a positive of it is the face itself", name, count)
            if leaks := self.partition.leaks():
                log.warning("leaky: %s", "; ".join(leaks))
        if stage == "fit" and self.training is None:
            self.training = TrainingPictures(self.partition.faces, self.partition.train, self.augmentation)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return batches of augmented training pictures."""
        # Lightning asks again each epoch (reload_dataloaders_every_n_epochs=1): workers are forked anew and see it.
        self.training.epoch = self.trainer.current_epoch
        progress, loop = self.trainer.fit_loop.epoch_loop.batch_progress, self.trainer.fit_loop
        start = progress.current.completed if loop.restarting else 0  # of an epoch that a checkpoint was written in
        sampler = self.sampler(
            self.training.labels,
            start=start,
            world_size=self.trainer.world_size,
            rank=self.trainer.global_rank,
        )
        if self.trainer.reload_dataloaders_every_n_epochs:  # else every epoch has the order of epoch 0
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


def _as_is(batch: Batch) -> Batch:
    return batch


def _prepare_worker(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the training process's to deal with
    # So is SIGTERM, which Slurm sends to every process of a job; without this one it would find its workers dead.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(30))
    cv2.setNumThreads(0)  # a thread pool does not survive the fork
