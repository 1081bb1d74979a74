"""Write what --help shows: lines to copy, then the choices of each group. Nothing is composed."""

import re
import textwrap
from collections.abc import Iterator
from typing import cast

from omegaconf import DictConfig, OmegaConf

from fer_lightning.config import CONF
from fer_lightning.config.commands import meanings
from fer_lightning.config.nodes import NODES, Role, role
from fer_lightning.config.suggestions import keys
from fer_lightning.config.verbs import TRACEBACK, may_sweep, program, verbs

WIDTH = 80  # letters, of the narrowest terminal that is common
INDENT = 20  # letters before a meaning, at least
EXAMPLES = {  # what people copy -> what it does; the names of commands are put in
    "{train} experiment=quickstart": "synthetic faces",
    "{train} data.root=faces.zip": "your own faces",
    "{audit} data.root=faces.zip": "look at them",
    "{train} -m optimizer=adam,sgd,rmsprop": "the paper's sweep",
    "{train} experiment=best data.root=faces.zip": "the best recipe",
    "{train} resume_from=RUN": "go on with a run",
    "{train} sweep.resume=SWEEP": "or with a sweep",
    "{eval} checkpoint=BEST": "score it again",
    "{predict} photo.jpg": "classify a picture",
    "{predict} BEST DIR": "or many",
    "{app}": "a page for photos",
    "{report} RUN": "report.html anew",
}
PLACES = "RUN is a folder of logs/train/runs, SWEEP of logs/train/multiruns, BEST is\nRUN/checkpoints/best.ckpt."
OVERRIDE = re.compile(r"^  - override /(\w+): (\w+)", re.MULTILINE)  # in a file of conf/, of another group's choice
FREQUENT = ("data.root", "data.image_size", "data.batch_size", "optimizer.lr", "trainer.max_epochs")


def write_help(command: str) -> str:
    """Return the help of a command."""
    meaning, content = meanings(command), cast(DictConfig, OmegaConf.load(CONF / f"{command}.yaml"))
    many = "[-m] " if may_sweep(command) else ""
    lines = [f"{program(command)} {many}[OPTION=VALUE ...]", "", *_examples(), "", PLACES, ""]
    lines += ["Groups, GROUP=CHOICE; * is what is taken unless another is given:"]
    lines += [line for group, choice in _choices(content.defaults).items() for line in _group(group, choice)]
    inherited = [name for name in map(str, content.defaults) if name in verbs()]
    lines += [f"  and those of {program(name)} --help, as the checkpoint chose them" for name in inherited]
    lines += ["", "Options, OPTION=VALUE (--cfg job prints every one with its value):"]
    frequent = () if inherited else FREQUENT
    lines += [_entry(name, meaning[name]) for name in (*frequent, *_values(content)) if name in meaning]
    return "\n".join([*lines, "", *_footer(command)])


def _examples() -> Iterator[str]:
    programs = {name: program(name) for name in verbs()}
    commands = {example.format(**programs): purpose for example, purpose in EXAMPLES.items()}
    width = max(map(len, commands))
    for line, purpose in commands.items():
        yield f"  {line:<{width}}  # {purpose}"


def _choices(defaults: list) -> dict[str, str | None]:
    """Return the groups of a defaults list, and the choice of each after the overrides of those behind it."""
    choices = {}
    for entry in filter(OmegaConf.is_dict, defaults):
        for group, choice in entry.items():
            choices[group.removeprefix("override ")] = choice
            file = CONF / group / f"{choice}.yaml"
            choices |= re.findall(OVERRIDE, file.read_text(encoding="utf-8")) if file.is_file() else []
    return choices


def _values(content: DictConfig) -> Iterator[str]:
    """Yield the options that a command's file gives a value itself, without names for W&B."""
    for name in keys(content):
        grouped = (CONF / name.partition(".")[0]).is_dir()
        if not grouped and role(name) < Role.NAME and not OmegaConf.is_dict(OmegaConf.select(content, name)):
            yield name


def _group(group: str, choice: str | None) -> Iterator[str]:
    """Yield the lines on a group; none where there is nothing to choose."""
    files = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    if len(files) < 2 or group == "hydra":
        return
    yield _entry(group, NODES[group].meaning)
    names = " ".join(f"{name}*" if name == choice else name for name in files)
    indent = " " * (INDENT + 2)
    yield textwrap.fill(names, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _entry(name: str, meaning: str) -> str:
    gap = max(INDENT, len(name) + 2)
    return textwrap.fill(f"  {name:<{gap}}{meaning}", WIDTH, subsequent_indent=" " * (INDENT + 2))


def _footer(command: str) -> Iterator[str]:
    yield f"{TRACEBACK}=1 shows tracebacks; --hydra-help has Hydra's own flags."
    if may_sweep(command):
        yield "-m runs each of several values, such as seed=0,1,2; hydra/launcher=joblib"
        yield "runs several at a time."
        yield "Completion by the tab key (bash, zsh, fish):"
        yield f'  eval "$({program(command)} -sc install=bash)"'
    if (readme := CONF.parent / "README.md").is_file():
        yield f"Read on: {readme}, docs/ beside it"
