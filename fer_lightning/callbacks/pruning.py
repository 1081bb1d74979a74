"""Pruning: hopeless trials of a search end early."""

import logging
from typing import Any

from lightning.pytorch.callbacks import Callback

from fer_lightning.kinds import CountOrZero, Metric, Part, Text
from hydra_plugins.fer_lightning_search import JOB, PRUNED, explaining

log = logging.getLogger(__name__)


class Pruning(Callback):
    """Report each exact validation to a study of Optuna, and end the training when its pruner decides so.

    Such a run is tested like any other, with its best checkpoint, and its trial is marked as pruned. If no running
    trial of the study has the number of this job (a job that is repeated alone), this class does nothing.

    Args:
        study_name: Name of the study.
        storage: Address of the database that keeps it.
        job: Number of the job, by which the sweeper has marked its trial (hydra_plugins/fer_lightning_search.py).
        objective: Name of the metric that the search is for.
        pruner: Pruner of Optuna's; its steps are epochs, counted from 0.
    """

    def __init__(self, study_name: Text, storage: Text, job: CountOrZero, objective: Metric, pruner: Part[Any]) -> None:
        self.study_name, self.storage, self.job = study_name, storage, job
        self.objective, self.pruner = objective, pruner
        self.trial: Any = None
        self.epoch = -1  # the latest one that was reported

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Find the trial of this job."""
        import optuna  # an extra

        if not trainer.is_global_zero:
            return
        with explaining(self.storage):
            if self.study_name not in optuna.get_all_study_names(self.storage):
                return
            study = optuna.load_study(study_name=self.study_name, storage=self.storage, pruner=self.pruner)
            running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        trials = [trial for trial in running if trial.user_attrs.get(JOB) == self.job]
        self.trial = optuna.trial.Trial(study, trials[-1]._trial_id) if trials else None

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report the first score of an epoch, and end the training if its trial is hopeless."""
        epoch, hopeless = trainer.current_epoch, False
        if trainer.sanity_checking or epoch == self.epoch:
            return
        self.epoch = epoch
        if self.trial is not None:
            with explaining(self.storage):
                self.trial.report(trainer.callback_metrics[self.objective].item(), step=epoch)
                hopeless = epoch + 1 < trainer.max_epochs and self.trial.should_prune()
        if trainer.strategy.reduce_boolean_decision(hopeless, all=False):
            trainer.should_stop = True
            if self.trial is not None:
                self.trial.set_user_attr(PRUNED, True)
                log.info("stopped after epoch %d: most trials were better by then (callbacks.pruning)", epoch + 1)
