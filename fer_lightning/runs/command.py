"""The command line that goes on with a run or a sweep."""

import shlex
import sys
from pathlib import Path

OPTIONS = Path(".hydra", "overrides.yaml")  # what a run or sweep began with


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a sweep."""
    return (folder / OPTIONS).is_file() and not (folder / "config.yaml").is_file()


def command(folder: Path) -> str:
    """Return the command line that goes on with the run in a folder, or with the sweep that it is a job of."""
    option = f"sweep.resume={quoted(folder.parent)}" if is_sweep(folder.parent) else f"resume_from={quoted(folder)}"
    readable = not set(option) & set('"$`\\!')
    shown = option if "'" not in option else f'"{option}"' if readable else shlex.quote(option)
    return f"python {Path(sys.argv[0]).name} {shown}"


def quoted(path: Path) -> str:
    """Return a path as Hydra's grammar wants it."""
    text = str(path)
    if all(letter.isalnum() or letter in "/-_.+%@:" for letter in text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
