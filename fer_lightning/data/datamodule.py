"""The data module: from a source of faces to batches (images, labels, rows)."""

import logging
import signal
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal, TypedDict

import cv2
import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from fer_lightning.data.audit import Audit, audit
from fer_lightning.data.augmentation import Augmentation
from fer_lightning.data.corrections import correct
from fer_lightning.data.crowd import BINS, agreement, agreement_bins
from fer_lightning.data.draws import even_draw_first
from fer_lightning.data.faces import CLASSES, Faces
from fer_lightning.data.facts import read_facts
from fer_lightning.data.lists import LabelList
from fer_lightning.data.mapping import align, map_faces
from fer_lightning.data.mixing import no_mixing
from fer_lightning.data.partition import Partition, without
from fer_lightning.data.persons import name_persons
from fer_lightning.data.pictures import Batch, Mixing, Pictures, TrainingPictures, scale
from fer_lightning.data.readers import read_faces, summarize
from fer_lightning.data.rendering import Step, render, resize, size_at
from fer_lightning.data.samplers import OrderedSampler, TrainingSampler
from fer_lightning.data.splitting import draw_split
from fer_lightning.data.twins import Twins
from fer_lightning.data.votes import count_votes, relabel, shares
from fer_lightning.errors import UserError
from fer_lightning.kinds import (
    BatchSize,
    ClassMap,
    Count,
    FaceCount,
    InnerShare,
    Location,
    Names,
    Part,
    Pattern,
    Pixels,
    PixelSizes,
    Seconds,
    Seed,
    Share,
    Source,
    SpanOfShares,
    Text,
    Workers,
)
from fer_lightning.words import counted, removed


class Drawn(TypedDict):
    """Settings of the synthetic faces.

    Attributes:
        count: Number of synthetic faces.
        wrong_label_share: Share of them with a wrong label, on purpose.
        seed: Decides which faces are drawn.
    """

    count: FaceCount
    wrong_label_share: Share
    seed: Seed


class Columns(TypedDict):
    """Names of the columns of a list.

    Attributes:
        file: Path of a picture in the source.
        label: Its class.
        split: train, validation or test.
        person: Name of the person.
    """

    file: Text
    label: Text
    split: Text
    person: Text


class Split(TypedDict):
    """Settings of the test part of a source that has no split.

    Attributes:
        share: Share of the faces of each class that become test faces.
        seed: Decides which.
    """

    share: InnerShare
    seed: Seed


log = logging.getLogger(__name__)

AGREEMENT = "people who agree"  # on the answer with most votes


class FacesDataModule(lightning.LightningDataModule):
    """Faces of one source, partitioned by a protocol.

    Validation reads the gallery (training faces without augmentation) before the validation faces, because it has to
    fit the classifier first. Where a limit of the Trainer leaves a part of the gallery, of the validation faces or of
    the test faces, that part is an even draw. Several processes draw the same batches as a single one, and each gets
    its share of them. Faces, audit, partition and training pictures are made at their first use.

    Args:
        root: Folder, .zip or .csv of faces; kaggle downloads; null draws faces.
        cache_dir: Folder for faces that were read once.
        labels: List of the pictures in root and their labels; None for the layout of root.
        columns: Names of its columns.
        classes: Names of the classes, in the order of the labels.
        votes: FER+'s file of votes, which label FER2013's faces; None for the source's own labels.
        crowd: FER+'s file of votes, which audit and reports compare with labels and network; None for none.
        targets: What training learns: the labels, or the shares of the classes in all votes.
        map: New classes, each with the list of classes that it joins; null leaves a class out. What is not named stays.
            The classes that stay keep their order, and the new ones follow by the alphabet.
        corrections: File that gives training faces other labels, or leaves them out; None for none.
        metadata: csv of faces, by whose columns the accuracy is reported too; None for none.
        image_size: Height and width of the faces, pixels; faces of another size are resized to it.
        training_sizes: Pixels of the training pictures, each for an equal part of the epochs; None for image_size.
        person: Pattern whose one group is the person in the file's name of each face; None for those of the source.
        split: Settings of the test part where the source has no split.
        drawn: Settings of the faces that are drawn where root is null.
        protocol: Function from a table of faces and its twins to a ``Partition``.
        leave_out: Part of the training faces that is not learnt, from and to which share of them; None for no part.
        augmentation: Changes training faces, and no others.
        mixing: Mixes the pictures and targets of a training batch.
        batch_size: Training pictures in a batch, of all devices together.
        sampler: Partial of ``ClassSampler`` or ``NaturalSampler``; the labels and this process's part are missing.
        eval_batch_size: Faces in a batch of gallery, validation and test, of all processes together.
        num_workers: Processes that prepare training batches; 0 prepares them in the training process.
        worker_timeout: Seconds without a batch after which those processes count as hung; 0 waits for ever.

    Attributes:
        past: Records of the earlier trainings of the network, the last one first.
        for_network: Changes the partition for a network that was trained on other faces, or on another part of these;
            None for a new network.
    """

    trainer: lightning.Trainer  # set by the Trainer before it calls a loader

    def __init__(
        self,
        root: Source | None,
        cache_dir: Location,
        labels: Location | None,
        columns: Columns,
        classes: Names,
        votes: Location | None,
        crowd: Location | None,
        targets: Literal["labels", "distribution"],
        map: ClassMap | None,
        corrections: Location | None,
        metadata: Location | None,
        image_size: Pixels,
        training_sizes: PixelSizes | None,
        person: Pattern | None,
        split: Split,
        drawn: Drawn,
        protocol: Part[Callable[[Faces, Twins], Partition]],
        leave_out: SpanOfShares | None,
        augmentation: Part[Augmentation],
        mixing: Part[Mixing],
        batch_size: BatchSize,
        sampler: Part[Callable[..., TrainingSampler]],
        eval_batch_size: Count,
        num_workers: Workers,
        worker_timeout: Seconds,
    ) -> None:
        super().__init__()
        self.network_classes: Sequence[str] | None = None  # of a checkpoint that is tested on other faces
        self.root = root
        self.cache_dir = cache_dir
        self.labels = labels
        self.columns = columns
        self.classes = classes
        self.votes = votes
        self.crowd = crowd
        self.targets = targets
        self.map = map
        self.corrections = corrections
        self.metadata = metadata
        self.image_size = int(image_size)
        self.training_sizes = training_sizes
        self.person = person
        self.split = split
        self.drawn = drawn
        self.protocol = protocol
        self.leave_out = leave_out
        self.augmentation = augmentation
        self.mixing = mixing
        self.past: list[dict[str, Any]] = []
        self.for_network: Callable[[Faces, Partition], Partition] | None = None
        self.table: torch.Tensor | None = None  # (N, H, W) uint8, all faces, on the device that renders them
        self.batch_size = batch_size
        self.sampler = sampler
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.worker_timeout = worker_timeout

    def read(self) -> Faces:
        """Return the faces; unlike ``faces``, it logs no summary."""
        labels = None if self.labels is None else LabelList(self.labels, self.columns)
        classes = self.classes if self.votes is None else CLASSES
        faces = read_faces(self.root, self.cache_dir, self.drawn, self.image_size, classes, labels)
        faces = name_persons(faces, self.person)
        faces = draw_split(faces, self.cache_dir, **self.split)  # now, so that nothing moves a face to the other side
        if self.votes is not None:
            faces = relabel(faces, self.votes, self.classes)
        elif self.crowd is not None:
            faces = count_votes(faces, self.crowd)
        if self.map:
            faces = map_faces(faces, self.map)
        return faces if self.network_classes is None else align(faces, self.network_classes)

    @cached_property
    def faces(self) -> Faces:
        """Read the faces and log their summary."""
        faces = self.read()
        log.info(summarize(faces))
        return faces

    @cached_property
    def audit(self) -> Audit:
        """Audit the faces and log the findings."""
        result = audit(self.faces, self.cache_dir)
        for line in result.lines():
            log.info(line)
        return result

    @cached_property
    def partition(self) -> Partition:
        """Partition the faces and log the sizes and leaks of the parts."""
        partition = self.protocol(self.faces, self.audit.twins)
        if self.corrections is not None:
            partition = correct(partition, self.faces, self.corrections)
        if self.leave_out:
            partition = without(partition, self.leave_out)
        if self.for_network:
            partition = self.for_network(self.faces, partition)
        log.info(
            "%d train, %d validate, %d test; %s. What the score shows: %s",
            *(len(rows) for rows in (partition.train, partition.validation, partition.test)),
            removed(partition.left_out, partition.left_out_test, partition.faces.persons),
            partition.proves,
        )
        if partition.corrected:
            log.info("%s", partition.corrected)
        labels = partition.faces.labels[partition.train]
        classes = self.faces.classes
        for name, count in zip(classes, np.bincount(labels, minlength=len(classes)), strict=True):
            if count < 2 and partition.measurable:
                log.warning("%s has %s", name, counted(count, "training face"))
        if leaks := partition.leaks():
            log.warning("leaky: %s", "; ".join(leaks))
        return partition

    @cached_property
    def descriptions(self) -> dict[str, np.ndarray]:
        """Return columns about each face, (N,) str with "" where nothing is known: of metadata, and people's votes."""
        columns = {}
        if self.metadata is not None:
            facts = read_facts(self.metadata, "data.metadata")
            positions = facts.find(self.faces.names.tolist(), self.faces.rows)
            described = positions >= 0
            for name, cells in facts.columns.items():
                column = np.full(len(self.faces), "", dtype=object)
                column[positions[described]] = np.array(cells, dtype=object)[described]
                columns[name] = column.astype(str)
            log.info("%s describes %d of %d faces", facts.option, described.sum(), len(self.faces))
        if self.faces.crowd is not None:
            columns[AGREEMENT] = np.array(BINS)[agreement_bins(agreement(self.faces.crowd))]
        return columns

    @cached_property
    def training(self) -> TrainingPictures:
        """Make the table of training pictures; without online augmentation all copies are drawn here."""
        faces, rows = self.partition.faces, self.partition.train
        targets = shares(faces)[rows] if self.votes and self.targets == "distribution" else None
        return TrainingPictures(faces, rows, self.augmentation, self.mixing, targets)

    def prepare_data(self) -> None:
        """Read and audit the faces in one process, so that the others can read both from the cache."""
        self.audit  # noqa: B018  computes it

    def setup(self, stage: str) -> None:
        """Read and partition the faces; before training make its pictures too."""
        self.partition, self.descriptions  # noqa: B018
        if stage == "fit":
            self.training  # noqa: B018

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return batches of augmented training pictures."""
        self.training.steps = self._steps()
        # Lightning calls this every epoch (reload_dataloaders_every_n_epochs=1), and new workers get the new epoch.
        self.training.epoch, self.training.epochs = self.trainer.current_epoch, self.trainer.max_epochs or -1
        loop = self.trainer.fit_loop
        done = loop.epoch_loop.batch_progress.current.completed  # batches in the epoch of the checkpoint
        sampler = self.sampler(
            self.training.labels,
            start=done if loop.restarting else 0,
            world_size=self.trainer.world_size,
            rank=self.trainer.global_rank,
        )
        # Otherwise every epoch keeps the order of epoch 0. mypy does not see where Lightning sets the attribute.
        if self.trainer.reload_dataloaders_every_n_epochs:  # type: ignore[attr-defined]
            sampler.set_epoch(self.trainer.current_epoch)
        return DataLoader(
            self.training,
            batch_sampler=sampler,
            collate_fn=_as_is,
            num_workers=self.num_workers,
            worker_init_fn=_prepare_worker,
            generator=torch.Generator(),  # else each loader draws a number from the stream of dropout
            timeout=self.worker_timeout if self.num_workers else 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _steps(self) -> list[Step] | None:
        """Return how the device renders the training pictures; None where albumentations does on the processor."""
        device, chain = self.augmentation.device, self.augmentation.chain
        if device == "cpu" or (device == "auto" and self.trainer.strategy.root_device.type == "cpu"):
            return None
        mixed = getattr(self.mixing, "func", None) is not no_mixing
        if mixed or not self.augmentation.online or not len(chain):
            return None
        steps = chain.steps(self.training.images.shape[1:])
        if steps is None and device == "accelerator":
            raise UserError(
                "augmentation.device=accelerator has no code for one of augmentation.transforms, or for its border, "
                "interpolation or fill: use augmentation.device=auto"
            )
        return steps

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Render training pictures that came as draws, and resize training pictures to the size of this epoch."""
        if not batch.targets.numel():  # no training batch
            return batch
        images = batch.images
        if self.training.steps is not None:
            if self.table is None or self.table.device != batch.rows.device:
                self.table = torch.tensor(self.training.images, device=batch.rows.device)
            images = scale(render(self.table[batch.rows], batch.draws, self.training.steps))
        return batch._replace(images=resize(images, self.training_size(self.trainer.current_epoch)))

    def training_size(self, epoch: int) -> int:
        """Return the height and width of the training pictures of an epoch."""
        return size_at(self.training_sizes or [self.image_size], epoch, self.trainer.max_epochs)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Return the batches of the gallery, and those of the validation faces."""
        rows = (self.partition.gallery, self.partition.validation)
        return [self.loader(self._limited(part, self.trainer.limit_val_batches)) for part in rows]

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the test faces."""
        return self.loader(self._limited(self.partition.test, self.trainer.limit_test_batches))

    def _limited(self, rows: np.ndarray, limit: int | float) -> np.ndarray:
        """Return the rows, those first that a limit of the Trainer leaves."""
        return rows[even_draw_first(self.partition.faces.labels[rows], self.eval_batch_size, limit)]

    def loader(self, rows: np.ndarray) -> DataLoader[Batch]:
        """Return batches of the rows in their order, without augmentation."""
        sampler = OrderedSampler(len(rows), self.eval_batch_size, self.trainer.world_size, self.trainer.global_rank)
        return DataLoader(
            Pictures(self.partition.faces, rows),
            batch_sampler=sampler,
            collate_fn=_as_is,
            generator=torch.Generator(),
            pin_memory=torch.cuda.is_available(),
        )


def _as_is(batch: Any) -> Any:
    return batch  # ``__getitems__`` returns a batch, where DataLoader expects a list of items


def _prepare_worker(worker: int) -> None:
    for signum in (signal.SIGINT, signal.SIGHUP):  # only the training process handles Ctrl-C
        signal.signal(signum, signal.SIG_IGN)
    # Slurm sends SIGTERM to every process of a job. The training process needs its workers a little longer.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(30))
    cv2.setNumThreads(0)  # a pool of threads does not survive the fork
