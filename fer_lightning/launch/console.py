"""What stands on the console: whole lines above a live bar, nothing that a terminal obeys; and it may go away."""

import io
import logging
import os
import sys
import textwrap
from contextlib import suppress
from typing import Any

from rich import get_console

from fer_lightning.names import printable


class Printable(logging.Formatter):
    """Formats log lines without control characters: names and options in them come from anywhere."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return printable(super().format(record))


class ConsoleHandler(logging.StreamHandler):
    """Write the lines of a log: plain ones as they are, on a terminal through rich's one console.

    That console is also what Lightning's progress bar and ``data.progress`` draw on, so lines come to stand above a
    live bar. They are wrapped between words; one that is logged with ``extra=WHOLE`` (runs/command.py) is left to the
    terminal, from which it can then be copied in one piece.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        console = get_console()
        if not console.is_terminal:
            super().emit(record)
            return
        try:
            text = self.format(record)
            if getattr(record, "wrap", True):
                text = "\n".join(_wrapped(line, console.width) for line in text.splitlines())
            console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)
        except Exception:  # as every handler of the standard library
            self.handleError(record)


def _wrapped(line: str, width: int) -> str:
    """Return a line in parts that fit, a long word in one piece; what comes after the first part is moved in."""
    return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def outlast_console() -> None:
    """Let a command go on when its standard output can no longer be written; it is said once, on standard error.

    What the console's encoding lacks, as under LC_ALL=C every accent, is shown as a number.
    """
    console = sys.stdout
    if console is None:  # closed by whoever started it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  as long as the process
    if isinstance(console, io.TextIOWrapper) and console is sys.__stdout__:  # else somebody has put another there
        console.flush()
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Lasting(console.fileno(), "w", closefd=False)),
            encoding=console.encoding,
            errors="backslashreplace",
            line_buffering=console.line_buffering or console.write_through,
        )


class _Lasting(io.FileIO):
    """A file that becomes /dev/null, for the processes started later too, at the first failure to write it."""

    def write(self, data: Any) -> int:
        """Write, or lose, the data."""
        try:
            return super().write(data)
        except OSError as error:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            with suppress(OSError):  # it may be the same terminal
                print(
                    f"standard output cannot be written ({error.strerror}): the command goes on without it; what a run "
                    "says stands in the .log file of its folder",
                    file=sys.stderr,
                )
            return len(data)
