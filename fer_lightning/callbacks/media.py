"""Figures of a tested run, and its worst mistakes beside their neighbours: in its folder and in W&B."""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure

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

SPREAD = 1e-6  # of the embeddings on a map, at least, in some component: t-SNE would crash on equal ones
Outputs = Mapping[str, np.ndarray]  # of the test, by column
Result = TypeVar("Result")


class Media(Callback):
    """Draw all figures once, after the test. A figure that fails is counted, and the run goes on.

    Writes ``figures/*.png``, ``figures/*.svg`` and ``mistakes.json`` into the run's folder, and the same into W&B.

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
        """Draw and log everything, unless fast_dev_run is set."""
        if trainer.fast_dev_run or not trainer.is_global_zero:
            return
        datamodule, outputs = trainer.datamodule, pl_module.test_outputs
        paths = [self._draw(name, draw) for name, draw in self._figures(datamodule, outputs)]
        mistakes = self._attempt("mistakes", lambda: self._mistakes(outputs, datamodule.partition, pl_module)) or []
        for logger in trainer.loggers:
            if isinstance(logger, PatientWandbLogger):
                self._log(logger, datamodule, outputs, list(filter(None, paths)), mistakes)
        if self.failures:
            log.warning("figures and tables that this run lacks: %d; its metrics are whole", self.failures)

    def _draw(self, name: str, draw: Callable[[], Figure]) -> Path | None:
        """Draw a figure and return the path of its PNG."""
        return self._attempt(name, lambda: save(draw(), self.folder / "figures" / f"{name}.png"))

    def _log(self, logger: PatientWandbLogger, datamodule: Any, outputs: Outputs, paths: list, mistakes: list) -> None:
        """Log figures and tables to W&B."""
        from fer_lightning.report.wandb import images, run_tables  # here, since importing wandb takes a second

        classes, findings = datamodule.faces.classes, datamodule.audit.figures()
        confusion = confusion_matrix(outputs["labels"], outputs["predictions"], len(classes))
        content = (classes, confusion, findings, mistakes, self.neighbours)
        logger.log_media(self._attempt("images of W&B", lambda: images("media", paths)) or {})
        tables = self._attempt("tables of W&B", lambda: run_tables(*content)) or {}
        logger.log_summary({**tables, "media/failures": self.failures})

    def _figures(self, datamodule: Any, outputs: Outputs) -> Iterator[tuple[str, Callable[[], Figure]]]:
        """Yield the name and the drawing function of each figure: those of every report, then those of the faces."""
        results = self._attempt("figures of the results", lambda: plots(rank_runs([read_run(self.folder)])))
        for plot in results or []:
            yield plot.name, plot.draw
        if len(datamodule.partition.train):
            yield "augmentation", lambda: augmentation_grid(datamodule.partition, datamodule.augmentation.chain)
        if not self.map_faces:
            return
        sample = np.random.default_rng(self.seed).permutation(len(outputs["labels"]))[: self.map_faces]
        if np.ptp(outputs["embeddings"][sample], axis=0).max() < SPREAD:
            log.warning("no maps: the network gives all %d test faces the same embedding", len(sample))
            return
        faces, partition = datamodule.faces, datamodule.partition
        log.info("drawing the maps of %d embeddings: %s", len(sample), ", ".join(self.maps))
        for name, reducer in track(self.maps.items(), "drawing the maps of the embeddings"):
            title = f"{len(sample):,} test embeddings, {name}; {faces.source}, protocol {partition.protocol}"
            points = (reducer, outputs["embeddings"][sample], outputs["labels"][sample], faces.classes, title)
            yield f"embeddings_{name}", partial(embedding_map, *points)

    def _mistakes(self, outputs: Outputs, partition: Partition, module: Any) -> list[dict[str, Any]]:
        """Write mistakes.json and return its content: the worst, with neighbours if the classifier has a gallery."""
        votes = np.where(outputs["labels"] != outputs["predictions"], outputs["votes"].max(axis=1), -1.0)
        worst = np.argsort(-votes, kind="stable")[: self.mistakes]
        worst = worst[votes[worst] >= 0]
        gallery = np.array(module.draw.gallery) if module.draw else partition.gallery
        embeddings = torch.from_numpy(outputs["embeddings"][worst]).to(module.device)
        nearest = module.classifier.decide(embeddings).neighbours if len(worst) else None
        mistakes = []
        for number, index in enumerate(worst):
            neighbours = []
            if nearest is not None and len(partition.train):  # else the pictures of the gallery are not at hand
                indices, similarities = (values[number, : self.neighbours].cpu().numpy() for values in nearest[:2])
                neighbours = [
                    {**_face(partition, row), "similarity": round(float(similarity), 4)}
                    for row, similarity in zip(gallery[indices], similarities, strict=True)
                ]
            mistakes.append(
                {
                    **_face(partition, outputs["rows"][index]),
                    "prediction": partition.faces.classes[outputs["predictions"][index]],
                    "vote": round(float(votes[index]), 4),
                    "neighbours": neighbours,
                }
            )
        write_json(self.folder / "mistakes.json", {"mistakes": mistakes})
        return mistakes

    def _attempt(self, name: str, make: Callable[[], Result]) -> Result | None:
        """Return the result of a function, or None after an error: the figures must not end a run."""
        try:
            return make()
        except Exception as error:
            self.failures += 1
            log.warning("%s could not be made (%s: %s)", name, type(error).__name__, error)
            return None


def _face(partition: Partition, row: int) -> dict[str, Any]:
    """Return the file, label and picture of a face for mistakes.json."""
    faces = partition.faces
    return {"file": str(faces.names[row]), "label": faces.classes[faces.labels[row]], "png": png(faces.images[row])}
