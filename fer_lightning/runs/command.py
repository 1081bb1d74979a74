"""Command lines that resume a run or a sweep, and the options that started it."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fer_lightning.config import CONF, user_folder
from fer_lightning.config.verbs import program_at_work

OPTIONS = Path(".hydra", "overrides.yaml")  # the options that started a run or a sweep
REFERENCE = re.compile(r"\$\{(hydra:)?[\w.]+\}")  # to another value
CODE = re.compile(r"_target_|searchpath|\$\{")
WHOLE = {"wrap": False}  # log.info(..., extra=WHOLE): the console does not wrap this line, so that it can be copied


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is the folder of a sweep: it has options, but no run's configuration."""
    configurations = (folder / "config.yaml", folder / OPTIONS.parent / "config.yaml")
    return (folder / OPTIONS).is_file() and not any(path.is_file() for path in configurations)


def sweep_of(folder: Path) -> Path | None:
    """Return the sweep's folder for the folder of a sweep or of one of its jobs, or None for a single run."""
    return next((candidate for candidate in (folder, folder.parent) if is_sweep(candidate)), None)


def read_options(folder: Path) -> list[str]:
    """Return the options that started the run or sweep in a folder, with their references as they were typed."""
    options: Any = OmegaConf.to_container(OmegaConf.load(folder / OPTIONS))
    return list(map(str, options))


def key(option: str) -> str:
    """Return the key of an option, such as ``optimizer.lr`` for ``+optimizer.lr=1e-3``."""
    return option.lstrip("+~").partition("=")[0].partition("@")[0]


def of_training(options: Iterable[str]) -> list[str]:
    """Return the options of a training, without those of Hydra, of its sweep and of a resumption."""
    return [option for option in options if not key(option).startswith(("hydra.", "sweep.", "resume_from"))]


def runs_code(option: str) -> bool:
    """Return whether an option, or a flag, can name code: a class, a computed value, or files outside ``conf/``."""
    group, outside = key(option), ".." in option
    choice = "/" in group or (CONF / group).is_dir()
    return option.startswith("-") or bool(CODE.search(REFERENCE.sub("", option))) or (choice and outside)


def resume_command(folder: Path) -> str:
    """Return the command line that resumes the run in a folder, or its sweep; options that can name code are in it."""
    sweep = sweep_of(folder)
    started = sweep or folder
    option = f"{'sweep.resume' if sweep else 'resume_from'}={quoted(started)}"
    if "'" in option and not set(option) & set('"$`\\!'):  # double quotes are easier to read than shlex's
        option = f'"{option}"'
    elif "'" in option:
        option = shlex.quote(option)
    typed = filter(runs_code, read_options(started)) if (started / OPTIONS).is_file() else ()
    return " ".join([*_program(), option, *map(shlex.quote, typed)])


def seeds_command(folder: Path, options: list[str]) -> str:
    """Return the command line that repeats the run in a folder, or each job of its sweep, with three seeds."""
    seeds = "seed=0,1,2"
    if is_sweep(folder.parent):
        return f"{resume_command(folder)} {seeds}"
    repeated = [option for option in options if key(option) not in ("seed", "resume_from")]
    return " ".join([*_program(), "-m", *map(shlex.quote, repeated), seeds])


def _program() -> list[str]:
    """Return the words that start the verb at work, with the folder of --config-dir."""
    folder = user_folder()
    return [program_at_work(), *([] if folder is None else [f"--config-dir={shlex.quote(str(folder))}"])]


def quoted(path: Path | str) -> str:
    """Return a path or text in the quotes that Hydra's grammar needs."""
    text = str(path)
    if all(letter.isalnum() or letter in "/-_.+%@:" for letter in text):
        return text
    # Backslashes mean themselves, but those before a quote are doubled.
    return "'" + re.sub(r"(\\*)('|$)", lambda match: 2 * match[1] + match[2].replace("'", "\\'"), text) + "'"
