"""What made a checkpoint, written into it."""

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
    """Write into each checkpoint what made it: plain strings, nothing that loading could call.

    Args:
        overrides: The command line's overrides; composing them again gives the run's configuration.
    """

    def __init__(self, overrides: Texts) -> None:
        self.overrides = [str(override) for override in overrides]

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the record."""
        faces, partition, known = trainer.datamodule.faces, trainer.datamodule.partition, pl_module.classifier.known()
        names = partition.faces.names[partition.gallery].tolist()
        checkpoint[KEY] = {
            "version": __version__,
            "code": code_fingerprint(),
            "overrides": self.overrides,
            "classes": list(faces.classes),
            "image_size": faces.images.shape[1],
            "data": faces.source,
            "data_fingerprint": faces.fingerprint,
            "partition": partition.fingerprint,
            # Row by row those of the classifier's faces, no line break is in them; none where it knows other faces yet.
            "gallery": "\n".join(names) if known is not None and len(known[1]) == len(names) else "",
        }

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Say so where the faces of a run that goes on are others, or stand on other sides."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        datamodule, record = trainer.datamodule, checkpoint[KEY]
        ours = datamodule.partition.fingerprint
        if record["data_fingerprint"] != datamodule.faces.fingerprint:
            log.warning(
                "resumed on other faces (%s, now %s), so not what one uninterrupted run gives",
                *(record["data"], datamodule.faces.source),
            )
        elif record.get("partition", ours) != ours:  # checkpoints of 0.1.0 do not know theirs
            log.warning(
                "resumed on another partition of the same faces: some that have trained may validate now. The search "
                "for twins finds others on another kind of processor, and each protocol deals by them: to go on with "
                "the former one, bring audit-*.npz from that machine's %s",
                datamodule.cache_dir,
            )
