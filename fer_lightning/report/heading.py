"""The heading of a page: the settings of its runs in words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fer_lightning.report.style import short
from fer_lightning.runs.record import Run
from fer_lightning.words import counted

CHOICES = ("embedder", "loss", "miner", "sampler", "augmentation", "scheduler", "classifier")  # groups of conf/
VALUES = 4  # of an option in the heading of a sweep
LONGEST = 40  # letters of a value


def heading(runs: Sequence[Run], data: str) -> str:
    """Return the settings of one run, or the options that differ between several, and the name of the faces."""
    faces = f" on {data}" if data else ""
    if len(runs) > 1:
        options = "; ".join(f"{option} {', '.join(values)}" for option, values in swept(runs).items())
        return f"{len(runs)} runs{faces}: {options}" if options else f"{len(runs)} runs{faces}"
    (run,) = runs
    name = next((override.split("=", 1)[1] for override in run.overrides if override.startswith("run_name=")), "")
    name = name or Path(run.record.predictions or "").stem
    settings = f"{in_short(run.record.settings) or 'One run'}{faces}"
    return f"{name}: {settings}" if name else settings


def in_short(settings: Mapping[str, Any]) -> str:
    """Return optimizer, learning rate, batch size and epochs in words; empty without settings."""
    if not settings:
        return ""
    optimizer = settings["optimizer"].rsplit(".", 1)[-1]
    epochs = counted(settings["max_epochs"], "epoch")
    return f"{optimizer}, learning rate {settings['learning_rate']:g}, batch size {settings['batch_size']}, {epochs}"


def choices(run: Run) -> str:
    """Return the run's choices in the groups of conf/, and its seed; empty without the file of them, or training."""
    path = run.folder / ".hydra" / "hydra.yaml"
    if not path.is_file() or not run.record.settings:
        return ""
    chosen = OmegaConf.load(path).hydra.runtime.choices
    settings = [f"{group} {chosen[group]}" for group in CHOICES if chosen.get(group) not in (None, "none")]
    if run.record.settings.get("seed") is not None:
        settings.append(f"seed {run.record.settings['seed']}")
    return ", ".join(settings)


def swept(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return option without its group -> first values, for the options that differ between runs."""
    values: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        for override in run.overrides:
            option, _, value = override.partition("=")
            value = short(value.rsplit("/", 1)[-1], LONGEST)  # a path without its folders
            if value not in values[option]:
                values[option].append(value)
    return {
        option.rsplit(".", 1)[-1]: choices if len(choices) <= VALUES else [*choices[:VALUES], "..."]
        for option, choices in values.items()
        if len(choices) > 1
    }
