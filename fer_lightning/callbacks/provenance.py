"""Provenance: the faces, options and code that made a checkpoint, written into it."""

import hashlib
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from fer_lightning import __version__
from fer_lightning.config import user_folder
from fer_lightning.data.faces import Faces
from fer_lightning.kinds import Texts
from fer_lightning.runs.checkpoints import KEY
from fer_lightning.runs.record import code_fingerprint

log = logging.getLogger(__name__)


class Provenance(Callback):
    """Write a record into each checkpoint: plain strings, numbers and a tensor, which loading cannot run.

    Args:
        overrides: The command line's overrides; composing them again gives the run's configuration.
    """

    def __init__(self, overrides: Texts) -> None:
        self.overrides = [str(override) for override in overrides]
        self.faces: torch.Tensor | None = None

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the record."""
        faces, partition = trainer.datamodule.faces, trainer.datamodule.partition
        gallery = pl_module.classifier.known()
        rows = pl_module.draw.gallery if pl_module.draw else partition.gallery
        names = partition.faces.names[rows].tolist()
        if gallery is None or len(gallery[1]) != len(names):  # the classifier was not yet fitted on these faces
            names = []
        if self.faces is None:
            self.faces = torch.from_numpy(digests(faces))
        checkpoint[KEY] = {
            "version": __version__,
            "code": code_fingerprint(),
            "overrides": self.overrides,
            "classes": list(faces.classes),
            "image_size": faces.images.shape[1],
            "data": faces.source,
            "data_fingerprint": faces.fingerprint,
            "faces": self.faces,
            "partition": partition.fingerprint,
            "gallery": "\n".join(names),  # names of the classifier's faces, row by row; no name has a line break
        }
        if trainer.datamodule.past:
            checkpoint[KEY]["past"] = trainer.datamodule.past
        if partition.corrected:
            checkpoint[KEY]["corrections"] = partition.corrected.digest
        if folder := user_folder():
            checkpoint[KEY]["config_dir"] = str(folder)
        if pl_module.draw:
            checkpoint[KEY]["draw"] = str(pl_module.draw)

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Warn if a resumed run has other faces, or another partition of them."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        datamodule, record = trainer.datamodule, checkpoint[KEY]
        partition, corrected = datamodule.partition.fingerprint, datamodule.partition.corrected
        if record["data_fingerprint"] != datamodule.faces.fingerprint:
            source, now = record["data"], datamodule.faces.source
            log.warning(
                "resumed on other faces (%s): %s; so this is not what one uninterrupted run gives",
                source if source == now else f"{source}, now {now}",
                changes(record["faces"].numpy(), record["gallery"].splitlines(), datamodule.faces),
            )
        elif record.get("corrections") != (corrected and corrected.digest):
            log.warning(
                "resumed with other corrections (data.corrections=%s), so not what one uninterrupted run gives",
                datamodule.corrections,
            )
        elif record["partition"] != partition:
            log.warning(
                "resumed on another partition of the same faces: some faces that were trained on may validate now. "
                "Protocols deal faces by their twins, and another kind of processor may find other twins. To keep the "
                "partition, bring twins-*.npz from that machine's %s",
                datamodule.cache_dir,
            )


def digests(faces: Faces) -> np.ndarray:
    """Return (N, 2) int64: a hash of each face's name, and one of its picture, label and split."""
    digest = np.empty((len(faces), 2), np.int64)
    for row, (name, image, label, split) in enumerate(
        zip(faces.names, faces.images, faces.labels, faces.splits, strict=True)
    ):
        content = f"{split} {faces.classes[label]} ".encode() + image.tobytes()
        digest[row] = [_hash(str(name).encode()), _hash(content)]
    return digest


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), signed=True)


def changes(earlier: np.ndarray, names: Sequence[str], faces: Faces) -> str:
    """Return how many faces differ from those of a checkpoint, with the names of the first ones.

    Args:
        earlier: (N, 2) int64, the ``digests`` of the earlier faces.
        names: Names of the earlier faces, as far as they are known.
        faces: The faces that the run resumes with.
    """
    before, now = dict(earlier.tolist()), dict(digests(faces).tolist())
    by_hash = dict(zip(now, faces.names.tolist(), strict=True))
    missing = set(names) - set(by_hash.values())
    groups = {
        "changed": ([name for key, name in by_hash.items() if before.get(key, now[key]) != now[key]], 0),
        "new": ([name for key, name in by_hash.items() if key not in before], 0),
        "missing": (sorted(missing), len(before.keys() - now.keys()) - len(missing)),
    }
    lines = []
    for kind, (group, unnamed) in groups.items():
        examples, more = group[:3], len(group[3:]) + unnamed
        if more:
            examples.append(f"{more:,} more")
        if examples:
            lines.append(f"{len(group) + unnamed:,} {kind} ({'; '.join(examples)})")
    return ", ".join(lines) or "in another order"
