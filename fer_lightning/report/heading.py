"""What a page says of its runs before anything else: their settings in words."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from fer_lightning.report.style import short
from fer_lightning.runs.record import Run

CHOICES = ("embedder", "loss", "miner", "sampler", "augmentation", "scheduler", "classifier")  # groups of conf/
VALUES = 4  # of an option in the heading of a sweep
LONGEST = 40  # letters of a value


def heading(runs: Sequence[Run], data: str) -> str:
    """Return what was trained on which faces: the settings of one run, what differs between several."""
    on = f" on {data}" if data else ""
    if len(runs) > 1:
        found = "; ".join(f"{option} {', '.join(values)}" for option, values in swept(runs).items())
        return f"{len(runs)} runs{on}{f': {found}' if found else ''}"
    (run,) = runs
    given = next((override.split("=", 1)[1] for override in run.overrides if override.startswith("run_name=")), "")
    words = in_short(run.record.settings)
    return ": ".join(part for part in (given, f"{words or 'One run'}{on}") if part)


def in_short(settings: dict[str, Any]) -> str:
    """Return optimizer, learning rate, batch size and epochs in words; nothing where a run has noted none."""
    if not settings:
        return ""
    optimizer = settings["optimizer"].rsplit(".", 1)[-1]
    epochs = f"{settings['max_epochs']} epoch{'s' if settings['max_epochs'] != 1 else ''}"
    return f"{optimizer}, learning rate {settings['learning_rate']:g}, batch size {settings['batch_size']}, {epochs}"


def choices(run: Run) -> str:
    """Return what a run chose of the groups of the configuration, in words; nothing without Hydra's note of it."""
    path = run.folder / ".hydra" / "hydra.yaml"
    if not path.is_file():
        return ""
    chosen = OmegaConf.load(path).hydra.runtime.choices
    found = [f"{group} {chosen[group]}" for group in CHOICES if chosen.get(group) not in (None, "none")]
    seed = run.record.settings.get("seed")
    return ", ".join([*found, *([f"seed {seed}"] if seed is not None else [])])


def swept(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the options that differ between runs, without their groups: option -> values, a few of them."""
    found: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        for override in run.overrides:
            option, _, value = override.partition("=")
            value = short(value.rsplit("/", 1)[-1], LONGEST)  # a path without its folders
            if value not in found[option]:
                found[option].append(value)
    return {
        option.rsplit(".", 1)[-1]: values[:VALUES] + ["..."] * (len(values) > VALUES)
        for option, values in found.items()
        if len(values) > 1
    }
