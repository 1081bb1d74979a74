"""Interruption: a run ends between two steps at a signal of a person or of Slurm, with a checkpoint."""

import logging
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from fer_lightning.callbacks.continuation import announce
from fer_lightning.kinds import Location
from fer_lightning.loggers import PatientWandbLogger
from fer_lightning.signals import Interrupted, Listener

log = logging.getLogger(__name__)


class Interruption(Callback):
    """Write a checkpoint at SIGTERM, Ctrl-C or SIGHUP and end the run with an Interrupted.

    During training and testing a signal is only remembered. The run ends where its state is complete: before the next
    training batch, or before the next batch of a validation, which a resumed run starts again. Outside of training and
    testing a signal ends the run at once. A second Ctrl-C always does.

    Slurm sends such signals too, before the time of a job ends: SIGTERM at preemption, SIGUSR2 for submitit, and
    SIGUSR1, at which Lightning alone would save in the middle of a step. The job then returns to the queue.

    Args:
        output_dir: The run's folder.
    """

    def __init__(self, output_dir: Location) -> None:
        self.folder = Path(output_dir)
        self.listener = Listener()
        self.submitit = signal.getsignal(signal.SIGUSR2)  # submitit's handler requeues its job and exits

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Remember signals from here on."""
        self.listener.waits = True
        self.listener.listen(signal.SIGUSR1, signal.SIGUSR2)  # after training Lightning restores its own handlers

    on_test_start = on_train_start

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """End here after a signal, unless a validation is due: a checkpoint cannot express whether it was done."""
        if batch_idx % trainer.val_check_batch and batch_idx % trainer.accumulate_grad_batches == 0:
            self.on_validation_batch_start(trainer)

    def on_validation_batch_start(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """End here after a signal to any of the processes."""
        self._stop(trainer, save=trainer.state.fn == TrainerFn.FITTING and not trainer.fast_dev_run)

    on_test_batch_start = on_validation_batch_start

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """End here after a signal. From here on a signal ends the run at once, since there is nothing to save."""
        self.listener.waits = False
        self._stop(trainer, save=False)

    on_test_epoch_end = on_train_end  # the files and figures of a test take longer than its batches

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Kill the processes that Lightning started, since they would wait for this one. Close an interrupted run."""
        if trainer.strategy.launcher is not None:
            children = trainer.strategy.launcher.procs
            while children:  # remove it first: Lightning's observer kills this process when a child in the list ends
                children.pop().kill()
        received = self.listener.received
        if received is not None and "DataLoader worker" in str(exception):  # the signal ended the worker too
            exception = Interrupted(received)
            self._close(trainer, exception)
            raise exception
        if isinstance(exception, Interrupted):
            self._close(trainer, exception)

    def _stop(self, trainer: Any, save: bool) -> None:
        """End the run if one of its processes has received a signal."""
        if trainer.strategy.reduce_boolean_decision(self.listener.received is not None, all=False):
            if save:
                trainer.save_checkpoint(self.folder / "checkpoints" / "last.ckpt", weights_only=False)
            if not trainer.is_global_zero:
                raise Interrupted(-128)  # exit code 0, else the launcher would kill the main process
            raise Interrupted(self.listener.received or signal.SIGTERM)

    def _close(self, trainer: Any, interruption: Interrupted) -> None:
        """Announce how to resume, close W&B's run, and requeue the job in Slurm."""
        if not trainer.is_global_zero:
            return
        announce(interruption, self.folder, trainer.global_step or None)
        for logger in trainer.loggers:
            if isinstance(logger, PatientWandbLogger):
                logger.interrupted(128 + interruption.signum)
        if interruption.signum == signal.SIGUSR2 and callable(self.submitit):
            self.submitit(interruption.signum, None)
        if interruption.signum == signal.SIGTERM:
            requeue_if_preempted()


def requeue_if_preempted() -> None:
    """Requeue the current job in Slurm if Slurm preempts it, but not after scancel.

    Slurm itself requeues a job that it kills at once. If the partition has a grace time (GraceTime), Slurm only sends
    SIGTERM, and a job that then ends counts as failed (tried with Slurm 22.05).
    """
    if "SLURM_JOB_ID" not in os.environ or shutil.which("scontrol") is None:
        return
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:  # the first job's id would mean the whole array
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    show = subprocess.run(["scontrol", "show", "job", job], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    if "JobState=RUNNING" in show.stdout and re.search(r"PreemptTime=\d", show.stdout):
        log.warning("preempted: back into Slurm's queue as job %s", job)
        subprocess.run(["scontrol", "requeue", job], timeout=60, check=False)  # prints its own errors
