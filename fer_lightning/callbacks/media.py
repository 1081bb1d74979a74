"""What a tested run shows: figures in its folder and in W&B, the worst mistakes beside their neighbours."""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure

from fer_lightning.data.datamodule import FacesDataModule
from fer_lightning.data.protocols import Partition
from fer_lightning.files import write_json
from fer_lightning.kinds import CountOrZero, Location, Part, Seed
from fer_lightning.loggers import PatientWandbLogger
from fer_lightning.progress import track
from fer_lightning.report.figures import plots
from fer_lightning.report.html import png
from fer_lightning.report.ranking import rank_runs
from fer_lightning.report.snapshots import augmentation_grid, embedding_map
from fer_lightning.report.statistics import confusion_matrix
from fer_lightning.report.style import save
from fer_lightning.runs.record import read_run

log = logging.getLogger(__name__)

SAME = 1e-6  # embeddings that differ by less in every component are one point: t-SNE would end the process
Made = TypeVar("Made")


class Media(Callback):
    """Draw everything once, after the test and its results. A figure that cannot be made is counted and ends nothing.

    Leaves ``figures/*.png`` and ``*.svg`` and ``mistakes.json`` in the run's folder, and the same in W&B.

    Args:
        output_dir: The run's folder.
        maps: Named reducers with scikit-learn's ``fit_transform``, from (B, D) to (B, 2).
        map_faces: Test faces on a map, at most; 0 draws no maps.
        mistakes: Worst mistakes to show: wrong, with the highest vote for the wrong class.
        neighbours: Gallery faces to show beside each.
        seed: Seed of the sample on the maps.
    """

    def __init__(
        self,
        output_dir: Location,
        maps: dict[str, Part[Any]],
        map_faces: CountOrZero,
        mistakes: CountOrZero,
        neighbours: CountOrZero,
        seed: Seed,
    ) -> None:
        self.folder = Path(output_dir)
        self.maps = dict(maps)
        self.map_faces = map_faces
        self.mistakes = mistakes
        self.neighbours = neighbours
        self.seed = seed
        self.failures = 0

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """Draw and log everything, unless the run was a trial of one batch."""
        if trainer.fast_dev_run or not trainer.is_global_zero:
            return
        datamodule, outputs = trainer.datamodule, pl_module.test_outputs
        pictures = []
        for name, draw in self._figures(datamodule, outputs):
            path = self.folder / "figures" / f"{name}.png"
            if picture := self._attempt(name, partial(_save, draw, path)):
                pictures.append(picture)
        mistakes = self._attempt("mistakes", lambda: self._write_mistakes(outputs, datamodule.partition, pl_module))
        for logger in trainer.loggers:
            if isinstance(logger, PatientWandbLogger):
                from fer_lightning.report.wandb import images, run_tables  # here: the others need not wait for wandb

                classes = datamodule.faces.classes
                confusion = confusion_matrix(outputs["labels"], outputs["predictions"], len(classes))
                findings = datamodule.audit.figures()
                content = (classes, confusion, findings, mistakes or [], self.neighbours)
                logger.log_media(self._attempt("images of W&B", partial(images, "media", pictures)) or {})
                tables = self._attempt("tables of W&B", partial(run_tables, *content)) or {}
                logger.log_summary({**tables, "media/failures": self.failures})
        if self.failures:
            log.warning("figures and tables that this run lacks: %d; its metrics are whole", self.failures)

    def _figures(
        self, datamodule: FacesDataModule, outputs: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[str, Callable[[], Figure]]]:
        """Yield the name of each figure, and what draws it: those of every report, then those that need the faces."""
        results = self._attempt("figures of the results", lambda: plots(rank_runs([read_run(self.folder)])))
        for plot in results or []:
            yield plot.name, plot.draw
        yield "augmentation", lambda: augmentation_grid(datamodule.partition, datamodule.augmentation.chain)
        if not self.map_faces:
            return
        sample = np.random.default_rng(self.seed).permutation(len(outputs["labels"]))[: self.map_faces]
        if np.ptp(outputs["embeddings"][sample], axis=0).max() < SAME:
            log.warning("no maps: the network gives all %d test faces the same embedding", len(sample))
            return
        faces, partition = datamodule.faces, datamodule.partition
        log.info("drawing the maps of %d embeddings: %s", len(sample), ", ".join(self.maps))
        for name, reducer in track(self.maps.items(), "drawing the maps of the embeddings"):
            title = f"{len(sample):,} test embeddings, {name}; {faces.source}, protocol {partition.protocol}"
            yield (
                f"embeddings_{name}",
                partial(
                    embedding_map,
                    reducer,
                    outputs["embeddings"][sample],
                    outputs["labels"][sample],
                    faces.classes,
                    title,
                ),
            )

    def _write_mistakes(
        self, outputs: Mapping[str, np.ndarray], partition: Partition, module: Any
    ) -> list[dict[str, Any]]:
        """Write mistakes.json and return its content."""
        mistakes = list(self._worst(outputs, partition, module))
        write_json(self.folder / "mistakes.json", {"mistakes": mistakes})
        return mistakes

    def _worst(self, outputs: Mapping[str, np.ndarray], partition: Partition, module: Any) -> Iterator[dict[str, Any]]:
        """Yield the worst mistakes, with the nearest gallery faces where the classifier has any."""
        votes = np.where(outputs["labels"] != outputs["predictions"], outputs["votes"].max(axis=1), -1.0)
        worst = np.argsort(-votes, kind="stable")[: self.mistakes]
        worst = worst[votes[worst] >= 0]
        if not len(worst):
            return
        found = module.classifier.decide(torch.from_numpy(outputs["embeddings"][worst]).to(module.device)).neighbours
        for number, at in enumerate(worst):
            near = []
            if found is not None:
                indices, similarities = (values[number, : self.neighbours].cpu().numpy() for values in found[:2])
                near = [
                    {**_face(partition, row), "similarity": round(float(similarity), 4)}
                    for row, similarity in zip(partition.gallery[indices], similarities, strict=True)
                ]
            yield {
                **_face(partition, outputs["rows"][at]),
                "prediction": partition.faces.classes[outputs["predictions"][at]],
                "vote": round(float(votes[at]), 4),
                "neighbours": near,
            }

    def _attempt(self, name: str, make: Callable[[], Made]) -> Made | None:
        """Return what is made, or None if that fails: the run's numbers are worth more than its pictures."""
        try:
            return make()
        except Exception as error:
            self.failures += 1
            log.warning("%s could not be made (%s: %s)", name, type(error).__name__, error)
            return None


def _save(draw: Callable[[], Figure], path: Path) -> Path:
    """Draw a figure and write its files; return the PNG."""
    return save(draw(), path)


def _face(partition: Partition, row: int) -> dict[str, Any]:
    """Return what mistakes.json holds of a face."""
    faces = partition.faces
    return {"file": str(faces.names[row]), "label": faces.classes[faces.labels[row]], "png": png(faces.images[row])}
