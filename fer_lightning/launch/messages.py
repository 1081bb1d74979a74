"""Errors as one sentence: wrong options, and failures of the machine such as memory, disk and drivers."""

import errno
import inspect
import re
import shutil
import sys
import traceback
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from fer_lightning.config import CONF
from fer_lightning.config.suggestions import choices_made, no_choice, suggestion
from fer_lightning.config.verbs import TRACEBACK, may_sweep, program_at_work
from fer_lightning.errors import UserError, install_command
from fer_lightning.launch.claims import current_folder, deleted_folder
from fer_lightning.launch.environment import no_device, torch_build, torchvision_mismatch
from fer_lightning.names import printable

# Functions of Hydra that run a job, send it to another process or take its result from there.
STARTED = {"run_job", "return_value", "launch"}
EXTRAS = {"hydra/launcher/joblib": "joblib", "hydra/launcher/submitit_slurm": "slurm"}  # plugin of Hydra -> our extra
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)
CALL = re.compile(r"Error in call to target '[^']+':\s*\w+\((['\"])(.*)\1\)\s*full_key: (\S+)", re.DOTALL)
# Message of a library -> our sentence; {} is the pattern's group.
REMEDIES = (
    (
        r"DataLoader worker .*(?:killed by signal|exited unexpectedly)",
        "a process that prepares batches was killed, often because /dev/shm is too small: use data.num_workers=0, or "
        "start the container with --shm-size=2g",
    ),
    (
        r"DataLoader timed out after (\S+) seconds",
        "no batch came for {} seconds, so a process that prepares them hangs: use data.num_workers=0, or raise "
        "data.worker_timeout",
    ),
    (
        r"(\S+) does not have a deterministic implementation",
        "{} has no deterministic form on this device: use trainer.deterministic=warn",
    ),
    (
        r"Deterministic behavior was enabled .*(CUBLAS_WORKSPACE_CONFIG=\S+)",
        "trainer.deterministic=true needs {} in the environment: set it, or use trainer.deterministic=warn",
    ),
    (r"Expected more than 1 value per channel", "batch norm needs two faces or more: make data.batch_size larger"),
    (
        r"gloo.*(?:closed by peer|reset by peer)",
        "another process of this training has ended: what it said stands above",
    ),
    (r"(`?val_check_interval`? .*)", "trainer.val_check_interval: {}"),
    (
        r"Additional config directory '(.*)' not found",
        "--config-dir={} does not exist: give the folder of your own files of options, such as embedder/mine.yaml",
    ),
    (
        r"Tried to step \d+ times\. The specified number of total steps is (\d+)",
        "the scheduler was planned for {} steps, those of the run as it began: resume without a higher "
        "trainer.max_epochs or trainer.max_steps, or start a longer run from the weights with init_from=",
    ),
)


def diagnose(error: BaseException, cfg: DictConfig | None = None) -> str | None:
    """Return one sentence with the remedy for what ended a job or a command, or None for an unknown error."""
    if folder := deleted_folder():
        return deleted(folder)
    if isinstance(error.__cause__, UserError):  # raised while Hydra instantiated a node
        return str(error.__cause__)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or re.search(r"out of memory|not enough memory: you tried", text):
        size = f" (it is {cfg.data.batch_size})" if cfg is not None else ""
        return (
            f"out of memory: make data.batch_size{size} or data.eval_batch_size smaller, or use "
            f"trainer.precision=bf16-mixed ({text or type(error).__name__:.200})"
        )
    if isinstance(error, OSError) and (sentence := _disk_error(error)):
        return sentence
    if "torchvision::nms" in text:
        return torchvision_mismatch()
    if match := re.search(r"Argument\(s\) (.+) are not valid for transform (\w+)", text):
        arguments = inspect.signature(getattr(sys.modules["albumentations"], match[2])).parameters
        return f"augmentation: {match[2]} does not take {match[1]}: use {', '.join(arguments)}"
    for pattern, remedy in REMEDIES:
        if match := re.search(pattern, text):
            return remedy.format(*match.groups())
    if type(error).__name__ == "MisconfigurationException":  # Lightning's, about its own arguments
        return f"trainer: {text}"
    return None


def _disk_error(error: OSError) -> str | None:
    """Return the sentence for a full disk or a file that cannot be written, or None for another error."""
    if error.errno in FULL:
        path = Path(error.filename or current_folder() or ".")
        folder = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
        free = shutil.disk_usage(folder).free
        return (
            f"the disk is full at {path} ({free:,} bytes free, {error.strerror}): free some space or choose another "
            "hydra.run.dir; checkpoints written before are whole"
        )
    if error.errno in CLOSED and error.filename:
        return (
            f"{error.filename} cannot be opened or written ({error.strerror}): choose another hydra.run.dir "
            "(hydra.sweep.dir for a sweep), which sets paths.output_dir, or another paths.cache_dir"
        )
    return None


def deleted(folder: Path) -> str:
    """Return the sentence for a folder that was deleted during its run."""
    return f"{folder} was deleted while the command wrote into it: start it again, and leave its folder in place"


def explain(error: Exception, config_name: str) -> str | None:
    """Return an error as one line, with the option that was probably meant; None for a bug."""
    sentence = _sentence(error, config_name)
    return None if sentence is None else printable(" ".join(sentence.split()))  # an option may hold line breaks


def _sentence(error: Exception, config_name: str) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    if sentence := diagnose(error):
        return sentence
    if sentence := next(filter(None, map(_options_in_braces, sys.argv[1:])), None):
        return sentence
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _explain_hydra(error, config_name)
    if "Config group override must be a string" in str(error):  # optimizer=3, data=null
        options = [argument for argument in sys.argv[1:] if "=" in argument]
        for override in OverridesParser.create().parse_overrides(options):
            if (CONF / override.key_or_group).is_dir() and not isinstance(override.value(), str | list):
                return no_choice(override.key_or_group, str(override.input_line).partition("=")[2])
    if STARTED.isdisjoint(frame.name for frame in traceback.extract_tb(error.__traceback__)):
        # No job has started: Hydra's parser has failed on the command line.
        return f"the options cannot be read ({type(error).__name__}: {error})"
    return None


def _options_in_braces(text: str) -> str | None:
    """Return the sentence on options that are given to a group at once, such as ``optimizer={'lr': 0.01}``."""
    group, _, value = text.partition("=")
    if not (value.startswith("{") and (CONF / group).is_dir()):
        return None
    options = " ".join(
        f"{group}.{name}={item}" for name, item in re.findall(r"""['"]?(\w+)['"]?\s*:\s*([^\s,}]+)""", value)
    )
    return f"{group}= chooses a file of conf/{group}; its options are set one by one: {options}"


def _explain_hydra(error: Exception, config_name: str) -> str:
    """Return a message of Hydra or OmegaConf as one sentence about the option."""
    text = str(error)
    if match := re.search(r"Could not override '([^']+)'", text):
        return f"{match[1]} is no option{suggestion(match[1], choices_made(config_name, sys.argv[1:]), config_name)}"
    if (match := re.search(r"Could not (?:find|load) '([\w/]+)'", text)) and match[1] in EXTRAS:
        return f"{match[1]} is not installed: {install_command(EXTRAS[match[1]])}"
    if match := re.search(r"Could not find '([\w/]+)/([^'/]+)'", text):
        return no_choice(match[1], match[2], re.findall(r"^\t([\w-]+)$", text, re.MULTILINE))
    if match := re.search(r"Ambiguous value for argument '(.+)'", text):
        sweep = ""
        if may_sweep(config_name):
            sweep = f"add -m for a run with each of them ({program_at_work()} -m {match[1]}); "
        return (
            f"{match[1]} gives several values: {sweep}a list stands in brackets, and quotes around what holds a comma, "
            "such as 'data.root=\"a,b.zip\"'"
        )
    if isinstance(error, OverrideParseException):
        return (
            f"the option {error.override} cannot be read ({text.splitlines()[0]}): quote what holds = , : or braces, "
            f"such as 'data.root=\"a=b.zip\"'"
        )
    if match := re.search(r"Error merging override (\S*\{.*\bnull:.*)", text):
        return f"{match[1]} cannot be read: null is not a name; to leave a class out, write data.map={{disgust:null}}"
    if "No supported gpu backend" in text:
        return no_device(torch_build())
    if match := re.search(r"Missing mandatory value: (\S+)", text):
        return f"{match[1]} is missing: add {match[1]}=..."
    if match := re.search(r"Interpolation key '([^']+)' not found", text):
        if match[1].startswith("loss."):
            return f"{match[1]} is missing: with another loss than triplet use miner=none or miner=batch_hard"
        return f"{match[1]} is missing, and other options take their value from it: give {match[1]}=... a value"
    if match := CALL.search(text):
        return f"{match[3]}: {match[2]} ({TRACEBACK}=1 shows where)"
    return text
