"""The way of text to the console and to the log: nothing that a terminal obeys, nothing that it cannot show."""

import io
import logging
import sys

from fer_lightning.data.names import printable


class Printable(logging.Formatter):
    """Formats log lines without control characters: names and options in them come from anywhere."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return printable(super().format(record))


def never_raise() -> None:
    """Let the console show as a number what its encoding lacks, as under LC_ALL=C every accent."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # in notebooks it is something else
        sys.stdout.reconfigure(errors="backslashreplace")
