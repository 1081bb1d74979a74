"""W&B that never ends a training."""

import logging
import signal
from collections.abc import Callable
from functools import wraps
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger

log = logging.getLogger(__name__)

STOPS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)  # what Slurm sends to every process of a job


def patient(method: Callable) -> Callable:
    """Turn the first failure of a logger's method into one warning, and what comes after it into nothing."""

    @wraps(method)
    def call(self: "PatientWandbLogger", *args: Any, **kwargs: Any) -> Any:
        if self.failed:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # of the server, the network, the service process or the key: the remedy is the same
            self.failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            log.warning("W&B failed (%.300s): the run goes on without it, metrics.csv has every metric", reason)
            return None

    return call


class PatientWandbLogger(WandbLogger):
    """Lightning's logger; whatever fails in W&B is one warning, and the training goes on."""

    failed = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run of W&B; its own process starts with signals blocked that are the training's to deal with."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            return super().experiment
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    log_hyperparams = patient(WandbLogger.log_hyperparams)
    log_metrics = patient(WandbLogger.log_metrics)
    after_save_checkpoint = patient(WandbLogger.after_save_checkpoint)
    finalize = patient(WandbLogger.finalize)

    @patient
    def interrupted(self, code: int) -> None:
        """End the run as one that goes on later."""
        self.experiment.mark_preempting()
        self.experiment.finish(exit_code=code)
