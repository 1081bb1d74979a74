"""The way of text to the console and to the log: what a terminal would obey or cannot show, and one that goes away."""

import io
import logging
import os
import sys
from contextlib import suppress
from typing import Any

from fer_lightning.data.names import printable


class Printable(logging.Formatter):
    """Formats log lines without control characters: names and options in them come from anywhere."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return printable(super().format(record))


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
