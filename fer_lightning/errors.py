"""The exceptions for mistakes a user can mend, and words that many of them use."""

import stat
from pathlib import Path

FILE, FOLDER = "is a file", "is a folder"


class UserError(Exception):
    """A mistake of the user's, as one sentence that names the option or file and the remedy.

    The entry points print the sentence alone, without a traceback, and exit with code 1.
    """


class NotFiniteError(UserError):
    """NaN or infinity in an embedding, a loss, a gradient or a weight; nothing of it has been saved."""


def install_command(extra: str) -> str:
    """Return the command that installs an extra where the reader is: in a checkout, or beside an installed wheel."""
    checkout = (Path(__file__).parents[1] / "pyproject.toml").is_file()
    return f"pip install -e '.[{extra}]'" if checkout else f"pip install 'fer_lightning[{extra}]'"


def stands_at(path: Path) -> str:
    """Return what stands at a path, links followed, as the end of a sentence; nothing is opened, so nothing can hang.

    Returns:
        ``FILE``, ``FOLDER``, or what is neither: "does not exist", "is a pipe" and so on.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except (OSError, ValueError) as error:  # such as a name that is too long, a loop of links, a null character
        return f"cannot be looked up ({getattr(error, 'strerror', None) or error})"
    kinds = {stat.S_ISREG: FILE, stat.S_ISDIR: FOLDER, stat.S_ISFIFO: "is a pipe", stat.S_ISSOCK: "is a socket"}
    return next((words for is_kind, words in kinds.items() if is_kind(mode)), "is a device")
