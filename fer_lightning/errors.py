"""Exceptions for mistakes that a user can correct, and phrases that their messages share."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE, FOLDER = "is a file", "is a folder"


class UserError(Exception):
    """A user's mistake, as one sentence that names the option or file and the remedy.

    Commands print the sentence without a traceback, and exit with code 1.
    """


class NotFiniteError(UserError):
    """NaN or infinity in an embedding, a loss, a gradient or a weight, found before it was saved."""


@contextmanager
def reading(key: str, source: str) -> Iterator[None]:
    """Raise a UserError in place of an error about the part of a checkpoint with this key."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:  # pydantic's is a ValueError
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise UserError(f"{source} holds a {key} that no training saves ({reason:.150}): give another") from error


def install_command(extra: str) -> str:
    """Return the command that installs an extra, in a checkout or for an installed wheel."""
    checkout = (Path(__file__).parents[1] / "pyproject.toml").is_file()
    return f"pip install -e '.[{extra}]'" if checkout else f"pip install 'fer_lightning[{extra}]'"


def path_kind(path: Path) -> str:
    """Return the end of a sentence about a path: ``FILE``, ``FOLDER``, or such as "does not exist" or "is a pipe".

    Links are followed. Nothing is opened, so a pipe cannot block.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except (OSError, ValueError) as error:  # such as a name that is too long, a loop of links, a null character
        return f"cannot be looked up ({getattr(error, 'strerror', None) or error})"
    kinds = {stat.S_ISREG: FILE, stat.S_ISDIR: FOLDER, stat.S_ISFIFO: "is a pipe", stat.S_ISSOCK: "is a socket"}
    return next((phrase for is_kind, phrase in kinds.items() if is_kind(mode)), "is a device")
