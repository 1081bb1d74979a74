"""A search for hyperparameters by Optuna 4, as a sweeper of Hydra's.

Hydra takes sweepers from the package ``hydra_plugins`` alone. Its own plugin for Optuna holds Optuna below 3.
"""

import logging
from collections.abc import Iterator
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from fer_lightning.words import percent

log = logging.getLogger(__name__)

JOB, PRUNED = "job", "pruned"  # attributes of a trial: its job's number; that its run was stopped as hopeless


class Search(Sweeper):
    """Asks a study for trials, runs each as a job, and tells the study what it returned.

    A trial whose job failed is told as failed and ends nothing. ``callbacks.pruning`` finds its trial by the number of
    its job and notes there that it has stopped it.

    Args:
        study_name: Name of the study.
        storage: Address of the database that keeps it.
        direction: ``maximize`` or ``minimize``, of what a job returns.
        sampler: Sampler of Optuna's.
        n_trials: Number of trials.
        n_jobs: Trials that are asked for at a time; more than one needs a launcher that runs jobs side by side.
        params: Option -> what it is drawn from, in Hydra's grammar of sweeps; the command line adds to it.
    """

    def __init__(
        self,
        study_name: str,
        storage: str,
        direction: str,
        sampler: Any,
        n_trials: int,
        n_jobs: int,
        params: DictConfig | None,
    ) -> None:
        self.study_name, self.storage, self.direction, self.sampler = study_name, storage, direction, sampler
        self.n_trials, self.n_jobs = n_trials, n_jobs
        self.params: Any = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take the launcher of the jobs."""
        self.objective, self.config, self.hydra_context = config.objective, config, hydra_context
        self.launcher: Any = Plugins.instance().instantiate_launcher(
            config=config, hydra_context=hydra_context, task_function=task_function
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials."""
        import optuna  # takes a second, and every command looks at the plugins

        optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line on each trial; the jobs say more
        overrides = OverridesParser.create().parse_overrides(
            [*(f"{option}={value}" for option, value in self.params.items()), *arguments]
        )
        last = {override.get_key_element(): override for override in overrides}
        space = {option: distribution(one) for option, one in last.items() if one.is_sweep_override()}
        fixed = [str(one.input_line) for one in last.values() if not one.is_sweep_override()]
        study = optuna.create_study(
            storage=self.storage,
            sampler=self.sampler,
            study_name=self.study_name,
            direction=self.direction,
            load_if_exists=True,
        )
        for numbers in batches(self.n_trials, self.n_jobs):
            trials = [study.ask(space) for _ in numbers]
            for trial, number in zip(trials, numbers, strict=True):
                trial.set_user_attr(JOB, number)
            jobs = [[*fixed, *(f"{option}={value}" for option, value in trial.params.items())] for trial in trials]
            self.validate_batch_is_legal(jobs)
            returned = self.launcher.launch(jobs, initial_job_idx=numbers[0])
            for trial, result in zip(trials, returned, strict=True):
                study.tell(trial.number, **outcome(study.trials[trial.number].user_attrs, result))
        if any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials):
            best = study.best_trial
            options = " ".join(f"{option}={value}" for option, value in best.params.items())
            log.info("best of the search: %s %s, with %s", self.objective, percent(float(best.values[0])), options)


def batches(count: int, size: int) -> Iterator[range]:
    """Yield the numbers 0 to ``count`` - 1, ``size`` at a time."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def outcome(attributes: dict[str, Any], result: JobReturn) -> dict[str, Any]:
    """Return what a study is told of a trial: its state and, of one that has run to its end, its value.

    A pruned trial has the values that its run has reported.
    """
    from optuna.trial import TrialState

    if result.status != JobStatus.COMPLETED:
        return {"state": TrialState.FAIL}
    if attributes.get(PRUNED):
        return {"state": TrialState.PRUNED}
    return {"state": TrialState.COMPLETE, "values": float(result.return_value)}


def distribution(override: Override) -> Any:
    """Return the distribution that an option is drawn from.

    ``interval(a, b)`` is one of floats, ``int(interval(a, b))`` of whole numbers; ``tag(log, ...)`` draws the
    logarithm. ``range(a, b)`` leaves its end out, as everywhere in Hydra. ``choice(...)`` and ``a,b`` are categories.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    drawn: Any = override.value()
    if isinstance(drawn, IntervalSweep):
        low, high = drawn.start, drawn.end
        kind: Any = IntDistribution if isinstance(low, int) and isinstance(high, int) else FloatDistribution
        return kind(low, high, log="log" in drawn.tags)
    choices: list[Any] = list(override.sweep_iterator(transformer=Transformer.encode))
    if isinstance(drawn, RangeSweep) and not drawn.shuffle and all(isinstance(one, int) for one in choices):
        return IntDistribution(choices[0], choices[-1], step=int(drawn.step))
    return CategoricalDistribution(choices)
