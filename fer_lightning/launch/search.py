"""A search for hyperparameters that goes on from the study in its sweep's folder."""

import warnings
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write


class Continue(Callback):
    """Let a resumed search ask for the trials that are still to run: half-done and failed ones first, then new ones."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Put the study in order before the sweeper opens it."""
        if config.sweep.resume is None:
            return
        import optuna
        from optuna.trial import TrialState

        sweeper = config.hydra.sweeper
        study = optuna.create_study(
            study_name=sweeper.study_name, storage=sweeper.storage, direction=sweeper.direction, load_if_exists=True
        )
        completed = [trial.params for trial in study.trials if trial.state == TrialState.COMPLETE]
        again = []
        for trial in study.trials:
            if trial.state == TrialState.RUNNING:  # its process has ended, else the sweep's folder were not ours
                study.tell(trial.number, state=TrialState.FAIL)
            if trial.state in (TrialState.RUNNING, TrialState.FAIL) and trial.params not in [*completed, *again]:
                again.append(trial.params)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # as it is up to Optuna 4
                    study.enqueue_trial(trial.params)
        with read_write(config.hydra):
            sweeper.n_trials = max(0, sweeper.n_trials - len(completed))
            sweeper.sampler.seed += len(study.trials)  # else it would draw what it drew first again
