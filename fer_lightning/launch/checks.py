"""Configurations that cannot run, refused before torch is imported."""

import logging
import re
from pathlib import Path

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_lightning.errors import UserError
from fer_lightning.launch.environment import check_packages, low_room, rank, started_processes
from fer_lightning.launch.messages import keys, meant

log = logging.getLogger(__name__)

SECRET = re.compile(r"(api_?key|secret|password|token|credentials?)$", re.IGNORECASE)
TYPES = (  # type of the default, types that may replace it, in words; bool is an int, so it comes first
    (bool, (bool, int), "true or false"),
    (int, (int, float), "a number"),
    (float, (int, float), "a number"),
    (str, (str, int, float), "text"),
)
SEVERAL_TYPES = ("trainer.devices", "trainer.deterministic")  # also take auto or a list, and warn


def check_secrets(arguments: list[str]) -> None:
    """Refuse secrets on the command line before Hydra writes it into the run's folder."""
    for name in (argument.partition("=")[0] for argument in arguments):
        if SECRET.search(name):
            raise UserError(
                f"{name} would be written into the run's files: give secrets as environment variables, such as "
                "WANDB_API_KEY"
            )


def check(cfg: DictConfig, config_name: str) -> None:
    """Refuse a configuration that cannot run; of several processes the main one speaks for all."""
    if rank():
        return
    check_packages()
    _check_types(cfg, config_name)
    if "trainer" in cfg:  # audit and predict have none
        _check_devices(cfg)
    root = OmegaConf.select(cfg, "data.root")  # predict needs no faces
    if root not in (None, "kaggle") and not Path(root).exists():
        raise UserError(
            f"data.root={root} does not exist (looked for {Path(root).absolute()}): give a folder or .zip "
            "that holds train/angry/*.jpg and so on, or fer2013.csv; or data.root=kaggle to download, or "
            "data.root=null for the drawn faces"
        )
    output_dir = Path(cfg.paths.output_dir)
    if output_dir.exists() and (warning := low_room(output_dir)):
        log.warning(warning)


def _check_types(cfg: DictConfig, config_name: str) -> None:
    """Compare every given value with the type of the one it replaces."""
    hydra = HydraConfig.get()
    overrides = OverridesParser.create().parse_overrides(list(hydra.overrides.task))
    choices = [f"{o.input_line}" for o in overrides if o.key_or_group in hydra.runtime.choices]
    values = [o for o in overrides if o.key_or_group not in hydra.runtime.choices and not o.is_delete()]
    if not values:
        return
    default = compose(config_name, overrides=[c for c in choices if not c.startswith("hydra/")])
    for override in values:
        key = override.key_or_group
        if (override.is_add() or override.is_force_add()) and "." not in key:
            raise UserError(f"{key} is no option{meant(key, list(keys(default)), config_name)}")
        old, new = (OmegaConf.select(node, key, throw_on_missing=False) for node in (default, cfg))
        wanted = next(
            (name for kinds, fits, name in TYPES if isinstance(old, kinds) and not isinstance(new, fits)), None
        )
        if new is not None and wanted and key not in SEVERAL_TYPES:
            raise UserError(f"{key}={new} must be {wanted}, such as {old}")


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
            f"data.batch_size={cfg.data.batch_size} cannot be shared equally by {processes} processes: make it a "
            "multiple"
        )
