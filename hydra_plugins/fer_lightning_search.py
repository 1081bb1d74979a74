"""A search for hyperparameters by Optuna 4, as a sweeper of Hydra.

Hydra 1.3 takes a sweeper only from the package ``hydra_plugins``, also when it is registered. Its own plugin for Optuna
needs Optuna below 3.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, read_write

from fer_lightning.config.instantiation import instantiate
from fer_lightning.errors import UserError
from fer_lightning.launch.sweeps import End
from fer_lightning.words import percent

log = logging.getLogger(__name__)

JOB, PRUNED = "job", "pruned"  # attributes of a trial: the number of its job; whether its run was stopped as hopeless


@dataclass
class Search(Sweeper):
    """Asks a study for trials, runs each as a job, and tells the study the result.

    A failed job makes its trial a failed one, and the search goes on. ``callbacks.pruning`` finds its trial by the
    number of the job and notes there that it stopped the run.
    """

    study_name: str
    storage: str  # address of the study's database
    direction: str  # "maximize" or "minimize": of the jobs' results
    sampler: DictConfig  # configuration of a sampler of Optuna
    n_trials: int
    n_jobs: int  # trials to ask for at a time; more than one needs a launcher that runs several jobs at once
    params: Any  # option -> its range in Hydra's grammar of sweeps; the command line adds to it

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take the launcher of the jobs."""
        self.objective, self.config, self.hydra_context = config.objective, config, hydra_context
        self.launcher: Any = Plugins.instance().instantiate_launcher(
            config=config, hydra_context=hydra_context, task_function=task_function
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials."""
        with explaining(self.storage):
            self._sweep(arguments)

    def _sweep(self, arguments: list[str]) -> None:
        import optuna  # here, because it takes a second, and every command imports the plugins

        optuna.logging.set_verbosity(optuna.logging.WARNING)  # without its line for each trial
        texts = [*(f"{option}={value}" for option, value in (self.params or {}).items()), *arguments]
        overrides = OverridesParser.create().parse_overrides(texts)
        last = {override.get_key_element(): override for override in overrides}
        space = {option: distribution(override) for option, override in last.items() if override.is_sweep_override()}
        fixed = [str(override.input_line) for override in last.values() if not override.is_sweep_override()]
        study = optuna.create_study(
            storage=self.storage,
            sampler=instantiate(self.sampler),
            study_name=self.study_name,
            direction=self.direction,
            load_if_exists=True,
        )
        for start in range(0, self.n_trials, self.n_jobs):
            numbers = range(start, min(start + self.n_jobs, self.n_trials))
            trials = [study.ask(space) for _ in numbers]
            for trial, number in zip(trials, numbers, strict=True):
                trial.set_user_attr(JOB, number)
            jobs = [[*fixed, *(f"{option}={value}" for option, value in trial.params.items())] for trial in trials]
            self.validate_batch_is_legal(jobs)
            results = self.launcher.launch(jobs, initial_job_idx=start)
            for trial, result in zip(trials, results, strict=True):
                study.tell(trial.number, **outcome(study.trials[trial.number].user_attrs, result))
        if any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials):
            best = study.best_trial
            options = " ".join(f"{option}={value}" for option, value in best.params.items())
            log.info("best of the search: %s %s, with %s", self.objective, percent(float(best.values[0])), options)


@contextmanager
def explaining(storage: str) -> Iterator[None]:
    """Raise a UserError in place of an error of a study's database, whose address is ``storage``."""
    try:
        yield
    except Exception as error:
        if not (
            type(error).__module__.startswith(("sqlalchemy.", "alembic."))
            or type(error).__name__ == "StorageInternalError"
            or "table schema" in str(error)  # of another version of Optuna
        ):
            raise
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason, file = " ".join(str(cause).split()).partition(". ")[0], Path(storage.removeprefix("sqlite:///"))
        if "locked" in reason:
            raise UserError(
                f"the study {file} is locked by another process: wait until that has ended, and start again"
            ) from error
        raise UserError(
            f"the study {file} cannot be read ({reason:.150}): move it away, and sweep.resume={file.parent} begins the "
            "search again with what its jobs have completed"
        ) from error


def outcome(attributes: dict[str, Any], result: JobReturn) -> dict[str, Any]:
    """Return the arguments of ``Study.tell`` for a trial: its state, and its value if it ran to the end.

    A pruned trial has the values that its run has reported. One that was passed over counts as failed, so that a
    resumed search asks for it again.
    """
    from optuna.trial import TrialState

    if result.status != JobStatus.COMPLETED or result.return_value == End.PASSED_OVER:
        return {"state": TrialState.FAIL}
    if attributes.get(PRUNED):
        return {"state": TrialState.PRUNED}
    return {"state": TrialState.COMPLETE, "values": float(result.return_value)}


def distribution(override: Override) -> Any:
    """Return the distribution of a swept option.

    ``interval(a, b)`` gives floats and ``int(interval(a, b))`` whole numbers; ``tag(log, ...)`` draws the logarithm.
    ``range(a, b)`` excludes its end, as everywhere in Hydra. ``choice(...)`` and ``a,b`` give categories.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        kind: Any = IntDistribution if whole else FloatDistribution
        return kind(value.start, value.end, log="log" in value.tags)
    choices: list[Any] = list(override.sweep_iterator(transformer=Transformer.encode))
    if isinstance(value, RangeSweep) and not value.shuffle and all(isinstance(choice, int) for choice in choices):
        return IntDistribution(choices[0], choices[-1], step=int(value.step))
    return CategoricalDistribution(choices)


def continue_study(config: DictConfig) -> None:
    """Queue the unfinished and failed trials of a resumed search again, and count its finished ones."""
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweeper = config.hydra.sweeper
    study = optuna.create_study(
        study_name=sweeper.study_name, storage=sweeper.storage, direction=sweeper.direction, load_if_exists=True
    )
    ended = [trial.params for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    queued: list[dict] = []
    for trial in study.trials:
        if trial.state == TrialState.RUNNING:  # its process has ended, because this one could claim the folder
            study.tell(trial.number, state=TrialState.FAIL)
        if trial.state in (TrialState.RUNNING, TrialState.FAIL) and trial.params not in [*ended, *queued]:
            queued.append(trial.params)
            study.enqueue_trial(trial.params)
    with read_write(config.hydra):
        sweeper.n_trials = max(0, sweeper.n_trials - len(ended))
        sweeper.sampler.seed += len(study.trials)  # another seed, or it would draw its first trials again
