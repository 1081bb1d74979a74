"""The command line that goes on with a run or a sweep, and the options that it began with."""

import shlex
from pathlib import Path

from omegaconf import OmegaConf

from fer_lightning.config.verbs import program_at_work

OPTIONS = Path(".hydra", "overrides.yaml")  # what a run or sweep began with
WHOLE = {"wrap": False}  # log.info(..., extra=WHOLE): a line to copy, which the console leaves in one piece


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a sweep: no run has noted its configuration there, nor Hydra for one."""
    run = (folder / "config.yaml", folder / OPTIONS.parent / "config.yaml")
    return (folder / OPTIONS).is_file() and not any(path.is_file() for path in run)


def sweep_of(folder: Path) -> Path | None:
    """Return the folder of the sweep that a folder is, or holds a job of; None for that of a run by itself."""
    return next((place for place in (folder, folder.parent) if is_sweep(place)), None)


def read_options(folder: Path) -> list[str]:
    """Return the options that the run or sweep in a folder began with."""
    return [str(option) for option in OmegaConf.load(folder / OPTIONS)]


def key(option: str) -> str:
    """Return what an option sets, such as ``optimizer.lr`` of ``+optimizer.lr=1e-3``."""
    return option.lstrip("+~").partition("=")[0].partition("@")[0]


def command(folder: Path) -> str:
    """Return the command line that goes on with the run in a folder, or with the sweep that it is or is a job of."""
    sweep = sweep_of(folder)
    option = f"resume_from={quoted(folder)}" if sweep is None else f"sweep.resume={quoted(sweep)}"
    readable = not set(option) & set('"$`\\!')
    shown = option if "'" not in option else f'"{option}"' if readable else shlex.quote(option)
    return f"{program_at_work()} {shown}"


def with_seeds(folder: Path, options: list[str]) -> str:
    """Return the command line that repeats the run in a folder, or each job of its sweep, with other seeds."""
    seeds = "seed=0,1,2"
    if is_sweep(folder.parent):
        return f"{command(folder)} {seeds}"
    own = [option for option in options if key(option) not in ("seed", "resume_from")]
    return " ".join([program_at_work(), "-m", *map(shlex.quote, own), seeds])


def quoted(path: Path) -> str:
    """Return a path as Hydra's grammar wants it."""
    text = str(path)
    if all(letter.isalnum() or letter in "/-_.+%@:" for letter in text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
