"""Resuming a run or a sweep: its command line, its newest checkpoint, and what has changed since then."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_lightning.config import user_folder
from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.nodes import Role, differences, role
from fer_lightning.errors import FILE, FOLDER, UserError, path_kind
from fer_lightning.launch.claims import LOCK
from fer_lightning.runs.checkpoints import KEY, load_resumable, newest, read_overrides
from fer_lightning.runs.command import OPTIONS, is_sweep, key, quoted, read_options, runs_code
from fer_lightning.runs.record import ASIDE, Status, code_fingerprint, read_record

log = logging.getLogger(__name__)


# Option -> Hydra's options for the folder and its mode, and what the option takes.
RESUMING = {
    "sweep.resume": ("hydra.sweep.dir", "MULTIRUN", "give a sweep's folder, which holds its jobs and sweep.csv"),
    "resume_from": ("hydra.run.dir", "RUN", "give a run's folder or checkpoint"),
}


def resume_arguments(arguments: list[str]) -> list[str]:
    """Return a command line with the options of the resumed run or sweep before its own."""
    option = next((option for option in RESUMING if option in map(key, arguments)), None)
    if option is None:
        return arguments
    text = [argument for argument in arguments if key(argument) == option][-1]
    value = OverridesParser.create().parse_override(text).value()
    if value is None:
        return arguments
    path = existing(str(value), option)
    folder = path if path.is_dir() else path.parent.parent  # of a checkpoint
    if user_folder() is None and (needed := _config_dir(folder)):
        raise UserError(f"{option}={value} began with --config-dir={needed}: add that, since its files are read again")
    arguments = [argument for argument in arguments if key(argument) != option]
    replaced = {option, *map(key, arguments)}
    if option == "sweep.resume":
        if not is_sweep(path):
            raise UserError(f"sweep.resume={value} holds no sweep: give the folder that holds its jobs and sweep.csv")
        earlier = read_options(path)
        arguments = [argument for argument in arguments if argument not in ("-m", "--multirun")]
    elif "-m" in arguments or "--multirun" in arguments:
        raise UserError("resume_from= goes on with one run, and -m starts several: leave -m out, or use sweep.resume=")
    else:
        earlier = _options_of_run(path, folder, replaced)
    earlier = [text for text in earlier if key(text) not in replaced]
    if option == "sweep.resume" or (folder / "config.yaml").is_file():
        if unsafe := next(filter(runs_code, earlier), None):
            raise UserError(
                f"{folder / OPTIONS} holds the option {unsafe!r}, which could run code: give it again beside "
                f"{option}=, if you trust it"
            )
        directory, mode, _ = RESUMING[option]
        where = [f"{directory}={quoted(folder)}", f"hydra.mode={mode}"]
        earlier += [text for text in where if key(text) not in replaced]
    return [*earlier, *arguments, f"{option}={quoted(path)}"]


def _config_dir(folder: Path) -> str | None:
    """Return the folder of the --config-dir with which a run or a sweep began, or None."""
    for file in (folder / "multirun.yaml", folder / ".hydra" / "hydra.yaml"):
        if file.is_file():
            sources = OmegaConf.load(file).hydra.runtime.config_sources
            return next((source.path for source in sources if source.provider == "command-line"), None)
    return None


def existing(text: str, option: str) -> Path:
    """Return the absolute path of an option's folder or file; refuse one that does not exist."""
    if "://" in text:
        raise UserError(f"{option}={text} is an address: download the checkpoint first and give its path")
    path = Path(text).absolute()
    if (state := path_kind(path)) not in (FILE, FOLDER):
        raise UserError(f"{option}={text:.300} {state} (looked for {path!s:.300}): {RESUMING[option][2]}")
    return path


def _options_of_run(path: Path, folder: Path, typed: Collection[str]) -> list[str]:
    """Return the options that a run began with, from its folder, or from a checkpoint outside it.

    A checkpoint's options whose keys are ``typed`` on this command line are left out.
    """
    if path.is_dir() and not (folder / "config.yaml").is_file():
        raise UserError(f"resume_from={path} holds no run (no config.yaml): give a run's folder or a checkpoint")
    if not (folder / "config.yaml").is_file():
        return read_overrides(str(path), typed)
    if not (folder / OPTIONS).is_file():
        raise UserError(
            f"{folder / OPTIONS} is missing: give the options of the run again, and one of its checkpoints by itself"
        )
    return read_options(folder)


def finished(cfg: DictConfig) -> float | None:
    """Return the objective of a job that its sweep has already completed, or None for a job that has to run.

    The job must have had the same settings, faces and code. Otherwise its files are set aside.
    """
    folder = Path(cfg.paths.output_dir)
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    record = read_record(folder)
    if record.status != Status.COMPLETED:
        return None
    changed = []
    if differences(OmegaConf.load(folder / "config.yaml"), cfg):
        changed.append("settings")
    if record.code != code_fingerprint():
        changed.append("code")
    if record.data_fingerprint != instantiate(cfg.data).read().fingerprint:
        changed.append("faces")
    if changed:
        log.warning("completed before, but with other %s", " and ".join(changed))
        set_aside(folder)
        return None
    log.info("completed before, skipped: %s", folder)
    return record.figures[cfg.objective]


def set_aside(folder: Path) -> None:
    """Move a job's files into a folder where no report counts them and no job overwrites them."""
    number = 1
    while (target := folder.parent / ASIDE / f"{folder.name}-{number}").exists():
        number += 1
    target.mkdir(parents=True)
    for path in folder.iterdir():
        if path.name not in (".hydra", LOCK) and path.suffix != ".log":  # Hydra has begun to write these
            path.rename(target / path.name)
    log.warning("the job starts anew; what was there is now in %s", target)


def resumed(cfg: DictConfig) -> str | None:
    """Return the checkpoint to resume from, or None for a new run. Log what has changed since it was written."""
    path = _newest_checkpoint(cfg)
    if path is None:
        return None
    checkpoint = load_resumable(str(path))
    options = checkpoint[KEY]["overrides"]
    before = compose("train", [option for option in options if role(key(option)) <= Role.RUN])
    changed = differences(before, cfg)
    _check_state(path, checkpoint, changed, before, cfg)
    for limit in ("trainer.max_epochs", "trainer.max_steps"):  # a run is resumed to train longer
        changed.pop(limit, None)
    lines = list(changed.values())
    if checkpoint[KEY].get("code") != code_fingerprint():
        lines.append("the code has changed")
    if lines:
        log.warning("resumed with other settings, so not what one uninterrupted run gives: %s", "; ".join(lines))
    _check_limits(path, checkpoint, cfg.trainer)
    return str(path)


def _newest_checkpoint(cfg: DictConfig) -> Path | None:
    """Return the newest valid checkpoint of ``resume_from``, or of an earlier start of this job of a sweep."""
    if cfg.resume_from is not None:
        path = existing(cfg.resume_from, "resume_from")
        return newest(path) if path.is_dir() else path
    folder = Path(cfg.paths.output_dir)
    if HydraConfig.get().mode != RunMode.MULTIRUN or not (folder / "config.yaml").is_file():
        return None
    try:
        return newest(folder)
    except UserError:
        if (folder / "metrics.csv").is_file():  # it had begun to train
            set_aside(folder)
        return None


def _check_state(
    path: Path, checkpoint: Mapping[str, Any], changed: Mapping[str, str], before: DictConfig, cfg: DictConfig
) -> None:
    """Refuse a checkpoint whose optimizer or scheduler does not fit the configuration."""
    state = [line for name, line in changed.items() if role(name) == Role.STATE]
    if state:
        raise UserError(
            f"{path} holds the state of another optimizer or scheduler ({'; '.join(state[:3])}): resume with the same "
            "settings, or take its weights alone with init_from="
        )
    planned = checkpoint["lr_schedulers"][0].get("total_steps")
    if isinstance(planned, int) and _trains_beyond(planned, before, cfg):
        raise UserError(
            f"{path} has a schedule of {planned} steps, which ends there and cannot be made longer: resume without "
            "raising trainer.max_epochs or trainer.max_steps or making batches smaller, or start a new run from its "
            "weights with init_from="
        )


def _trains_beyond(planned: int, before: DictConfig, cfg: DictConfig) -> bool:
    """Return whether a run needs more steps than its schedule was planned for."""
    if -1 < cfg.trainer.max_steps <= planned:
        return False
    if before.trainer.max_steps == planned or cfg.trainer.max_epochs == -1:
        return True
    # The more faces a step has, the fewer steps an epoch has.
    earlier, now = (run.data.batch_size * run.trainer.get("accumulate_grad_batches", 1) for run in (before, cfg))
    return cfg.trainer.max_epochs * earlier > before.trainer.max_epochs * now


def _check_limits(path: Path, checkpoint: Mapping[str, Any], trainer: DictConfig) -> None:
    """Refuse a limit of epochs or steps below those of the checkpoint; log where it goes on, or that it has ended."""
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    for unit, number in (("epochs", epochs), ("steps", checkpoint["global_step"])):
        limit = trainer[f"max_{unit}"]
        if -1 < limit < number:
            raise UserError(f"{path} has {number} {unit} behind it: trainer.max_{unit}={limit} is too low")
        if limit == number:
            sentence = "nothing left to train: %s has all %d %s; raise trainer.max_%s to train on"
            log.warning(sentence, path, number, unit, unit)
            return
    log.info("goes on from %s, step %d", path, checkpoint["global_step"])
