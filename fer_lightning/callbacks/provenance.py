"""Provenance: the faces, options and code that made a checkpoint, written into it."""

import logging
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from fer_lightning import __version__
from fer_lightning.kinds import Texts
from fer_lightning.runs.checkpoints import KEY
from fer_lightning.runs.record import code_fingerprint

log = logging.getLogger(__name__)


class Provenance(Callback):
    """Write a record into each checkpoint: plain strings and numbers, which loading cannot run.

    Args:
        overrides: The command line's overrides; composing them again gives the run's configuration.
    """

    def __init__(self, overrides: Texts) -> None:
        self.overrides = [str(override) for override in overrides]

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the record."""
        faces, partition = trainer.datamodule.faces, trainer.datamodule.partition
        gallery = pl_module.classifier.known()
        rows = pl_module.draw.gallery if pl_module.draw else partition.gallery
        names = partition.faces.names[rows].tolist()
        if gallery is None or len(gallery[1]) != len(names):  # the classifier was not yet fitted on these faces
            names = []
        checkpoint[KEY] = {
            "version": __version__,
            "code": code_fingerprint(),
            "overrides": self.overrides,
            "classes": list(faces.classes),
            "image_size": faces.images.shape[1],
            "data": faces.source,
            "data_fingerprint": faces.fingerprint,
            "partition": partition.fingerprint,
            "gallery": "\n".join(names),  # names of the classifier's faces, row by row; no name has a line break
        }
        if partition.corrected:
            checkpoint[KEY]["corrections"] = partition.corrected.digest
        if pl_module.draw:
            checkpoint[KEY]["draw"] = str(pl_module.draw)

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Warn if a resumed run has other faces, or another partition of them."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        datamodule, record = trainer.datamodule, checkpoint[KEY]
        partition, corrected = datamodule.partition.fingerprint, datamodule.partition.corrected
        if record["data_fingerprint"] != datamodule.faces.fingerprint:
            log.warning(
                "resumed on other faces (%s, now %s), so not what one uninterrupted run gives",
                *(record["data"], datamodule.faces.source),
            )
        elif record.get("corrections") != (corrected and corrected.digest):
            log.warning(
                "resumed with other corrections (data.corrections=%s), so not what one uninterrupted run gives",
                datamodule.corrections,
            )
        elif record.get("partition", partition) != partition:  # checkpoints of 0.1.0 have no such entry
            log.warning(
                "resumed on another partition of the same faces: some faces that were trained on may validate now. "
                "Protocols deal faces by their twins, and another kind of processor may find other twins. To keep the "
                "partition, bring audit-*.npz from that machine's %s",
                datamodule.cache_dir,
            )
