"""Configurations that cannot run, refused before torch is imported."""

import logging
import re
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_lightning.data.listing import check_source, locate
from fer_lightning.data.votes import read_votes
from fer_lightning.errors import UserError
from fer_lightning.launch.environment import check_gpu, check_packages, low_room, rank, started_processes
from fer_lightning.runs.checkpoints import checkpoint_file

log = logging.getLogger(__name__)

SECRET = re.compile(r"(api_?key|secret|password|token|credentials?)$", re.IGNORECASE)


def check_python() -> None:
    """Refuse a Python that Hydra fails on."""
    if sys.version_info >= (3, 14):
        raise UserError(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} is too new for Hydra 1.3: use 3.11 to 3.13"
        )


def check_secrets(arguments: list[str]) -> None:
    """Refuse secrets on the command line before Hydra writes it into the run's folder."""
    for name in (argument.partition("=")[0] for argument in arguments):
        if SECRET.search(name):
            raise UserError(
                f"{name} would be written into the run's files: give secrets as environment variables, such as "
                "WANDB_API_KEY"
            )


def check(cfg: DictConfig, config_name: str, carrier: str | None = None) -> None:
    """Refuse a configuration that cannot run; of several processes the main one speaks for all.

    Args:
        cfg: The composed configuration.
        config_name: Which one of ``conf/`` it is made of.
        carrier: The checkpoint that brings some of its options, such as ``checkpoint=best.ckpt``; a stranger may have
            written them.

    Raises:
        UserError: Naming the first option that cannot be.
    """
    if rank():
        return
    from fer_lightning.config.values import check_values  # here, so that --help needs no pydantic

    check_packages()
    check_values(cfg, config_name, carrier)
    if "trainer" in cfg:  # audit, predict and app have none
        _check_devices(cfg)
        check_gpu(cfg.trainer.accelerator)
    for option in ("checkpoint", "init_from", "bundle"):
        place = cfg.get(option)
        if place is not None and not (config_name in ("predict", "app") and _is_export(Path(place))):
            checkpoint_file(place, option)
    if (root := OmegaConf.select(cfg, "data.root")) not in (None, "kaggle"):  # predict and app need no faces
        check_source(locate(root))
    if (votes := OmegaConf.select(cfg, "data.votes")) is not None:
        read_votes(votes)
    output_dir = Path(cfg.paths.output_dir)
    if not output_dir.is_dir():
        raise UserError(
            f"paths.output_dir={output_dir} must be a folder that is there: hydra.run.dir=... makes one and sets it "
            "(hydra.sweep.dir for a sweep)"
        )
    if warning := low_room(output_dir):
        log.warning(warning)


def _is_export(place: Path) -> bool:
    """Return whether a model is a bundle's folder or an ONNX file, and so no checkpoint."""
    return place.is_dir() or place.suffix.lower() == ".onnx"


def _check_devices(cfg: DictConfig) -> None:
    """Refuse several devices where they would train apart, or cannot share a batch."""
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
