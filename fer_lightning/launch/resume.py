"""Going on with a run or a sweep: its command line again, its newest valid checkpoint, and what has changed since."""

import logging
from collections.abc import Iterator
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_lightning.errors import UserError
from fer_lightning.runs.command import OPTIONS, is_sweep, quoted
from fer_lightning.runs.files import write_text
from fer_lightning.runs.record import ASIDE, code_fingerprint, read_run

log = logging.getLogger(__name__)

# What the state of an optimizer or scheduler holds: a new value would be replaced by the saved one.
HELD = ("optimizer.", "scheduler.")
FREE = ("trainer.max_epochs", "trainer.enable_progress_bar", "data.num_workers", "data.cache_dir")
PASSING = ("resume_from", "hparams_search", "hydra", "sweep")  # nodes that say how a run was started, not what it is
CONSOLE = ("callbacks", "logger", "default_root_dir", "enable_progress_bar")  # of the trainer
PLACES = ("callbacks", "logger", "paths", "job_type", "run_name", "run_id", "resume_from", "init_from", "sweep")


def resume_arguments(arguments: list[str]) -> list[str]:
    """Put the options that a run or sweep began with before those of a command line that goes on with it.

    Args:
        arguments: Of the command line; without ``resume_from=`` and ``sweep.resume=`` they come back as they are.

    Raises:
        UserError: If there is nothing to go on with, or the command line of a run is a sweep's.
    """
    if "--help" in arguments or "-h" in arguments:
        return arguments
    if (place := _place(arguments, "sweep.resume")) is not None:
        return _sweep_arguments(arguments, place)
    if (place := _place(arguments, "resume_from")) is None:
        return arguments
    if {"-m", "--multirun"} & set(arguments):
        raise UserError("resume_from= goes on with one run, and -m starts several: leave -m out, or use sweep.resume=")
    path = located(place, "resume_from")
    folder = run_folder(path)
    if folder is None:  # a checkpoint away from its run: a new run goes on from it
        from fer_lightning.runs.checkpoints import read_overrides

        earlier, own_folder = read_overrides(str(path)), []
    else:
        earlier, own_folder = began_with(folder), [f"hydra.run.dir={quoted(folder)}", "hydra.mode=RUN"]
    own = [argument for argument in arguments if _key(argument) != "resume_from"]
    taken = {_key(argument) for argument in own}
    own_folder = [option for option in own_folder if _key(option) not in taken]
    return [*_without(earlier, taken), *own_folder, *own, f"resume_from={quoted(path)}"]


def _sweep_arguments(arguments: list[str], place: str) -> list[str]:
    """Put the options that a sweep began with before those of a command line that goes on with it."""
    folder = located(place, "sweep.resume")
    if not is_sweep(folder):
        raise UserError(f"sweep.resume={place} holds no sweep: give the folder that holds its jobs and sweep.csv")
    own = [argument for argument in arguments if _key(argument) not in ("sweep.resume", "-m", "--multirun")]
    earlier = _without(_options(folder), {_key(argument) for argument in own})
    own_folder = [f"hydra.sweep.dir={quoted(folder)}", "hydra.mode=MULTIRUN"]
    return [*earlier, *own, *own_folder, f"sweep.resume={quoted(folder)}"]


def _place(arguments: list[str], option: str) -> str | None:
    """Return the path that an option of the command line gives, or None."""
    given = [argument for argument in arguments if _key(argument) == option]
    value = OverridesParser.create().parse_override(given[-1]).value() if given else None
    return None if value is None else str(value)


def _without(options: list[str], taken: set[str]) -> list[str]:
    return [option for option in options if _key(option) not in taken]


def located(place: str, option: str) -> Path:
    """Return the absolute path of a folder or checkpoint that an option gave.

    Raises:
        UserError: If there is none.
    """
    if "://" in place:
        raise UserError(f"{option}={place} is an address: download the checkpoint first and give its path")
    path = Path(place).absolute()
    if not path.exists():
        raise UserError(f"{option}={place} does not exist (looked for {path}): give a run's folder or checkpoint")
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
    path = folder / OPTIONS
    if not path.is_file():
        raise UserError(f"{path} is missing: give the options of the run again, and one of its checkpoints by itself")
    return repeatable(_options(folder), path)


def repeatable(overrides: list[str], source: Path) -> list[str]:
    """Return the options that belong to a run wherever it is started from.

    Raises:
        UserError: If one could run code.
    """
    for override in overrides:
        if "_target_" in override or "${" in override:
            raise UserError(f"{source} carries the option {override!r}, which could run code: not repeated")
    return [override for override in overrides if _key(override).partition(".")[0] not in PASSING]


def note_sweep(folder: Path, overrides: DictConfig) -> None:
    """Write down the options that a sweep is made of, those of Hydra's included, for going on with it."""
    placing = ("hydra.sweep.dir", "hydra.mode", "sweep.resume")
    options = [option for option in [*overrides.task, *overrides.hydra] if _key(option) not in placing]
    (folder / OPTIONS).parent.mkdir(exist_ok=True)
    write_text(folder / OPTIONS, OmegaConf.to_yaml(OmegaConf.create(options)))


def job_options() -> list[str]:
    """Return the overrides that make the job at hand, wherever it is started from."""
    return [option for option in HydraConfig.get().overrides.task if not option.startswith("sweep.")]


def finished(cfg: DictConfig) -> float | None:
    """Return the objective of a job that its sweep has completed before, None for one that is to run.

    Completed means: with the same settings, on the same faces, by the same code. What was completed by others is set
    aside.
    """
    folder = Path(cfg.paths.output_dir)
    if HydraConfig.get().mode != RunMode.MULTIRUN or not (folder / "metrics.json").is_file():
        return None
    noted = read_run(folder).metrics
    if noted.get("status") != "completed":
        return None
    from fer_lightning.data.readers import read_faces

    before = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    same = {
        "settings": _settings(before) == _settings(OmegaConf.to_container(cfg, resolve=True)),
        "code": noted.get("code") == code_fingerprint(),
        "faces": noted.get("data_fingerprint")
        == read_faces(cfg.data.root, cfg.data.cache_dir, cfg.data.drawn, cfg.data.image_size).fingerprint,
    }
    if changed := [name for name, equal in same.items() if not equal]:
        log.warning("completed before, but with other %s", " and ".join(changed))
        set_aside(folder)
        return None
    log.info("completed before, skipped: %s", folder)
    return noted[cfg.objective]


def _settings(config: dict) -> dict:
    """Return what of a resolved configuration decides how a training ends, up to the last digit."""
    own = {name: node for name, node in config.items() if name not in PLACES or name == "init_from"}
    trainer = {name: value for name, value in own["trainer"].items() if name not in CONSOLE}
    return {**own, "trainer": trainer, "data": {**own["data"], "cache_dir": None}}


def set_aside(folder: Path) -> None:
    """Move what a job left in its folder to where it neither counts nor is overwritten."""
    number = 1
    while (place := folder.parent / ASIDE / f"{folder.name}-{number}").exists():
        number += 1
    place.mkdir(parents=True)
    for path in folder.iterdir():
        if path.name != ".hydra" and path.suffix != ".log":  # Hydra has begun to write these
            path.rename(place / path.name)
    log.warning("the job starts anew; what was there is now in %s", place)


def resumed(cfg: DictConfig) -> str | None:
    """Return the checkpoint to go on from, None for a run that begins; say what has changed since it was written.

    A job of a sweep goes on from what it left in its folder when it was interrupted or failed.

    Raises:
        UserError: If no checkpoint is valid, or its optimizer or scheduler is another than the configuration's.
    """
    from fer_lightning.runs.checkpoints import load, newest

    if cfg.resume_from is not None:
        path = located(cfg.resume_from, "resume_from")
        if path.is_dir():
            path = newest(path)
    elif HydraConfig.get().mode == RunMode.MULTIRUN and (Path(cfg.paths.output_dir) / "config.yaml").is_file():
        path = _left_by_job(Path(cfg.paths.output_dir))
    else:
        path = None
    if path is None:
        return None
    checkpoint = load(str(path), "resume_from")
    earlier = repeatable(checkpoint["fer_lightning"]["overrides"], path)
    changed = list(differences(hydra.compose("train", overrides=earlier), cfg))
    if held := [line for key, line in changed if key.startswith(HELD)]:
        raise UserError(
            f"{path} holds the state of another optimizer or scheduler ({'; '.join(held[:3])}): resume with the same "
            "settings, or take its weights alone with init_from="
        )
    others = [line for key, line in changed if not key.startswith(FREE)]
    if checkpoint["fer_lightning"].get("code") != code_fingerprint():
        others.append("the code or conf/ has changed")
    if others:
        log.warning("resumed with other settings, so not what one uninterrupted run gives: %s", "; ".join(others))
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    if epochs > cfg.trainer.max_epochs:
        raise UserError(f"{path} has {epochs} epochs behind it: trainer.max_epochs={cfg.trainer.max_epochs} is too low")
    if epochs == cfg.trainer.max_epochs:
        log.warning("nothing left to train: %s has all %d epochs; raise trainer.max_epochs to train on", path, epochs)
    else:
        log.info("goes on from %s, step %d", path, checkpoint["global_step"])
    return str(path)


def _left_by_job(folder: Path) -> Path | None:
    """Return the newest valid checkpoint of a job; None where there is none, and what else there is is set aside."""
    from fer_lightning.runs.checkpoints import newest

    try:
        return newest(folder)
    except UserError:
        if (folder / "metrics.csv").is_file():  # else it had not begun to train
            set_aside(folder)
        return None


def differences(before: DictConfig, after: DictConfig) -> Iterator[tuple[str, str]]:
    """Yield each changed value's key, and a line that says what it was and what it is."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield key, f"{key} was {old.get(key)}, is {new.get(key)}"


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


def _options(folder: Path) -> list[str]:
    return OmegaConf.to_container(OmegaConf.load(folder / OPTIONS))


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]
