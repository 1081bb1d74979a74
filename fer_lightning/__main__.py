"""The command line: python -m fer_lightning VERB, or fer-lightning VERB. In a checkout train.py and eval.py train."""

import runpy
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from fer_lightning import __version__
from fer_lightning.errors import UserError
from fer_lightning.names import printable
from fer_lightning.signals import listen


class Verb(NamedTuple):
    """One thing that the command line does.

    Attributes:
        place: Module that does it and its function, imported when it is asked for, and given the arguments by name. A
            module alone is run as a script, and the rest of the line is Hydra's.
        help: What it does, in one line.
        arguments: Name -> options of ``add_argument``.
    """

    place: str
    help: str
    arguments: Mapping[str, Mapping[str, Any]] = {}


FOLDERS = {"nargs": "+", "type": Path, "metavar": "FOLDER"}
VERBS = {
    "audit": Verb("launch.audit", "look at the faces before a training; takes options as train does"),
    "train": Verb("launch.train", "train and test: train.py, where there is no checkout"),
    "eval": Verb("launch.eval", "score a checkpoint again: eval.py, where there is no checkout"),
    "predict": Verb("launch.predict", "classify pictures, a folder, a zip, a video or a camera by a trained network"),
    "export": Verb("launch.export", "write a trained network as a bundle or as an ONNX model"),
    "stress": Verb("launch.stress", "score a trained network's test faces in the dark, blurred, turned, covered"),
    "app": Verb("launch.app", "open a page on this machine that classifies photos and what a camera sees"),
    "report": Verb(
        "report.page:report",
        "write report.html and figures/ of runs and sweeps again",
        {
            "folders": {**FOLDERS, "help": "folder of a run or of a sweep"},
            "--output": {"type": Path, "help": "folder of the report; the first FOLDER unless given"},
        },
    ),
    "compare": Verb(
        "report.comparison:print_comparison",
        "compare two runs on the same test faces",
        {"folders": {**FOLDERS, "nargs": 2, "metavar": "RUN", "help": "folder of a run"}},
    ),
    "labels": Verb(
        "launch.labels:labels",
        "list the labels of the training folder that a run's network does not believe",
        {
            "run": {"type": Path, "metavar": "RUN", "help": "folder of a run"},
            "--output": {"type": Path, "help": "folder of labels.html and labels.csv; RUN unless given"},
            "--root": {"help": "folder, .zip or .csv of the faces, where they are no longer at the run's data.root"},
        },
    ),
    "tables": Verb(
        "report.paper_tables:tables",
        "fill tables 4 and 6 of the paper from runs",
        {"folders": {**FOLDERS, "help": "folder of runs or sweeps"}},
    ),
    "schema": Verb(
        "launch.schema.export:print_schema",
        "print a JSON schema of the configuration, by which editors complete and check YAML files",
        {"node": {"nargs": "?", "metavar": "GROUP", "help": "of the files in conf/GROUP; without it of all options"}},
    ),
    "dashboard": Verb(
        "report.wandb:dashboard",
        "make a view and a report of a sweep in W&B (extra dashboard)",
        {
            "project": {"metavar": "ENTITY/PROJECT"},
            "sweep": {"metavar": "SWEEP", "help": "name of the sweep's folder, which is its W&B group"},
        },
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb; a user's mistake ends with one sentence and exit code 1."""
    listen()  # before what takes longer than a Ctrl-C is imported
    from fer_lightning.launch.console import outlast_console

    outlast_console()
    parser = ArgumentParser(prog="fer-lightning", description=__doc__)
    parser.add_argument("--version", action="version", version=f"fer_lightning {__version__}")
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for name, verb in VERBS.items():
        own = verbs.add_parser(name, help=verb.help, description=verb.help, add_help=bool(verb.arguments))
        for argument, options in verb.arguments.items():
            own.add_argument(argument, **options)
    given, rest = parser.parse_known_args(arguments)
    values = vars(given)
    module, _, function = VERBS[values.pop("verb")].place.partition(":")
    if not function:
        sys.argv[1:] = rest
        runpy.run_module(f"fer_lightning.{module}", run_name="__main__", alter_sys=True)
        return
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        getattr(import_module(f"fer_lightning.{module}"), function)(**values)
    except UserError as error:
        sys.exit(f"error: {printable(str(error))}")


if __name__ == "__main__":
    main()
