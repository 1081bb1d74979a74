"""What a tested run shows: figures in its folder and in W&B, the worst mistakes beside their neighbours."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import wandb
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import WandbLogger

from fer_lightning.data.faces import CLASSES
from fer_lightning.data.progress import track
from fer_lightning.report import figures
from fer_lightning.report.html import png, unpng
from fer_lightning.report.statistics import f1_per_class
from fer_lightning.runs.files import write_json

log = logging.getLogger(__name__)

KINDS = 6  # pictures of each class in the grid of augmented faces


class Media(Callback):
    """Draw everything once, after the test. A figure that cannot be made is counted and ends nothing.

    Leaves ``figures/*.png`` and ``*.svg`` and ``mistakes.json`` in the run's folder, and the same in W&B.

    Args:
        output_dir: The run's folder.
        maps: Named reducers with scikit-learn's ``fit_transform``, from (B, D) to (B, 2).
        map_faces: Test faces on a map, at most.
        mistakes: Worst mistakes to show: wrong, with the highest vote for the wrong class.
        neighbours: Gallery faces to show beside each.
        seed: Of the sample on the maps.
    """

    def __init__(
        self, output_dir: str, maps: Mapping[str, Any], map_faces: int, mistakes: int, neighbours: int, seed: int
    ) -> None:
        self.folder = Path(output_dir)
        self.maps = dict(maps)
        self.map_faces = map_faces
        self.mistakes = mistakes
        self.neighbours = neighbours
        self.seed = seed
        self.outputs: list[dict] = []
        self.failures = 0

    def on_test_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Forget what an earlier test left."""
        self.outputs = []

    def on_test_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: dict, batch: object, idx: int
    ) -> None:
        """Keep the predictions."""
        self.outputs.append(outputs)

    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draw and log everything, unless the run was a trial of one batch."""
        if trainer.fast_dev_run or not trainer.is_global_zero:
            return
        datamodule = trainer.datamodule
        columns = {
            name: np.concatenate([output[name].cpu().numpy() for output in self.outputs]) for name in self.outputs[0]
        }
        self.outputs = []
        title = f"{datamodule.faces.source}, protocol {datamodule.partition.protocol}"
        confusion = np.zeros((len(CLASSES), len(CLASSES)))
        np.add.at(confusion, (columns["labels"], columns["predictions"]), 1)
        logged: dict[str, Any] = {}

        def draw(name: str, make: Callable[[], Any]) -> None:
            try:
                figures.save(make(), self.folder / "figures" / name)
                logged[f"media/{name}"] = wandb.Image(str(self.folder / "figures" / f"{name}.png"))
            except Exception as error:  # whatever it is, the run's numbers are worth more than its pictures
                self._failed(name, error)

        draw("confusion_matrix", lambda: figures.confusion({title: confusion}))
        draw("per_class", lambda: figures.per_class({title: f1_per_class(confusion)}, "F1"))
        draw("augmentation", lambda: augmentation_grid(datamodule))
        sample = np.random.default_rng(self.seed).permutation(len(columns["labels"]))[: self.map_faces]
        labels = columns["labels"][sample]
        log.info("drawing the maps of %d embeddings: %s", len(sample), ", ".join(self.maps))
        for name, reducer in track(self.maps.items(), "drawing the maps of the embeddings"):
            draw(
                f"embeddings_{name}",
                lambda reducer=reducer, name=name: figures.embedding_map(
                    reducer.fit_transform(columns["embeddings"][sample]),
                    labels,
                    f"{len(sample):,} test embeddings, {name}; {title}",
                ),
            )
        try:
            logged["tables/per_class"] = per_class_table(confusion)
            logged["tables/confusion"] = confusion_table(confusion)
            logged["tables/audit"] = wandb.Table(
                ["finding", "number"], [[name, number] for name, number in datamodule.audit.figures().items()]
            )
            mistakes = list(self._worst(columns, datamodule, pl_module))
            write_json(self.folder / "mistakes.json", {"mistakes": mistakes})
            logged["tables/mistakes"] = mistakes_table(mistakes, self.neighbours)
        except Exception as error:
            self._failed("mistakes", error)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                try:
                    logger.experiment.log(logged)
                except Exception as error:
                    self._failed("upload to W&B", error)
                logger.experiment.summary["media/failures"] = self.failures
        if self.failures:
            log.warning("figures and tables that this run lacks: %d; its metrics are whole", self.failures)

    def _worst(
        self, columns: dict[str, np.ndarray], datamodule: lightning.LightningDataModule, module: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield the worst mistakes with their nearest gallery faces."""
        partition = datamodule.partition
        faces = partition.faces
        votes = np.where(columns["labels"] != columns["predictions"], columns["votes"].max(axis=1), -1.0)
        worst = np.argsort(-votes, kind="stable")[: self.mistakes]
        worst = worst[votes[worst] >= 0]
        if not len(worst):
            return
        queries = module.classifier.gallery.new_tensor(columns["embeddings"][worst])
        found = module.classifier.neighbours(queries)
        for at, indices, similarities in zip(
            worst, found.indices.cpu().numpy(), found.similarities.cpu().numpy(), strict=True
        ):
            row = columns["rows"][at]
            yield {
                "file": str(faces.names[row]),
                "label": CLASSES[columns["labels"][at]],
                "prediction": CLASSES[columns["predictions"][at]],
                "vote": round(float(votes[at]), 4),
                "png": png(faces.images[row]),
                "neighbours": [
                    {
                        "file": str(faces.names[known]),
                        "label": CLASSES[faces.labels[known]],
                        "similarity": round(float(similarity), 4),
                        "png": png(faces.images[known]),
                    }
                    for known, similarity in zip(
                        partition.gallery[indices[: self.neighbours]], similarities, strict=False
                    )
                ],
            }

    def _failed(self, name: str, error: Exception) -> None:
        self.failures += 1
        log.warning("%s could not be made (%s: %s)", name, type(error).__name__, error)


def augmentation_grid(datamodule: lightning.LightningDataModule) -> Any:
    """Return a face of each class as it is and as training sees it (figures 2 and 7 of the paper)."""
    partition, augmentation = datamodule.partition, datamodule.augmentation
    faces, chain = partition.faces, augmentation.chain
    rows, names = [], []
    for label, name in enumerate(CLASSES):
        own = partition.train[faces.labels[partition.train] == label]
        if not len(own):
            continue
        siblings = np.flatnonzero(partition.origins == partition.origins[own[0]])[:KINDS]
        if len(siblings) > 1:  # the protocol has made the pictures
            images = list(faces.images[siblings])
        elif len(chain):
            images = [
                faces.images[own[0]],
                *(chain(faces.images[own[0]], draw, int(own[0])) for draw in range(KINDS - 1)),
            ]
        else:
            images = list(faces.images[own[:KINDS]])
        rows.append(images)
        names.append(name)
    augmented = len(chain) or len(partition.origins) > len(np.unique(partition.origins))
    first, others = ("original", "augmented") if augmented else ("as it is", "others")
    return figures.pictures(rows, names, [first, others, *[""] * (KINDS - 2)])


def mistakes_table(mistakes: list[dict[str, Any]], neighbours: int) -> wandb.Table:
    """Return the worst mistakes as a W&B table: face, label, prediction, vote, neighbours."""
    columns = ["file", "face", "label", "prediction", "vote"]
    columns += [f"neighbour {number}" for number in range(1, neighbours + 1)]
    rows = []
    for mistake in mistakes:
        near = [
            wandb.Image(unpng(near["png"]), caption=f"{near['label']} {near['similarity']:.3f}")
            for near in mistake["neighbours"]
        ]
        row = [mistake["file"], wandb.Image(unpng(mistake["png"])), mistake["label"], mistake["prediction"]]
        rows.append([*row, mistake["vote"], *near, *[None] * (neighbours - len(near))])
    return wandb.Table(columns, rows)


def per_class_table(confusion: np.ndarray) -> wandb.Table:
    """Return precision, recall, F1 and number of faces per class."""
    right, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(true, 1)
    rows = zip(CLASSES, precision, recall, f1_per_class(confusion), true, strict=True)
    return wandb.Table(
        ["class", "precision", "recall", "f1", "faces"], [[row[0], *map(float, row[1:])] for row in rows]
    )


def confusion_table(confusion: np.ndarray) -> wandb.Table:
    """Return the confusion matrix as rows: label, prediction, faces, share of the label."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    return wandb.Table(
        ["label", "prediction", "faces", "share"],
        [
            [CLASSES[label], CLASSES[prediction], int(count), float(shares[label, prediction])]
            for (label, prediction), count in np.ndenumerate(confusion)
        ],
    )
