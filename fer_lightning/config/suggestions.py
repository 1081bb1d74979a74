"""Suggest options and choices for one that does not exist."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from fer_lightning.config import CONF, user_folder
from fer_lightning.config.commands import accepts, chosen_by, class_options, meanings
from fer_lightning.config.signatures import takes
from fer_lightning.config.verbs import program
from fer_lightning.errors import UserError

# Name of an option in other programs, where neither its name here nor its meaning helps.
ALIASES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("bs", "batchsize"), ("data.batch_size",)),
    **dict.fromkeys(("backbone", "network", "net", "arch", "architecture"), ("embedder",)),
    **dict.fromkeys(
        ("bundle", "checkpoint", "ckpt", "ckpt_path", "model", "weights", "model_path"),
        ("checkpoint", "init_from", "resume_from"),
    ),
    **dict.fromkeys(("source", "images", "photos"), ("input", "data.root")),
    **dict.fromkeys(("dataset", "data_dir", "data_path", "data_root", "path"), ("data.root",)),
    **dict.fromkeys(("val_split", "validation_split", "val_share"), ("protocol.validation_share",)),
    **dict.fromkeys(("gpu", "gpus", "num_gpus"), ("trainer.devices",)),
    **dict.fromkeys(("device", "cuda"), ("trainer.accelerator",)),
    **dict.fromkeys(("fp16", "amp", "bf16"), ("trainer.precision",)),
    **dict.fromkeys(("out", "output", "output_dir", "save_dir"), ("hydra.run.dir",)),
    **dict.fromkeys(("resume", "continue"), ("resume_from",)),
    "wd": ("optimizer.weight_decay",),
    **dict.fromkeys(("neighbours", "neighbors", "n_neighbors"), ("classifier.k",)),
    "jobs": ("data.num_workers",),
    "protocol": ("trained_on",),  # of score, where these faces decide what is a test face
}
FLAG = re.compile(r"--?([A-Za-z][\w.-]+)(?:=(.*))?", re.DOTALL)
HYDRA_FLAGS = (  # argparse takes the beginning of a flag too
    *("help", "hydra-help", "version", "resolve", "package", "cfg", "run", "multirun", "shell-completion"),
    *("config-path", "config-name", "config-dir", "experimental-rerun", "info", "sc", "cp", "cn", "cd"),
)


def check_flags(arguments: Sequence[str], command: str) -> None:
    """Refuse an option that is written as a flag, such as --lr 0.1."""
    for position, argument in enumerate(arguments):
        match = FLAG.fullmatch(argument)
        if match is None or any(flag.startswith(match[1]) for flag in HYDRA_FLAGS):
            continue
        following = "".join(arguments[position + 1 : position + 2])
        if not following or following.startswith("-") or "=" in following:
            following = "..."
        cfg = choices_made(command, arguments)
        existing = list(keys(cfg, pointers=False))
        name = match[1].replace("-", "_")
        options = [name] if name in existing else similar(name, existing, command)
        options += [option for option in keys(cfg) if option.endswith(f".{name}")]
        hint = f"did you mean {options[0]}={match[2] or following}?" if options else f"see {program(command)} --help"
        raise UserError(f"{argument} is no option: options are written NAME=VALUE, {hint}")


def suggestion(key: str, cfg: DictConfig, command: str) -> str:
    """Return the end of a sentence on an option that does not exist: where it exists, or what is similar."""
    node, _, name = key.rpartition(".")
    target = OmegaConf.select(cfg, f"{node}._target_") if node else None
    described = key in meanings(command)
    of_library = target is not None and not class_options(target).closed and name in (takes(target) or ())
    if of_library or (target is not None and described and accepts(target, name)):
        return f" that a file of conf/ gives: write +{key}=... with the plus sign"
    existing = [option for option in keys(cfg, pointers=False) if option != key]
    choices = chosen_by(key)
    if target is not None and (choices or described):
        options = [option for option in class_options(target).options if accepts(target, option)]
        listed = f", which takes {', '.join(options)}" if options else ""
        hint = f": it comes with {_one_of(choices)}" if choices else ""
        return f" of {target.rpartition('.')[2]}{listed}{hint}"
    if choices and key not in existing:
        return f" here: it comes with {_one_of(choices)}"
    options = similar(key, existing, command)[:3]
    return f": did you mean {' or '.join(options)}?" if options else f": see {program(command)} --help"


def _one_of(choices: Sequence[str]) -> str:
    """Return choices of one group as ``loss=arcface or cosface``."""
    first, *others = choices
    return " or ".join([first, *(choice.partition("=")[2] for choice in others)])


def similar(key: str, existing: Sequence[str], command: str) -> list[str]:
    """Return the options that are similar to one that does not exist, the likeliest first."""
    guesses = next(filter(None, _guesses(key, existing, command)), [])
    return list(dict.fromkeys(guesses))


def _guesses(key: str, existing: Sequence[str], command: str) -> Iterator[list[str]]:
    """Yield lists of similar options, the likeliest list first."""
    around, name = key.rpartition(".")[0], key.lower().rpartition(".")[2]
    typed = _stems(name)
    last = {
        option: option.rpartition(".")[2] for option in sorted(existing, key=lambda key: (key.count("."), len(key)))
    }

    groups = {option.rpartition(".")[0] for option in existing}  # which take no value
    siblings = [
        option for option in existing if around and option.rpartition(".")[0] == around and option not in groups
    ]
    spellings = get_close_matches(name, [last[option] for option in siblings], n=3)
    longer = [option for option in siblings if typed < _stems(last[option])]  # max_epochs for epochs
    yield longer + [option for spelling in spellings for option in siblings if last[option] == spelling]

    yield [option for option in ALIASES.get(name, ()) if option in existing or option.startswith("hydra.")]
    yield [option for option in last if last[option] == name]

    lines = meanings(command)
    described = [option for option in existing if lines.get(option) == name.replace("_", " ")]
    stems = {option: _stems(last[option]) for option in last}
    yield described + [option for option in last if typed < stems[option] and len(stems[option]) == len(typed) + 1]

    yield get_close_matches(key, existing, n=3)
    spellings = get_close_matches(name, dict.fromkeys(last.values()), n=3, cutoff=0.75)
    yield [option for spelling in spellings for option in last if last[option] == spelling]


def no_choice(group: str, name: str, choices: Sequence[str] = ()) -> str:
    """Return the sentence on a choice that a group does not have."""
    choices = choices or sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    listed = ", ".join(choices)
    if name == "null":
        return f"{group}=null must be one of {listed}; a group that is to stay as it is is left out"
    if group == "data":  # which has one file, so a path was meant
        return f"data={name} does not exist: faces are given as data.root={name}"
    close = get_close_matches(name, choices, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{group}={name} does not exist: use one of {listed}{hint}"


def keys(node: DictConfig, prefix: str = "", pointers: bool = True) -> Iterator[str]:
    """Yield the names of the options. ``pointers=False`` leaves out options whose value follows from others."""
    for key in map(str, node):
        # ${name:}, a function without arguments, follows from no option.
        points = OmegaConf.is_interpolation(node, key) and ":}" not in str(OmegaConf.masked_copy(node, key))
        if pointers or not points:
            yield f"{prefix}{key}"
        if not points and OmegaConf.is_dict(child := node.get(key)):
            yield from keys(child, f"{prefix}{key}.", pointers)


def choices_made(command: str, arguments: Sequence[str] = ()) -> DictConfig:
    """Return the configuration of the files that a command line chooses, without the values that it sets."""
    chosen = [text for text in arguments if "=" in text and (CONF / text.lstrip("+").partition("=")[0]).is_dir()]
    folder = user_folder()
    path = [] if folder is None else [f"hydra.searchpath=['file://{folder}']"]
    for options in ([*chosen, *path], []):  # a choice may be what is wrong
        GlobalHydra.instance().clear()
        with suppress(HydraException), initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(command, options)
    raise AssertionError("conf/ does not compose")


def _stems(name: str) -> set[str]:
    """Return the words of a name without the s of a plural."""
    return {word.removesuffix("es" if word.endswith("ches") else "s") for word in name.split("_")}
