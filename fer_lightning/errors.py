"""The exceptions for mistakes a user can mend, and the remedy that many of them name."""

from pathlib import Path


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
