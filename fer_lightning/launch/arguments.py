"""The command line as people type it, put into the words of Hydra."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from fer_lightning.config import CONF
from fer_lightning.errors import UserError
from fer_lightning.runs.command import key, quoted

POSITIONS = {  # verb -> options that may be given without their names, in this order
    **dict.fromkeys(("app", "eval", "export", "labels", "stress"), ("checkpoint",)),
    "audit": ("data.root",),
    "predict": ("checkpoint", "input"),
}
LISTS = {"score": "predictions"}  # verb -> the option of all values without a name
CHECKPOINTS = ("checkpoint", "init_from")
PATTERN = "data.person"  # an option that is a regular expression
LATEST = "latest"  # in place of a path: the checkpoint of the newest run
RUNS = Path("logs", "train")  # where runs stand unless hydra.run.dir says otherwise
TAKES_NEXT = re.compile(r"--(config-\w+|cfg|package|info|experimental-rerun)|-(cp|cn|cd|c|p|i)")  # flags of Hydra


def translate(arguments: Sequence[str], name: str) -> list[str]:
    """Return the options of a verb in Hydra's words.

    Values without a name get one, ``~/`` becomes the home folder, ``None`` null, and a run's folder its checkpoint.
    """
    return [_with_checkpoint(_with_value(argument)) for argument in _with_names(arguments, name)]


def _with_names(arguments: Sequence[str], name: str) -> list[str]:
    """Return the command line with a name before each value that has none, and each flag's value behind its ``=``.

    If fewer values are given than the verb has names for, they belong to the last of its options.
    """
    named, values = [""], {}
    for argument in arguments:
        is_option = "=" in argument or argument[:1] in ("-", "~", "+", "")
        if TAKES_NEXT.fullmatch(named[-1]) and not is_option:
            named[-1] += f"={argument}"
        else:
            if not is_option:
                values[len(named)] = quoted(Path(argument))
            named.append(argument)
    if name in LISTS and values:
        others = [argument for place, argument in enumerate(named) if place not in values]
        return [*others[1:], f"{LISTS[name]}=[{','.join(values.values())}]"]
    typed = {key(argument) for argument in named if "=" in argument}
    positions = [option for option in POSITIONS.get(name, ()) if option not in typed]
    if len(values) > len(positions):
        argument = named[[*values][len(positions)]]
        examples = " ".join(f"{option}=..." for option in POSITIONS.get(name, ("data.root",)))
        raise UserError(f"{argument:.200} has no name: options are written NAME=VALUE, such as {examples}")
    for option, (place, value) in zip(positions[len(positions) - len(values) :], values.items(), strict=True):
        named[place] = f"{option}={value}"
    return named[1:]


def _with_value(argument: str) -> str:
    """Return an option in quotes if it is a pattern, with the home folder for ``~``, and with null for ``None``."""
    option, equals, value = argument.partition("=")
    if not equals or argument.startswith("-"):
        return argument
    if key(option) == PATTERN and value[:1] not in ("'", '"', "") and value not in ("null", "None"):
        return f"{option}={quoted(value)}"  # brackets and backslashes have another meaning for Hydra
    if value == "None" and not (CONF / key(option)).is_dir():
        return f"{option}=null"
    if re.match(r"~(/|$)", value) and "," not in value:
        return f"{option}={quoted(Path(value).expanduser())}"
    return argument


def _with_checkpoint(argument: str) -> str:
    """Return an option with the best checkpoint of a run in place of the run's folder."""
    if key(argument) not in CHECKPOINTS or argument.startswith("-"):
        return argument
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except HydraException:  # it is refused later, in its own words
        return argument
    if value == LATEST:
        return f"{key(argument)}={quoted(_latest())}"
    if isinstance(value, str) and value and (checkpoint := Path(value, "checkpoints", "best.ckpt")).is_file():
        return f"{key(argument)}={quoted(checkpoint)}"
    return argument


def _latest() -> Path:
    """Return the best checkpoint that was written last, of the runs in the current folder's logs."""
    checkpoints = [*RUNS.glob("runs/*/checkpoints/best.ckpt"), *RUNS.glob("multiruns/*/*/checkpoints/best.ckpt")]
    if not checkpoints:
        raise UserError(
            f"{LATEST} names the newest run in {RUNS}, which holds no checkpoint: train one, or give a path"
        )
    return max(checkpoints, key=lambda path: path.stat().st_mtime)
