"""Trials of a search that are stopped below the median."""

from unittest.mock import Mock

import pytest
import torch
from hydra.core.utils import JobReturn, JobStatus

from fer_lightning.callbacks.pruning import Pruning
from hydra_plugins.fer_lightning_search import JOB, outcome


@pytest.fixture
def study(tmp_path):
    """A study of trials that scored 0.5, 0.6 and 0.7 after two epochs, and of one that runs as job 3."""
    optuna = pytest.importorskip("optuna", reason="needs the extra optuna")
    study = optuna.create_study(study_name="s", storage=f"sqlite:///{tmp_path}/study.db", direction="maximize")
    for score in (0.5, 0.6, 0.7):
        trial = study.ask()
        for epoch in (0, 1):
            trial.report(score, epoch)
        study.tell(trial, score)
    study.ask().set_user_attr(JOB, 3)
    return study


@pytest.mark.parametrize(("job", "score", "state"), [(3, 0.55, "PRUNED"), (3, 0.65, "COMPLETE"), (4, 0.1, "COMPLETE")])
def test_a_trial_below_the_median_is_stopped_and_called_pruned(study, tmp_path, job, score, state):
    from optuna.pruners import MedianPruner

    callback = Pruning("s", f"sqlite:///{tmp_path}/study.db", job, "val/accuracy", MedianPruner(3, 1))
    trainer = Mock(is_global_zero=True, sanity_checking=False, max_epochs=9, should_stop=False)
    trainer.strategy.reduce_boolean_decision = lambda decision, all: decision
    trainer.callback_metrics = {"val/accuracy": torch.tensor(score)}
    callback.on_fit_start(trainer, None)
    for epoch in (0, 1):  # the first warms up
        assert not trainer.should_stop
        trainer.current_epoch = epoch
        callback.on_validation_end(trainer, None)
    assert trainer.should_stop == (state == "PRUNED")
    returned = JobReturn(_return_value=score, status=JobStatus.COMPLETED)
    study.tell(3, **outcome(study.trials[3].user_attrs, returned))
    assert study.trials[3].state.name == state
    assert study.trials[3].value == pytest.approx(score)
