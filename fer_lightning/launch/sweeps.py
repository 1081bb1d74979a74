"""The jobs of a sweep: how many there are, what differs between them, which have ended."""

import math
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from fer_lightning.errors import UserError, install_command
from fer_lightning.files import writing_lock
from fer_lightning.launch.environment import cores, may_use_gpu, torch_build
from fer_lightning.runs.command import key

ENDED = Path(".hydra", "ended")  # a line for each job that has ended since the sweep started: its number, how it ended


class End(StrEnum):
    """How a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    REFUSED = "refused"  # before anything was written
    PASSED_OVER = "passed over"  # because another process works in its folder
    DELETED = "deleted"  # somebody deleted its folder


def count_jobs(config: DictConfig) -> int:
    """Return how many jobs a sweep has."""
    sweeper = config.hydra.sweeper
    return int(sweeper.n_trials) if "n_trials" in sweeper else math.prod(sweep_counts(config).values())


def sweep_counts(config: DictConfig) -> dict[str, int]:
    """Return the options that differ between the jobs of a sweep -> how many values each has; of a range, 1."""
    params = config.hydra.sweeper.get("params") or {}
    texts = [*(f"{option}={value}" for option, value in params.items()), *config.hydra.overrides.task]
    overrides = OverridesParser.create().parse_overrides(texts)
    last = {key(str(override.input_line)): override for override in overrides}  # the last one counts, as in the sweeper
    return {
        option: len(list(override.sweep_string_iterator())) if override.is_discrete_sweep() else 1
        for option, override in last.items()
        if override.is_sweep_override()
    }


def side_by_side(config: DictConfig) -> str | None:
    """Return the options that run several jobs at once, where that is faster: on a CPU with several cores."""
    accelerator, number = OmegaConf.select(config, "trainer.accelerator"), cores()
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not may_use_gpu(torch_build()))
    one_by_one = config.hydra.runtime.choices["hydra/launcher"] == "basic"
    together = min(number, count_jobs(config))
    if not on_cpu or not one_by_one or together == 1 or "n_trials" in config.hydra.sweeper:
        return None
    missing = "" if find_spec("hydra_plugins.hydra_joblib_launcher") else f"; it needs {install_command('joblib')}"
    return (
        f"one job after the other on {number} cores: hydra/launcher=joblib hydra.launcher.n_jobs={together} runs "
        f"{together} at a time, which takes less time{missing}"
    )


def check_sweeper(config: DictConfig) -> None:
    """Refuse a search where its library is not installed."""
    if "study_name" in config.hydra.sweeper and find_spec("optuna") is None:
        raise UserError(f"hparams_search=optuna needs a package that is not installed: {install_command('optuna')}")


def note_end(sweep: DictConfig, config: DictConfig, end: End) -> bool:
    """Note how a job ended, and return whether it was the last: one job of a sweep is.

    Jobs in several processes do so at once. One that was passed over may be noted by its own process too.
    """
    folder = Path(config.hydra.sweep.dir)
    with writing_lock(folder):
        before = read_ends(folder)
        with (folder / ENDED).open("a", encoding="utf-8") as file:
            file.write(f"{config.hydra.job.num} {end}\n")
        return len(before) < len(read_ends(folder)) == count_jobs(sweep)


def read_ends(folder: Path) -> dict[int, End]:
    """Return how the jobs of a sweep ended since it started, by their numbers."""
    lines = (line.split(" ", 1) for line in (folder / ENDED).read_text(encoding="utf-8").splitlines())
    return {int(number): End(end) for number, end in lines}
