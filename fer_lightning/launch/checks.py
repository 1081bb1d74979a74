"""What can be said of a configuration before torch is imported, and errors as one sentence."""

import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import fer_lightning.launch.resolvers  # noqa: F401  here too: the processes of a launcher import this module, not train.py
from fer_lightning.errors import UserError, install_command
from fer_lightning.launch.environment import check_packages, check_python, low_room, rank, started_processes
from fer_lightning.launch.messages import diagnose
from fer_lightning.launch.resume import resume_arguments
from fer_lightning.runs.overrides import CONF

log = logging.getLogger(__name__)

INHERITED = "FER_LIGHTNING_ERRORS"  # says to processes that Lightning starts that HYDRA_FULL_ERROR is ours
# Functions of Hydra's that run a job, take its result from another process, or send it there.
STARTED = {"run_job", "return_value", "launch"}
EXTRAS = {  # plugins of Hydra's that are not there -> what to install
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_slurm": "slurm",
    "hydra/sweeper/optuna": "optuna",
}
SECRET = re.compile(r"(api_?key|secret|password|token|credentials?)$", re.IGNORECASE)


def run(task: Callable[[], object], config_name: str) -> None:
    """Run a Hydra entry point; a user's mistake ends with one sentence and exit code 1.

    With HYDRA_FULL_ERROR=1 in the environment every error comes with its traceback instead. Where several processes
    train, all but the main one run with ``hydra=follower``.
    """
    follower = ["hydra=follower"] if rank() else []
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))  # runs what closes files and W&B
    if os.environ.get("HYDRA_FULL_ERROR") == "1" and INHERITED not in os.environ:
        sys.argv[1:] = [*resume_arguments(sys.argv[1:]), *follower]
        task()
        return
    os.environ |= {"HYDRA_FULL_ERROR": "1", INHERITED: "1"}  # Hydra hands its exceptions over instead of printing them
    try:
        check_python()
        _check_secrets(sys.argv[1:])
        sys.argv[1:] = [*resume_arguments(sys.argv[1:]), *follower]
        task()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sentence = explain(error, config_name)
        if sentence is None:  # a bug: its traceback is what helps
            raise
        sys.exit(f"error{f' in process {rank()}' * bool(follower)}: {sentence}")


def check(cfg: DictConfig, config_name: str) -> None:
    """Refuse a configuration that cannot run; of several processes the main one speaks for all.

    Raises:
        UserError: Naming the option and the remedy.
    """
    if rank():
        return
    check_packages()
    _check_types(cfg, config_name)
    if "trainer" in cfg:  # the audit has none
        _check_devices(cfg)
    root = cfg.data.root
    if root not in (None, "kaggle") and not Path(root).exists():
        raise UserError(
            f"data.root={root} does not exist (looked for {Path(root).absolute()}): give a folder or .zip "
            "that holds train/angry/*.jpg and so on, or fer2013.csv; or data.root=kaggle to download, or "
            "data.root=null for the drawn faces"
        )
    output_dir = Path(cfg.paths.output_dir)
    if output_dir.exists() and (warning := low_room(output_dir)):
        log.warning(warning)


def explain(error: Exception, config_name: str) -> str | None:
    """Return an error as one line, with what was probably meant; None for what can only be a bug."""
    sentence = _sentence(error, config_name)
    return None if sentence is None else " ".join(sentence.split())  # what was typed may hold line breaks


def _sentence(error: Exception, config_name: str) -> str | None:
    """Return an error as one sentence, or None."""
    if isinstance(error, UserError):
        return str(error)
    if sentence := diagnose(error):
        return sentence
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _explain_hydra(error, config_name)
    for key, _, value in (argument.partition("=") for argument in sys.argv[1:]):
        if (CONF / key).is_dir() and "must be a string" in str(error):  # optimizer=3
            return _no_choice(key, value)
    if STARTED.isdisjoint(frame.name for frame in traceback.extract_tb(error.__traceback__)):
        # Hydra was still reading the command line: whatever its parser stumbles over was written there.
        return f"the options cannot be read ({type(error).__name__}: {error})"
    return None


def _explain_hydra(error: Exception, config_name: str) -> str:
    """Return Hydra's complaint as one sentence."""
    text = str(error)
    if match := re.search(r"Could not override '([^']+)'", text):
        return f"{match[1]} is no option{_meant(match[1], _known_keys(config_name))}"
    if (match := re.search(r"Could not (?:find|load) '([\w/]+)'", text)) and match[1] in EXTRAS:
        return f"{match[1]} is not installed: {install_command(EXTRAS[match[1]])}"
    if match := re.search(r"Could not find '([\w/]+)/([^'/]+)'", text):
        return _no_choice(match[1], match[2])
    if isinstance(error, OverrideParseException):
        return (
            f"the option {error.override} cannot be read ({text.splitlines()[0]}): quote what holds = , : or braces, "
            f"such as 'data.root=\"a=b.zip\"'"
        )
    if "No supported gpu backend" in text:
        torch = sys.modules["torch"]
        build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        return (
            "trainer.accelerator=gpu finds no CUDA device: use trainer=cpu or trainer=auto; torch "
            f"{torch.__version__} is built {build}{', so a driver is missing or too old' * bool(torch.version.cuda)}"
        )
    if match := re.search(r"Missing mandatory value: (\S+)", text):
        return f"{match[1]} is missing: add {match[1]}=..."
    if match := re.search(r"Interpolation key '([^']+)' not found", text):
        return f"{match[1]} is missing: with another loss than triplet use miner=none or miner=batch_hard"
    if "Error locating target 'umap." in text:
        return f"callbacks=umap needs umap-learn: {install_command('umap')}"
    if match := re.search(
        r"Error in call to target '[^']+':\s*\w+\((['\"])(.*)\1\)\s*full_key: (\S+)", text, re.DOTALL
    ):
        return f"{match[3]}: {match[2]} (HYDRA_FULL_ERROR=1 shows where)"
    return text


def _check_secrets(arguments: list[str]) -> None:
    """Refuse secrets on the command line before Hydra writes it into the run's folder."""
    for key in (argument.partition("=")[0] for argument in arguments):
        if SECRET.search(key):
            raise UserError(
                f"{key} would be written into the run's files: give secrets as environment variables, such as "
                "WANDB_API_KEY"
            )


def _check_types(cfg: DictConfig, config_name: str) -> None:
    """Compare every given value with the type of the one it replaces."""
    hydra = HydraConfig.get()
    overrides = OverridesParser.create().parse_overrides(list(hydra.overrides.task))
    choices = [o.input_line for o in overrides if o.key_or_group in hydra.runtime.choices]
    values = [o for o in overrides if o.key_or_group not in hydra.runtime.choices and not o.is_delete()]
    if not values:
        return
    default = compose(config_name, overrides=[c for c in choices if not c.startswith("hydra/")])
    for override in values:
        key = override.key_or_group
        if (override.is_add() or override.is_force_add()) and "." not in key:
            raise UserError(f"{key} is no option{_meant(key, list(_keys(default)))}")
        old, new = (OmegaConf.select(node, key, throw_on_missing=False) for node in (default, cfg))
        wanted = next(
            (name for kinds, fits, name in TYPES if isinstance(old, kinds) and not isinstance(new, fits)), None
        )
        if new is not None and wanted and key not in SEVERAL_TYPES:
            raise UserError(f"{key}={new} must be {wanted}, such as {old}")


def _check_devices(cfg: DictConfig) -> None:
    """Refuse several devices where they would train apart, or cannot share a batch."""
    devices, started = cfg.trainer.devices, started_processes()
    if HydraConfig.get().mode == RunMode.MULTIRUN and (str(devices) != "1" or started > 1):
        raise UserError(
            f"trainer.devices={devices} with -m: each process of a training would run the whole sweep. Leave -m out "
            "and start one run at a time (by torchrun or srun, too), or give each run one device: trainer.devices=1, "
            "several runs at once by hydra/launcher=joblib or hydra/launcher=slurm"
        )
    if started > 1 and str(devices) == "1" and cfg.trainer.get("num_nodes", 1) == 1:
        raise UserError(
            f"trainer.devices=1, but {started} processes were started for this training: use trainer=ddp (and "
            f"trainer.accelerator=cpu trainer.devices={started} on the CPU)"
        )
    processes = started if started > 1 or not isinstance(devices, int) else devices * cfg.trainer.get("num_nodes", 1)
    if processes > 1 and cfg.data.batch_size % processes:
        raise UserError(
            f"data.batch_size={cfg.data.batch_size} cannot be shared equally by {processes} processes: make it a "
            "multiple"
        )


TYPES = (  # type of the default, types that may replace it, in words; bool is an int, so it comes first
    (bool, (bool, int), "true or false"),
    (int, (int, float), "a number"),
    (float, (int, float), "a number"),
    (str, (str, int, float), "text"),
)


SEVERAL_TYPES = ("trainer.devices", "trainer.deterministic")  # also take auto or a list, and warn


def _no_choice(group: str, name: str) -> str:
    choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return f"{group}={name} does not exist: use one of {', '.join(choices)}"


def _known_keys(config_name: str) -> list[str]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return list(_keys(compose(config_name)))


def _keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in node:
        yield prefix + str(key)
        if OmegaConf.is_dict(child := node._get_node(key)) and not child._is_interpolation():
            yield from _keys(child, f"{prefix}{key}.")


def _meant(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=3)
    close += [name for name in known if name.endswith(f".{key.rsplit('.', 1)[-1]}") and name not in close]
    return f": did you mean {' or '.join(close[:3])}?" if close else ": see python train.py --help"
