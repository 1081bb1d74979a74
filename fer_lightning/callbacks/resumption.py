"""Resumption: the state that Lightning leaves out of a checkpoint, so that a resumed run ends as one never stopped."""

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from fer_lightning.errors import UserError
from fer_lightning.loggers import ContinuedCSVLogger
from fer_lightning.runs.checkpoints import RESUMPTION, not_resumable

log = logging.getLogger(__name__)


class Resumption(Callback):
    """Save and restore the random streams, the position in the epoch, and what depends on the run's folder."""

    def __init__(self) -> None:
        self.loaded: dict | None = None
        self.loading = False  # until training starts, Lightning loads parts of the checkpoint

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the random streams, and correct the loops' progress to the true position of the run."""
        loop = checkpoint["loops"]["fit_loop"]
        at_end = ends_epoch(trainer, loop)
        remove_fetched(trainer, loop)
        monitored = [trainer.callback_metrics.get(config.monitor) for config in trainer.lr_scheduler_configs]
        gathered = [streams()] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(gathered, gathered[0])
        checkpoint[RESUMPTION] = {"streams": gathered, "monitored": monitored[0] if at_end else None}
        for logger in trainer.loggers:
            logger.save()  # if the process is killed, no row before the checkpoint is lost

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Restore the state, and adapt the paths to the run's present folder.

        Refuse a checkpoint that leaves no epoch to train and whose best checkpoint is missing.
        """
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self.loading = True
        self.loaded = checkpoint[RESUMPTION]
        done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and (state := checkpoint["callbacks"].get(callback.state_key)):
                relocate(state, Path(str(callback.dirpath)))
                best = state["best_model_path"]
                if best and not Path(best).is_file():  # this checkpoint was moved away from its run
                    if callback.monitor and done == trainer.max_epochs:
                        raise not_resumable(trainer.ckpt_path, f"nothing is left to train, and {best} is not there")
                    if callback.monitor:
                        log.warning("%s is not there: the best of the epochs to come will be", best)
                    del checkpoint["callbacks"][callback.state_key]
        for logger in trainer.loggers:
            if isinstance(logger, ContinuedCSVLogger):
                logger.keep_until(checkpoint["global_step"])

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Refuse a checkpoint that torch or Lightning could not load; their error does not name the file."""
        if self.loading and isinstance(exception, Exception) and not isinstance(exception, UserError | OSError):
            reason = f"{type(exception).__name__}: {exception}"
            raise not_resumable(trainer.ckpt_path, f"{' '.join(reason.split()):.200}") from exception

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Step ReduceLROnPlateau where the checkpoint was written before its step."""
        self.loading = False
        if self.loaded and self.loaded["monitored"] is not None:
            for config in trainer.lr_scheduler_configs:
                if config.reduce_on_plateau:
                    config.scheduler.step(self.loaded["monitored"])

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Restore the random streams before the first batch."""
        if self.loaded is not None:
            if trainer.global_rank < len(self.loaded["streams"]):  # an additional process keeps its new streams
                restore_streams(self.loaded["streams"][trainer.global_rank])
            self.loaded = None

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Make ReduceLROnPlateau move at the end of a resumed epoch, which Lightning would skip."""
        trainer.fit_loop.restarting = False


def ends_epoch(trainer: Any, loop: dict[str, Any]) -> bool:
    """Return whether a checkpoint is written at the end of an epoch, before ReduceLROnPlateau moves.

    If ``trainer.max_steps`` ends the run in the middle of an epoch, count that epoch as unfinished: a longer run
    continues there.
    """
    epochs = loop["epoch_progress"]["current"]
    if trainer.validating or epochs["processed"] != epochs["ready"]:
        return False
    if loop["epoch_loop.batch_progress"]["current"]["completed"] == trainer.num_training_batches:
        return True
    for count in ("total", "current"):
        loop["epoch_progress"][count]["processed"] -= 1
    return False


def remove_fetched(trainer: Any, loop: dict[str, Any]) -> None:
    """Remove a batch from the progress that was fetched but not started. In a validation, remove all of its batches."""
    progress = loop["epoch_loop.val_loop.batch_progress" if trainer.validating else "epoch_loop.batch_progress"]
    if progress["current"]["ready"] <= progress["current"]["started"]:
        return
    if trainer.validating:  # a resumed run starts this validation again
        zero = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
        progress |= {"total": zero | {"ready": 1, "started": 1}, "current": zero}
    else:
        progress["is_last_batch"] = False
        for count in ("total", "current"):
            progress[count]["ready"] -= 1


def streams() -> dict[str, Any]:
    """Return the state of every random stream, in types that load with ``weights_only=True``."""
    numpy: Any = np.random.get_state()  # noqa: NPY002  libraries may use the global stream
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
        "numpy": (numpy[0], numpy[1].tolist(), *numpy[2:]),
        "python": random.getstate(),
    }


def restore_streams(state: dict[str, Any]) -> None:
    """Set the state of every random stream."""
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    random.setstate(state["python"])


def relocate(state: dict[str, Any], folder: Path) -> None:
    """Move the paths in a ModelCheckpoint's state to a folder."""
    state["dirpath"] = str(folder)
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[key] = str(folder / Path(state[key]).name) if state[key] else ""
    state["best_k_models"] = {str(folder / Path(path).name): score for path, score in state["best_k_models"].items()}
