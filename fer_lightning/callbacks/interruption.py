"""Runs that end between two steps at a signal, of a person's or of Slurm's, and say how to go on."""

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

    While batches are trained on or tested a signal is only noted. The run ends at the next place where its state is
    whole: before a training batch, or before a batch of validation, which then is done anew. Elsewhere it ends at once,
    and so it does everywhere at a second Ctrl-C.

    The signals are also those that tell a job of Slurm that its time ends: SIGTERM at preemption, SIGUSR2 as submitit
    asks for it, SIGUSR1, at which Lightning would save in the middle of a step. The job then goes back into the queue.

    Args:
        output_dir: The run's folder.
    """

    def __init__(self, output_dir: Location) -> None:
        self.folder = Path(output_dir)
        self.listener = Listener()
        self.submitit = signal.getsignal(signal.SIGUSR2)  # puts a job of submitit's back into the queue and exits

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Note signals from here on."""
        self.listener.waits = True
        self.listener.listen(signal.SIGUSR1, signal.SIGUSR2)  # Lightning lets go of them after training

    on_test_start = on_train_start

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Stop here at a signal; not where validation is due too: a checkpoint would not tell whether it was done."""
        if batch_idx % trainer.val_check_batch and batch_idx % trainer.accumulate_grad_batches == 0:
            self.on_validation_batch_start(trainer)

    def on_validation_batch_start(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """Stop here at a signal to any of the processes."""
        self._stop(trainer, save=trainer.state.fn == TrainerFn.FITTING and not trainer.fast_dev_run)

    on_test_batch_start = on_validation_batch_start

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop here at a signal after the last batch, and from here on at once: nothing is left to be saved."""
        self.listener.waits = False
        self._stop(trainer, save=False)

    on_test_epoch_end = on_train_end  # what is written and drawn of a test takes longer than its batches

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End the processes that Lightning has started, which would wait for this one; close what a signal ended."""
        if trainer.strategy.launcher is not None:
            children = trainer.strategy.launcher.procs
            while children:  # emptied first: an observer of Lightning's kills this process when one of them ends
                children.pop().kill()
        received = self.listener.received
        if received is not None and "DataLoader worker" in str(exception):  # the signal ended that process too
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
                raise Interrupted(-128)  # exits with 0, else the launcher would kill the main process at its work
            raise Interrupted(self.listener.received or signal.SIGTERM)

    def _close(self, trainer: Any, interruption: Interrupted) -> None:
        """Say how to go on, and end what W&B and Slurm know of the run."""
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
    """Put the job at hand back into Slurm's queue if Slurm is preempting it, but not after scancel.

    Slurm does so by itself where it kills at once. Where its partition grants a grace time (GraceTime), it only sends
    SIGTERM, and takes a job that then ends for one that has failed (tried with Slurm 22.05).
    """
    if "SLURM_JOB_ID" not in os.environ or shutil.which("scontrol") is None:
        return
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:  # the id of its first job would stand for the whole array
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    shown = subprocess.run(["scontrol", "show", "job", job], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    if "JobState=RUNNING" in shown.stdout and re.search(r"PreemptTime=\d", shown.stdout):
        log.warning("preempted: back into Slurm's queue as job %s", job)
        subprocess.run(["scontrol", "requeue", job], timeout=60, check=False)  # says itself what fails
