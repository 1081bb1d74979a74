"""The refusals before torch is imported: secrets, values, devices, checkpoints, faces, folders."""

import logging
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_lightning.config.instantiation import targets
from fer_lightning.config.signatures import flaw
from fer_lightning.data.corrections import read_corrections
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.facts import read_facts
from fer_lightning.data.lists import LabelList
from fer_lightning.data.votes import read_votes
from fer_lightning.errors import UserError, install_command
from fer_lightning.launch.environment import check_gpu, rank, started_processes
from fer_lightning.runs.checkpoints import checkpoint_file

log = logging.getLogger(__name__)

SECRET = re.compile(r"(api_?key|secret|password|token|credentials?)$", re.IGNORECASE)
EXTRAS = {  # beginning of a class -> the package that it needs, and the option that brings it
    "lightning.pytorch.loggers.MLFlowLogger": ("mlflow", "logger=mlflow"),
    "lightning.pytorch.loggers.TensorBoardLogger": ("tensorboard", "logger=tensorboard"),
    "umap.": ("umap", "callbacks=umap"),
}
ROOM = 2**30  # bytes; checkpoints, logs and figures of a run of FaceNet take a third of it


def check_current_folder() -> None:
    """Refuse a current folder that was deleted."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError("the current folder was deleted: change into one that exists, such as by cd ~") from None


def check_secrets(arguments: list[str]) -> None:
    """Refuse secrets on the command line before Hydra writes it into the run's folder."""
    for name, equals, _ in (argument.partition("=") for argument in arguments):
        if equals and SECRET.search(name):
            raise UserError(
                f"{name} would be written into the run's files: give secrets as environment variables, such as "
                "WANDB_API_KEY"
            )


def check(cfg: DictConfig, config_name: str) -> None:
    """Refuse a configuration that cannot run. Of several processes only the main one checks.

    Raises:
        UserError: Naming the first wrong option.
    """
    if rank():
        return
    from fer_lightning.config.values import check_values  # here, so that --help needs no pydantic

    check_values(cfg, config_name)
    if "trainer" in cfg:
        _check_devices(cfg)
        check_gpu(cfg.trainer.accelerator)
    _check_extras(cfg)
    _check_files(cfg)
    if warning := low_room(Path(cfg.paths.output_dir)):
        log.warning(warning)


def _check_files(cfg: DictConfig) -> None:
    """Refuse checkpoints, faces, votes, corrections and an output folder that do not exist or are damaged."""
    for option in ("checkpoint", "init_from"):
        path = cfg.get(option)
        if path is not None and ("trainer" in cfg or Path(path).suffix.lower() != ".onnx"):  # predict and app take that
            checkpoint_file(path, option)
    for path in cfg.get("predictions") or []:
        read_facts(path, "predictions")
    if cfg.get("trained_on") not in (None, "official", "folder"):
        read_facts(cfg.trained_on, "trained_on", "official, folder or a csv of the training faces")
    if "data" in cfg:
        from fer_lightning.data.readers import check_layout  # here, so that --help needs no Pillow

        votes = cfg.data.votes
        if votes is not None:
            read_votes(votes)
        elif cfg.data.crowd is not None:
            read_votes(cfg.data.crowd, "data.crowd")
        if cfg.data.corrections is not None:
            read_corrections(cfg.data.corrections)
        if cfg.data.metadata is not None:
            read_facts(cfg.data.metadata, "data.metadata")
        labelled = None if cfg.data.labels is None else LabelList(cfg.data.labels, cfg.data.columns)
        check_layout(cfg.data.root, CLASSES if votes else tuple(map(str, cfg.data.classes)), labelled)
    output_dir = Path(cfg.paths.output_dir)
    if not output_dir.is_dir():
        raise UserError(
            f"paths.output_dir={output_dir} must be a folder that is there: hydra.run.dir=... makes one and sets it "
            "(hydra.sweep.dir for a sweep)"
        )


def check_classes(cfg: DictConfig) -> None:
    """Refuse a class that cannot be imported, by the source of its module.

    Raises:
        UserError: Naming the option.
    """
    for option, target in targets(OmegaConf.to_container(cfg)):
        if reason := flaw(target):
            raise UserError(f"{option}={target} must be a class that can be imported, and {reason}")


def _check_extras(cfg: DictConfig) -> None:
    """Refuse what needs an extra that is not installed."""
    for _, target in targets(OmegaConf.to_container(cfg)):
        for prefix, (module, choice) in EXTRAS.items():
            if target.startswith(prefix) and find_spec(module) is None:
                raise UserError(f"{choice} needs {module}: {install_command(choice.partition('=')[2])}")
    if OmegaConf.select(cfg, "data.root") == "kaggle" and find_spec("kagglehub") is None:
        raise UserError(f"data.root=kaggle needs kagglehub: {install_command('kaggle')}")


def low_room(folder: Path) -> str | None:
    """Return a warning where the disk of a folder is nearly full, else None."""
    free = shutil.disk_usage(folder).free
    return f"only {free / 2**20:,.0f} MiB are free at {folder}; a run may need more" if free < ROOM else None


def _check_devices(cfg: DictConfig) -> None:
    """Refuse several devices that would train apart, or that cannot share a batch equally."""
    devices, started = cfg.trainer.devices, started_processes()
    nodes = cfg.trainer.get("num_nodes", 1)
    if HydraConfig.get().mode == RunMode.MULTIRUN and (str(devices) != "1" or started > 1):
        raise UserError(
            f"trainer.devices={devices} with -m: each process of a training would run the whole sweep. Leave -m out "
            "and start one run at a time (by torchrun or srun, too), or give each run one device: trainer.devices=1, "
            "several runs at once by hydra/launcher=joblib or hydra/launcher=slurm"
        )
    if started > 1 and str(devices) == "1" and nodes == 1:
        raise UserError(
            f"trainer.devices=1, but {started} processes were started for this training: use trainer=ddp (and "
            f"trainer.accelerator=cpu trainer.devices={started} on the CPU)"
        )
    processes = started if started > 1 or not isinstance(devices, int) else devices * nodes
    if processes > 1 and cfg.data.batch_size % processes:
        raise UserError(
            f"data.batch_size={cfg.data.batch_size} cannot be shared equally by {processes} processes "
            f"(trainer.devices={devices}): make it a multiple"
        )
