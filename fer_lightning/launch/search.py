"""What jobs a sweep is made of, and a search for hyperparameters that goes on from the study in its sweep's folder."""

import math
from importlib.util import find_spec
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, read_write

from fer_lightning.errors import UserError, install_command
from fer_lightning.files import writing_lock
from fer_lightning.launch.environment import cores, may_use_gpu, torch_build
from fer_lightning.runs.command import key

PASSED = Path(".hydra", "passed")  # numbers of a sweep's jobs that have ended or were skipped since it started
REFUSED = "refused"  # stands there once for each of them that did not begin


def count_jobs(config: DictConfig) -> int:
    """Return how many jobs a sweep has."""
    sweeper = config.hydra.sweeper
    return int(sweeper.n_trials) if "n_trials" in sweeper else math.prod(swept(config).values())


def swept(config: DictConfig) -> dict[str, int]:
    """Return the options that differ between the jobs of a sweep, and the number of choices of each.

    What a sweeper draws out of a range counts as one choice.
    """
    params = config.hydra.sweeper.get("params") or {}
    overrides = OverridesParser.create().parse_overrides(
        [*(f"{option}={value}" for option, value in params.items()), *config.hydra.overrides.task]
    )
    last = {key(str(override.input_line)): override for override in overrides}  # as the sweeper: the last one counts
    return {
        option: len(list(override.sweep_string_iterator())) if override.is_discrete_sweep() else 1
        for option, override in last.items()
        if override.is_sweep_override()
    }


def side_by_side(config: DictConfig) -> str | None:
    """Return what would run several jobs of a sweep at a time, where that takes less time than one after the other.

    That is so on a processor with several cores: a training gains little by a second one.
    """
    accelerator, free = OmegaConf.select(config, "trainer.accelerator"), cores()
    on_cores = accelerator == "cpu" or (accelerator == "auto" and not may_use_gpu(torch_build()))
    asked = "n_trials" not in config.hydra.sweeper and config.hydra.runtime.choices["hydra/launcher"] == "basic"
    together = min(free, count_jobs(config))
    if not (on_cores and asked and together > 1):
        return None
    missing = "" if find_spec("hydra_plugins.hydra_joblib_launcher") else f"; it needs {install_command('joblib')}"
    return (
        f"one job after the other on {free} cores: hydra/launcher=joblib hydra.launcher.n_jobs={together} runs "
        f"{together} at a time, which takes less time{missing}"
    )


def check_sweeper(config: DictConfig) -> None:
    """Refuse a search where its library is not installed."""
    if "study_name" in config.hydra.sweeper and find_spec("optuna") is None:
        raise UserError(f"hparams_search=optuna needs a package that is not installed: {install_command('optuna')}")


def is_last(sweep: DictConfig, config: DictConfig) -> bool:
    """Note that a job has ended or was skipped, and return whether it is the sweep's last: of all, one is."""
    lines = _note(config, str(config.hydra.job.num))
    return len(lines) - lines.count(REFUSED) == count_jobs(sweep)


def note_refused(config: DictConfig) -> None:
    """Note that a job of a sweep was refused."""
    _note(config, REFUSED)


def refused_jobs(folder: Path) -> int:
    """Return how many jobs of a sweep were refused since it started."""
    return (folder / PASSED).read_text(encoding="utf-8").splitlines().count(REFUSED)


def _note(config: DictConfig, line: str) -> list[str]:
    """Add a line to what has passed of a sweep and return them all; jobs in several processes do so."""
    folder = Path(config.hydra.sweep.dir)
    with writing_lock(folder), (folder / PASSED).open("a+") as file:
        file.write(f"{line}\n")
        file.seek(0)
        return file.read().splitlines()


def continue_search(config: DictConfig) -> None:
    """Let a resumed search ask for the trials that are still to run: half-done and failed ones first, then new ones."""
    import optuna
    from optuna.trial import TrialState

    sweeper = config.hydra.sweeper
    study = optuna.create_study(
        study_name=sweeper.study_name, storage=sweeper.storage, direction=sweeper.direction, load_if_exists=True
    )
    ended = [trial.params for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    again: list[dict] = []
    for trial in study.trials:
        if trial.state == TrialState.RUNNING:  # its process has ended, else the sweep's folder were not ours
            study.tell(trial.number, state=TrialState.FAIL)
        if trial.state in (TrialState.RUNNING, TrialState.FAIL) and trial.params not in [*ended, *again]:
            again.append(trial.params)
            study.enqueue_trial(trial.params)
    with read_write(config.hydra):
        sweeper.n_trials = max(0, sweeper.n_trials - len(ended))
        sweeper.sampler.seed += len(study.trials)  # else it would draw what it drew first again
