"""Going on with a run: its command line again, its newest valid checkpoint, and what has changed since."""

import logging
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from fer_lightning.errors import UserError

log = logging.getLogger(__name__)

# What the state of an optimizer or scheduler holds: a new value would be replaced by the saved one.
HELD = ("optimizer.", "scheduler.")
FREE = ("trainer.max_epochs", "trainer.enable_progress_bar", "data.num_workers", "data.cache_dir")
PLACES = ("callbacks", "logger", "paths", "job_type", "run_name", "run_id", "resume_from", "init_from", "sweep")


def resume_arguments(arguments: list[str]) -> list[str]:
    """Put the options that a run began with before those of a command line that resumes it.

    Args:
        arguments: Of the command line; without ``resume_from=`` they come back as they are.

    Raises:
        UserError: If there is nothing to resume, or the command line is a sweep's.
    """
    given = [argument for argument in arguments if argument.startswith("resume_from=")]
    if not given or "--help" in arguments or "-h" in arguments:
        return arguments
    place = OverridesParser.create().parse_override(given[-1]).value()
    if place is None:
        return arguments
    if {"-m", "--multirun"} & set(arguments):
        raise UserError("resume_from= goes on with one run, and -m starts several: leave -m out")
    path = located(str(place))
    folder = run_folder(path)
    if folder is None:  # a checkpoint away from its run: a new run goes on from it
        from fer_lightning.checkpoints import read_overrides

        earlier, own_folder = read_overrides(str(path)), []
    else:
        earlier, own_folder = began_with(folder), [f"hydra.run.dir={quoted(folder)}", "hydra.mode=RUN"]
    own = [argument for argument in arguments if argument not in given]
    taken = {_key(argument) for argument in own}
    kept = [override for override in earlier if _key(override) not in taken]
    own_folder = [option for option in own_folder if _key(option) not in taken]
    return [*kept, *own_folder, *own, f"resume_from={quoted(path)}"]


def located(place: str) -> Path:
    """Return the absolute path of a run folder or checkpoint.

    Raises:
        UserError: If there is none.
    """
    if "://" in place:
        raise UserError(f"resume_from={place} is an address: download the checkpoint first and give its path")
    path = Path(place).absolute()
    if not path.exists():
        raise UserError(f"resume_from={place} does not exist (looked for {path}): give a run's folder or checkpoint")
    return path


def run_folder(path: Path) -> Path | None:
    """Return the folder of the run that a path belongs to, or None for a checkpoint away from its run."""
    folder = path if path.is_dir() else path.parents[1]
    if (folder / "config.yaml").is_file():
        return folder
    if path.is_dir():
        raise UserError(f"resume_from={path} holds no run (no config.yaml): give a run's folder or a checkpoint")
    return None


def began_with(folder: Path) -> list[str]:
    """Return the options that the run in a folder began with.

    Raises:
        UserError: If they could run code, or are missing.
    """
    path = folder / ".hydra" / "overrides.yaml"
    if not path.is_file():
        raise UserError(f"{path} is missing: give the options of the run again, and one of its checkpoints by itself")
    return repeatable(OmegaConf.to_container(OmegaConf.load(path)), path)


def repeatable(overrides: list[str], source: Path) -> list[str]:
    """Return the options that belong to a run wherever it is started from.

    Raises:
        UserError: If one could run code.
    """
    for override in overrides:
        if "_target_" in override or "${" in override:
            raise UserError(f"{source} carries the option {override!r}, which could run code: not repeated")
    return [o for o in overrides if _key(o).partition(".")[0] not in ("resume_from", "hparams_search", "hydra")]


def resumed(cfg: DictConfig) -> str | None:
    """Return the checkpoint to go on from, None for a run that begins; say what has changed since it was written.

    Raises:
        UserError: If no checkpoint is valid, or its optimizer or scheduler is another than the configuration's.
    """
    if cfg.resume_from is None:
        return None
    from fer_lightning.checkpoints import load, newest

    path = located(cfg.resume_from)
    if path.is_dir():
        path = newest(path)
    checkpoint = load(str(path), "resume_from")
    earlier = repeatable(checkpoint["fer_lightning"]["overrides"], path)
    changed = list(differences(hydra.compose("train", overrides=earlier), cfg))
    if held := [line for key, line in changed if key.startswith(HELD)]:
        raise UserError(
            f"{path} holds the state of another optimizer or scheduler ({'; '.join(held[:3])}): resume with the same "
            "settings, or take its weights alone with init_from="
        )
    if others := [line for key, line in changed if not key.startswith(FREE)]:
        log.warning("resumed with other settings, so not what one uninterrupted run gives: %s", "; ".join(others))
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    if epochs > cfg.trainer.max_epochs:
        raise UserError(f"{path} has {epochs} epochs behind it: trainer.max_epochs={cfg.trainer.max_epochs} is too low")
    if epochs == cfg.trainer.max_epochs:
        log.warning("nothing left to train: %s has all %d epochs; raise trainer.max_epochs to train on", path, epochs)
    else:
        log.info("goes on from %s, step %d", path, checkpoint["global_step"])
    return str(path)


def differences(before: DictConfig, after: DictConfig) -> Iterator[tuple[str, str]]:
    """Yield each changed value's key, and a line that says what it was and what it is."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield key, f"{key} was {old.get(key)}, is {new.get(key)}"


def command(folder: Path) -> str:
    """Return the command line that goes on with the run in a folder."""
    option = f"resume_from={quoted(folder)}"
    readable = not set(option) & set('"$`\\!')
    shown = option if "'" not in option else f'"{option}"' if readable else shlex.quote(option)
    return f"python {Path(sys.argv[0]).name} {shown}"


def quoted(path: Path) -> str:
    """Return a path as Hydra's grammar wants it."""
    text = str(path)
    if all(letter.isalnum() or letter in "/-_.+%@:" for letter in text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _leaves(node: DictConfig, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every value that is not a copy of another node's, without places and names."""
    for key in node:
        name = f"{prefix}{key}"
        if name in PLACES:
            continue
        value, pointer = node[key], node._get_node(key)._is_interpolation()
        if OmegaConf.is_dict(value):
            if not pointer:
                yield from _leaves(value, f"{name}.")
        elif OmegaConf.is_list(value):
            if not pointer and name not in ("trainer.callbacks", "trainer.logger"):
                yield name, OmegaConf.to_container(value, resolve=True)
        else:
            yield name, value


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]
