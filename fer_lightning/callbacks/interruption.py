"""Runs that end between two steps at a signal, of a person's or of Slurm's, and say how to go on."""

import logging
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from fer_lightning.errors import Interrupted
from fer_lightning.loggers import PatientWandbLogger
from fer_lightning.report.table import tabulate
from fer_lightning.runs.command import WHOLE, command, is_sweep
from fer_lightning.runs.record import Status, read_record, write_record

log = logging.getLogger(__name__)


class Interruption(Callback):
    """Write a checkpoint at SIGTERM or Ctrl-C and end the run with an Interrupted.

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
        self.submitit = signal.getsignal(signal.SIGUSR2)  # puts a job of submitit's back into the queue and exits

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Listen for signals."""
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(signum, self._note)

    on_test_start = on_train_start  # Lightning has let go of them after training

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Stop here at a signal; not where validation is due too: a checkpoint would not tell whether it was done."""
        if batch_idx % trainer.val_check_batch and batch_idx % trainer.accumulate_grad_batches == 0:
            self.on_validation_batch_start(trainer)

    def on_validation_batch_start(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """Stop here at a signal to any of the processes."""
        if trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            self._stop(trainer)

    on_test_batch_start = on_validation_batch_start

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End the processes that Lightning has started: they would wait for this one."""
        if trainer.strategy.launcher is not None:
            children = trainer.strategy.launcher.procs
            while children:  # emptied first: an observer of Lightning's kills this process when one of them ends
                children.pop().kill()
        if self.received is not None and "DataLoader worker" in str(exception):  # the signal ended that process too
            self._stop(trainer, save=False)

    def _note(self, signum: int, frame: object) -> None:
        if self.received == signal.SIGINT == signum:
            os._exit(128 + signum)
        self.received = self.received or signum

    def _stop(self, trainer: Any, save: bool = True) -> None:
        """Write a checkpoint of a training, say how to go on from the newest one, and end the run."""
        last = self.folder / "checkpoints" / "last.ckpt"
        if save and trainer.state.fn == TrainerFn.FITTING and not trainer.fast_dev_run:
            trainer.save_checkpoint(last, weights_only=False)
        if not trainer.is_global_zero:
            raise Interrupted(-128)  # exits with 0, else the launcher would kill the main process at its work
        received = signal.Signals(self.received or signal.SIGTERM)
        error = Interrupted(received)
        if last.is_file():
            record = replace(read_record(self.folder), status=Status.INTERRUPTED, error=received.name)
            write_record(self.folder, record)
            if is_sweep(self.folder.parent):
                tabulate(self.folder.parent, str(record.objective))
            log.warning("%s at step %d", received.name, trainer.global_step)
            log.warning("to go on: %s", command(self.folder), extra=WHOLE)
        else:
            log.warning("%s; nothing was saved that could go on", received.name)
        for logger in trainer.loggers:
            if isinstance(logger, PatientWandbLogger):
                logger.interrupted(error.code)
        if received == signal.SIGUSR2 and callable(self.submitit):
            self.submitit(received, None)
        if received == signal.SIGTERM:
            requeue_if_preempted()
        raise error


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
