"""W&B that never ends a training."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger

log = logging.getLogger(__name__)


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

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._wandb_init.pop("anonymous", None)  # Lightning passes it unasked, and W&B warns of it in every run

    log_hyperparams = patient(WandbLogger.log_hyperparams)
    log_metrics = patient(WandbLogger.log_metrics)
    finalize = patient(WandbLogger.finalize)

    @patient
    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Leave ``last.ckpt`` out of what ``log_model`` uploads: it would take ``best`` from the chosen one."""
        if checkpoint_callback.monitor:
            super().after_save_checkpoint(checkpoint_callback)

    @patient
    def interrupted(self, code: int) -> None:
        """End the run as one that goes on later. A signal of Slurm's reaches W&B's own process too, and ends it."""
        self.experiment.mark_preempting()
        self.experiment.finish(exit_code=code)
