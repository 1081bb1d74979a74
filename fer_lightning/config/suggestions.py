"""What was probably meant by an option or a choice that does not exist."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from fer_lightning.config import CONF
from fer_lightning.config.verbs import program
from fer_lightning.errors import UserError

# What other programs call an option, where neither its name nor the schema's words tell.
ALIASES = {
    **dict.fromkeys(("bs", "batchsize"), "data.batch_size"),
    **dict.fromkeys(("backbone", "network", "net", "arch", "architecture"), "embedder"),
    **dict.fromkeys(("ckpt", "weights", "model_path"), "checkpoint"),
    "checkpoint": "bundle",  # where it is no option itself: of app
    **dict.fromkeys(("dataset", "data_dir", "data_path", "data_root", "path"), "data.root"),
    **dict.fromkeys(("gpu", "gpus", "num_gpus"), "trainer.devices"),
    **dict.fromkeys(("device", "cuda"), "trainer.accelerator"),
    **dict.fromkeys(("fp16", "amp", "bf16"), "trainer.precision"),
    **dict.fromkeys(("out", "output", "output_dir", "save_dir"), "hydra.run.dir"),
    **dict.fromkeys(("resume", "continue"), "resume_from"),
    "wd": "optimizer.weight_decay",
    "jobs": "data.num_workers",
}
FLAG = re.compile(r"--?([A-Za-z][\w.-]+)(?:=(.*))?", re.DOTALL)
HYDRAS = (  # flags of Hydra's own, of which argparse takes the beginnings too
    *("help", "hydra-help", "version", "resolve", "package", "cfg", "run", "multirun", "shell-completion"),
    *("config-path", "config-name", "config-dir", "experimental-rerun", "info", "sc", "cp", "cn", "cd"),
)


def check_flags(arguments: Sequence[str], config_name: str) -> None:
    """Refuse an option that is written as a flag, such as --lr 0.1, with how it is written here."""
    for argument, following in zip(arguments, [*arguments[1:], "-"], strict=False):
        found = FLAG.fullmatch(argument)
        if found is None or any(flag.startswith(found[1]) for flag in HYDRAS):
            continue
        option = next(iter(close_to(found[1].replace("-", "_"), known_keys(config_name), config_name)), None)
        value = found[2] or ("..." if following.startswith("-") or "=" in following else following)
        raise UserError(
            f"{argument} is no option: options are written NAME=VALUE, "
            + (f"did you mean {option}={value}?" if option else f"see {program(config_name)} --help")
        )


def meant(key: str, known: Sequence[str], config_name: str) -> str:
    """Return what to say after an option that does not exist: those that come close."""
    if key not in known and key in _meanings(config_name):
        return f" that a file of conf/ gives: write +{key}=... with the plus sign"
    close = close_to(key, known, config_name)
    return f": did you mean {' or '.join(close[:3])}?" if close else f": see {program(config_name)} --help"


def close_to(key: str, known: Sequence[str], config_name: str) -> list[str]:
    """Return the options that come close to one that does not exist, the likeliest first.

    Those are, in this order: what other programs mean by it, options that end in it, those whose meaning it is, those
    that end in it and one word more (max_epochs for epochs), and those that are spelt alike.
    """
    *_, name = key.lower().rsplit(".", 1)
    ends = {option: option.rsplit(".", 1)[-1] for option in sorted(known, key=lambda one: (one.count("."), len(one)))}
    alias = [one for one in [ALIASES.get(name, "")] if one in known or one.startswith("hydra.")]
    same = [option for option, end in ends.items() if end == name]
    if "." in key:
        return list(dict.fromkeys([*same, *alias, *get_close_matches(key, known, n=3)]))
    if alias or same:
        return [*alias, *same]
    told = [
        option
        for option, meaning in _meanings(config_name).items()
        if option in known and meaning == name.replace("_", " ")
    ]
    words = _stems(name)
    longer = [option for option, end in ends.items() if words < _stems(end) and len(_stems(end)) == len(words) + 1]
    spelt = get_close_matches(name, dict.fromkeys(ends.values()), n=3, cutoff=0.75)
    alike = [*get_close_matches(key, known, n=3), *(option for one in spelt for option in ends if ends[option] == one)]
    return list(dict.fromkeys([*told, *longer, *([] if told or longer else alike)]))


def no_choice(group: str, name: str, choices: Sequence[str] = ()) -> str:
    """Return what is wrong with a choice of a group that does not exist.

    Args:
        group: Its name, such as optimizer or hydra/launcher.
        name: What was asked for.
        choices: What there is, as Hydra says it; where it says nothing, the files of ``conf/``.
    """
    choices = choices or sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    listed = ", ".join(choices)
    if name == "null":
        return f"{group}=null must be one of {listed}; a group that is to stay as it is is left out"
    close = get_close_matches(name, choices, n=1)
    return f"{group}={name} does not exist: use one of {listed}" + "".join(f" (did you mean {one}?)" for one in close)


def keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield every option of a configuration; what points to another node has none of its own."""
    for key in map(str, node):
        yield f"{prefix}{key}"
        if not OmegaConf.is_interpolation(node, key) and OmegaConf.is_dict(child := node.get(key)):
            yield from keys(child, f"{prefix}{key}.")


def known_keys(config_name: str) -> list[str]:
    """Return the options of a command as ``conf/`` alone composes it, without those that take another's value."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(config_name)
    parts = [(name, *name.rpartition(".")) for name in keys(cfg)]
    own = ((name, OmegaConf.select(cfg, parent) if parent else cfg, key) for name, parent, _, key in parts)
    return [name for name, node, key in own if not OmegaConf.is_interpolation(node, key)]


def _meanings(config_name: str) -> dict[str, str]:
    from fer_lightning.config.commands import meanings  # here, for only a mistake needs pydantic

    return meanings(config_name)


def _stems(name: str) -> set[str]:
    """Return the words of a name without the s of a plural."""
    return {word.removesuffix("es" if word.endswith("ches") else "s") for word in name.split("_")}
