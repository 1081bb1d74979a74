"""Runs that can be stopped between two steps and go on as if they had not been."""

import json
import logging
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.trainer.states import TrainerFn

from fer_lightning.callbacks.slurm import requeue_if_preempted
from fer_lightning.errors import Interrupted
from fer_lightning.loggers import ContinuedCSVLogger, PatientWandbLogger
from fer_lightning.report.table import tabulate
from fer_lightning.runs.command import command, is_sweep
from fer_lightning.runs.files import write_json

log = logging.getLogger(__name__)

KEY = "resumption"


class Resumption(Callback):
    """Save what Lightning leaves out of a checkpoint; at SIGTERM or Ctrl-C write one and end the run.

    A signal is only noted. The run ends at the next place where its state is whole: before a training batch, or before
    a batch of validation, which then is done anew. A second Ctrl-C ends the process at once.

    The signals are also those that tell a job of Slurm that its time ends: SIGTERM at preemption, SIGUSR2 as submitit
    asks for it, SIGUSR1, at which Lightning would save in the middle of a step. The job then goes back into the queue.

    Args:
        output_dir: The run's folder.
    """

    def __init__(self, output_dir: str) -> None:
        self.folder = Path(output_dir)
        self.received: int | None = None
        self.loaded: dict | None = None
        self.stopping = False
        self.submitit: Callable | None = None  # its answer to SIGUSR2

    # Signals

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Listen for signals; finish the epoch of a checkpoint that was written at its end."""
        self._listen()
        if self.loaded and self.loaded["monitored"] is not None:  # Lightning writes it before this step
            for config in trainer.lr_scheduler_configs:
                if config.reduce_on_plateau:
                    config.scheduler.step(self.loaded["monitored"])
            self.loaded["monitored"] = None

    def on_test_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Listen for signals; Lightning has let go of them after training."""
        self._listen()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: object, idx: int
    ) -> None:
        """Give a resumed run its streams of random numbers; stop here at a signal."""
        if self.loaded is not None:
            if trainer.global_rank < len(self.loaded["streams"]):  # more processes than before: theirs are new
                restore_streams(self.loaded["streams"][trainer.global_rank])
            self.loaded = None
        # Where validation is due too, Lightning could not tell from the checkpoint whether it was done.
        if self._signalled(trainer) and idx % trainer.val_check_batch and idx % trainer.accumulate_grad_batches == 0:
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Let ReduceLROnPlateau move at the end of a resumed epoch; Lightning would leave it out."""
        trainer.fit_loop.restarting = False

    def on_validation_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop here at a signal."""
        if self._signalled(trainer):
            self._stop(trainer)

    def on_test_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop here at a signal; the checkpoints are those of the training."""
        if self._signalled(trainer):
            self._stop(trainer)

    # Checkpoints

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict
    ) -> None:
        """Add the streams of random numbers, and make the loops' progress say where the run stands."""
        epochs = trainer.fit_loop.epoch_progress.current
        at_end = not trainer.validating and epochs.processed == epochs.ready  # of an epoch, ReduceLROnPlateau not moved
        monitored = [trainer.callback_metrics.get(config.monitor) for config in trainer.lr_scheduler_configs]
        checkpoint[KEY] = {"streams": all_streams(trainer), "monitored": monitored[0] if at_end else None}
        if self.stopping:
            loop = checkpoint["loops"]["fit_loop"]
            if trainer.validating:  # to be done anew from its first batch
                none = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
                started = none | {"ready": 1, "started": 1}
                loop["epoch_loop.val_loop.batch_progress"] |= {"total": started, "current": none}
            else:  # the batch at hand was fetched but not trained on
                batches = loop["epoch_loop.batch_progress"]
                batches["is_last_batch"] = False
                for count in ("total", "current"):
                    batches[count]["ready"] -= 1
        for logger in trainer.loggers:
            logger.save()  # no row of a step before the checkpoint is lost with the process

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict
    ) -> None:
        """Take all of it back, in whatever folder the run is now."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self.loaded = checkpoint[KEY]
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and (state := checkpoint["callbacks"].get(callback.state_key)):
                _move(state, Path(callback.dirpath))
        for logger in trainer.loggers:
            if isinstance(logger, ContinuedCSVLogger):
                logger.experiment.keep_until(checkpoint["global_step"])

    # Other processes

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """End the processes that Lightning has started: they would wait for this one.

        Where a process that prepares batches ended at a signal, before it could be told not to, end as at that signal.
        """
        launcher = trainer.strategy.launcher
        if isinstance(launcher, _SubprocessScriptLauncher):
            children, launcher.procs[:] = launcher.procs[:], []  # its observer kills this process when one of them ends
            for child in children:
                child.kill()
                child.wait()
        if self.received is not None and "DataLoader worker" in str(exception):
            self._end(trainer)

    def _listen(self) -> None:
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
            earlier = signal.signal(signum, self._note)
            if signum == signal.SIGUSR2 and callable(earlier) and earlier != self._note:
                self.submitit = earlier

    def _note(self, signum: int, frame: object) -> None:
        if self.received == signal.SIGINT == signum:
            os._exit(128 + signum)
        self.received = self.received or signum

    def _signalled(self, trainer: lightning.Trainer) -> bool:
        if trainer.world_size == 1:
            return self.received is not None
        return trainer.strategy.reduce_boolean_decision(self.received is not None, all=False)

    def _stop(self, trainer: lightning.Trainer) -> None:
        """Write a checkpoint, say how to go on, and end the run.

        Raises:
            Interrupted: Always.
        """
        if trainer.state.fn == TrainerFn.FITTING and not trainer.fast_dev_run:
            self.stopping = True
            trainer.save_checkpoint(self.folder / "checkpoints" / "last.ckpt")
        self._end(trainer)

    def _end(self, trainer: lightning.Trainer) -> None:
        """Say how to go on from the newest checkpoint, and end the run.

        Raises:
            Interrupted: Always.
        """
        error = Interrupted(self.received or signal.SIGTERM)
        if not trainer.is_global_zero:
            raise Interrupted(-128)  # exits with 0, else the launcher would kill the main process at its work
        name = signal.Signals(self.received or signal.SIGTERM).name
        if (self.folder / "checkpoints" / "last.ckpt").is_file():
            record = self.folder / "metrics.json"
            known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
            write_json(record, {**known, "status": "interrupted", "error": name})
            if is_sweep(self.folder.parent):
                tabulate(self.folder.parent, known["objective"])
            log.warning("%s at step %d; to go on: %s", name, trainer.global_step, command(self.folder))
        else:
            log.warning("%s; nothing was saved that could go on", name)
        for logger in trainer.loggers:
            if isinstance(logger, PatientWandbLogger):
                logger.interrupted(error.code)
        if self.received == signal.SIGUSR2 and self.submitit:
            self.submitit(self.received, None)  # puts the job back into Slurm's queue and exits
        if self.received == signal.SIGTERM:
            requeue_if_preempted()
        raise error


def all_streams(trainer: lightning.Trainer) -> list[dict]:
    """Return the streams of every process, the main one's first."""
    if trainer.world_size == 1:
        return [streams()]
    gathered = [{}] * trainer.world_size
    torch.distributed.all_gather_object(gathered, streams())
    return gathered


def streams() -> dict:
    """Return the state of every stream of random numbers, in types that load with ``weights_only=True``."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  the stream that others may use
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), *rest],
        "python": random.getstate(),
    }


def restore_streams(state: dict) -> None:
    """Give every stream of random numbers the state it had."""
    name, keys, *rest = state["numpy"]
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(state["python"])


def _move(state: dict, folder: Path) -> None:
    """Let the paths of a ModelCheckpoint's state point into a folder."""
    state["dirpath"] = str(folder)
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[key] = str(folder / Path(state[key]).name) if state[key] else ""
    state["best_k_models"] = {str(folder / Path(path).name): score for path, score in state["best_k_models"].items()}
