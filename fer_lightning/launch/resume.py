"""Going on with a run or a sweep: its command line again, its newest valid checkpoint, and what has changed since."""

import logging
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_lightning.config.nodes import Role, differences, role
from fer_lightning.errors import FILE, FOLDER, UserError, stands_at
from fer_lightning.launch.claims import LOCK
from fer_lightning.runs.command import OPTIONS, is_sweep, key, quoted, read_options
from fer_lightning.runs.record import ASIDE, Status, code_fingerprint, read_record

log = logging.getLogger(__name__)

# Option -> Hydra's option for the folder, and its mode. Hydra takes what it composes from sys.argv and nowhere else.
GOES_ON = {"sweep.resume": ("hydra.sweep.dir", "MULTIRUN"), "resume_from": ("hydra.run.dir", "RUN")}
NEEDED = {
    "sweep.resume": "give a sweep's folder, which holds its jobs and sweep.csv",
    "resume_from": "give a run's folder or checkpoint",
}


def resume_arguments(arguments: list[str]) -> list[str]:
    """Return a command line, headed by the options of the run or sweep that it goes on with.

    Raises:
        UserError: If there is nothing to go on with, or the command line of a run is a sweep's.
    """
    option = next((option for option in GOES_ON if option in map(key, arguments)), None)
    if option is None:
        return arguments
    place = OverridesParser.create().parse_override([one for one in arguments if key(one) == option][-1]).value()
    if place is None:
        return arguments
    path = located(str(place), option)
    if option == "sweep.resume":
        folder: Path | None = path
        if not is_sweep(path):
            raise UserError(f"sweep.resume={place} holds no sweep: give the folder that holds its jobs and sweep.csv")
        earlier = read_options(path)
        arguments = [argument for argument in arguments if argument not in ("-m", "--multirun")]
    elif {"-m", "--multirun"} & set(arguments):
        raise UserError("resume_from= goes on with one run, and -m starts several: leave -m out, or use sweep.resume=")
    elif (folder := run_folder(path)) is None:  # a checkpoint away from its run: a new run goes on from it
        from fer_lightning.runs.checkpoints import read_overrides

        earlier = read_overrides(str(path))
    elif not (folder / OPTIONS).is_file():
        raise UserError(
            f"{folder / OPTIONS} is missing: give the options of the run again, and one of its checkpoints by itself"
        )
    else:
        earlier = repeatable(read_options(folder), folder / OPTIONS)
    own = [argument for argument in arguments if key(argument) != option]
    if folder is not None:
        directory, mode = GOES_ON[option]
        earlier += [f"{directory}={quoted(folder)}", f"hydra.mode={mode}"]
    taken = {option, *map(key, own)}
    return [*(one for one in earlier if key(one) not in taken), *own, f"{option}={quoted(path)}"]


def located(place: str, option: str) -> Path:
    """Return the absolute path of a folder or checkpoint that an option gave; refuse one that is not there."""
    if "://" in place:
        raise UserError(f"{option}={place} is an address: download the checkpoint first and give its path")
    path = Path(place).absolute()
    if (found := stands_at(path)) not in (FILE, FOLDER):
        raise UserError(f"{option}={place:.300} {found} (looked for {path!s:.300}): {NEEDED[option]}")
    return path


def run_folder(path: Path) -> Path | None:
    """Return the folder of the run that a path belongs to, or None for a checkpoint away from its run."""
    folder = path if path.is_dir() else path.parent.parent
    if (folder / "config.yaml").is_file():
        return folder
    if path.is_dir():
        raise UserError(f"resume_from={path} holds no run (no config.yaml): give a run's folder or a checkpoint")
    return None


def repeatable(overrides: list[str], source: Path) -> list[str]:
    """Return the options that made a run; refuse one that could run code."""
    for override in overrides:
        if "_target_" in override or "${" in override:
            raise UserError(f"{source} carries the option {override!r}, which could run code: not repeated")
    return overrides


def finished(cfg: DictConfig) -> float | None:
    """Return the objective of a job that its sweep has completed before, None for one that is to run.

    Completed means: with the same settings, on the same faces, by the same code. What was completed by others is set
    aside.
    """
    folder = Path(cfg.paths.output_dir)
    if HydraConfig.get().mode != RunMode.MULTIRUN or (noted := read_record(folder)).status != Status.COMPLETED:
        return None
    from fer_lightning.data.readers import read_faces

    data = cfg.data
    faces = read_faces(data.root, data.cache_dir, data.drawn, data.image_size, data.classes, data.votes)
    others = {
        "settings": differences(OmegaConf.load(folder / "config.yaml"), cfg),
        "code": noted.code != code_fingerprint(),
        "faces": noted.data_fingerprint != faces.fingerprint,
    }
    if changed := [name for name, differ in others.items() if differ]:
        log.warning("completed before, but with other %s", " and ".join(changed))
        set_aside(folder)
        return None
    log.info("completed before, skipped: %s", folder)
    return noted.figures[cfg.objective]


def set_aside(folder: Path) -> None:
    """Move what a job left in its folder to where it neither counts nor is overwritten."""
    number = 1
    while (place := folder.parent / ASIDE / f"{folder.name}-{number}").exists():
        number += 1
    place.mkdir(parents=True)
    for path in folder.iterdir():
        if path.name not in (".hydra", LOCK) and path.suffix != ".log":  # Hydra has begun to write these
            path.rename(place / path.name)
    log.warning("the job starts anew; what was there is now in %s", place)


def resumed(cfg: DictConfig) -> str | None:
    """Return the checkpoint to go on from, None for a run that begins; say what has changed since it was written.

    A job of a sweep goes on from what it left in its folder when it was interrupted or failed.

    Raises:
        UserError: If no checkpoint is valid, or its optimizer or scheduler is another than the configuration's.
    """
    from fer_lightning.runs.checkpoints import KEY, load_resumable, newest

    path = None
    if cfg.resume_from is not None:
        path = located(cfg.resume_from, "resume_from")
        path = newest(path) if path.is_dir() else path
    elif HydraConfig.get().mode == RunMode.MULTIRUN and (Path(cfg.paths.output_dir) / "config.yaml").is_file():
        path = _left_by_job(Path(cfg.paths.output_dir))
    if path is None:
        return None
    checkpoint = load_resumable(str(path))
    before = hydra.compose("train", repeatable(checkpoint[KEY]["overrides"], path))
    changed = differences(before, cfg)
    if held := [line for name, line in changed.items() if role(name) == Role.STATE]:
        raise UserError(
            f"{path} holds the state of another optimizer or scheduler ({'; '.join(held[:3])}): resume with the same "
            "settings, or take its weights alone with init_from="
        )
    planned = checkpoint["lr_schedulers"][0].get("total_steps")
    if isinstance(planned, int) and _trains_beyond(planned, before, cfg):
        raise UserError(
            f"{path} has a schedule of {planned} steps, which ends there and cannot be made longer: resume without "
            "raising trainer.max_epochs or trainer.max_steps or making batches smaller, or start a new run from its "
            "weights with init_from="
        )
    for limit in ("trainer.max_epochs", "trainer.max_steps"):  # to train on is what one resumes for
        changed.pop(limit, None)
    others = [*changed.values(), *["the code has changed"] * (checkpoint[KEY].get("code") != code_fingerprint())]
    if others:
        log.warning("resumed with other settings, so not what one uninterrupted run gives: %s", "; ".join(others))
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    for unit, done in (("epochs", epochs), ("steps", checkpoint["global_step"])):
        limit = cfg.trainer[f"max_{unit}"]
        if -1 < limit < done:
            raise UserError(f"{path} has {done} {unit} behind it: trainer.max_{unit}={limit} is too low")
        if limit == done:
            words = (path, done, unit, unit)
            log.warning("nothing left to train: %s has all %d %s; raise trainer.max_%s to train on", *words)
            break
    else:
        log.info("goes on from %s, step %d", path, checkpoint["global_step"])
    return str(path)


def _trains_beyond(planned: int, before: DictConfig, now: DictConfig) -> bool:
    """Return whether a run asks for more steps than those that its schedule was planned for."""
    if -1 < now.trainer.max_steps <= planned:
        return False
    if before.trainer.max_steps == planned or now.trainer.max_epochs == -1:
        return True
    then, today = (cfg.data.batch_size * cfg.trainer.get("accumulate_grad_batches", 1) for cfg in (before, now))
    return now.trainer.max_epochs * then > before.trainer.max_epochs * today  # the more faces a step, the fewer steps


def _left_by_job(folder: Path) -> Path | None:
    """Return the newest valid checkpoint of a job; None where there is none, and what else there is is set aside."""
    from fer_lightning.runs.checkpoints import newest

    try:
        return newest(folder)
    except UserError:
        if (folder / "metrics.csv").is_file():  # else it had not begun to train
            set_aside(folder)
        return None
