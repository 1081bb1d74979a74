"""The console: whole lines above a live bar, no control characters, no needless warnings; a run outlasts it."""

import io
import logging
import os
import sys
import textwrap
import warnings
from contextlib import suppress
from typing import Any

from rich import get_console

from fer_lightning.names import printable

# Warnings of libraries that are no news about a run, each with the reason.
NOTICES = (
    ".*does not have many workers",  # batches come out of one array in memory
    "The `srun` command is available",  # also shown where Slurm is not meant
    ".*LeafSpec.* is deprecated",  # Lightning 2.6 on torch 2.15
    ".*your dataloader is not resumable",  # its sampler starts where training stopped
    "It is recommended to use .self.log.*sync_dist",  # every process logs the same number
    "The dirpath has changed from",  # an evaluation writes into a folder of its own
    "The version_base parameter is deprecated",  # Hydra 1.4; Hydra 1.3 asks for it
    ".*exists and is not empty",  # the CSV logger and the checkpoints of a resumed run
)


def quiet() -> None:
    """Silence these warnings; make an error of albumentations' warning about a wrong argument."""
    for notice in NOTICES:
        warnings.filterwarnings("ignore", notice)
    warnings.filterwarnings("error", "Argument.* not valid", UserWarning)


class Printable(logging.Formatter):
    """Formats log lines without control characters, because names and options in them come from anywhere."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return printable(super().format(record))


class ConsoleHandler(logging.StreamHandler):
    """Writes log lines: plain ones as they are, on a terminal through rich.

    Lightning's progress bar and ``data.progress`` use rich's console too, so lines appear above a live bar. They are
    wrapped between words. A line that is logged with ``extra=WHOLE`` (runs/command.py) is not, so that it can be
    copied in one piece.
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
                wrapper = textwrap.TextWrapper(
                    console.width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
                )
                text = "\n".join(map(wrapper.fill, text.splitlines()))
            console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)
        except Exception:  # as in every handler of the standard library
            self.handleError(record)


def outlast_console() -> None:
    """Keep the command running when its standard output is closed. Characters that it cannot show become numbers."""
    console = sys.stdout
    if console is None:  # closed before the start
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  as long as the process
    if isinstance(console, io.TextIOWrapper) and console is sys.__stdout__:  # else a program has replaced it
        console.flush()
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Lasting(console.fileno(), "w", closefd=False)),
            encoding=console.encoding,
            errors="backslashreplace",
            line_buffering=console.line_buffering or console.write_through,
        )


class _Lasting(io.FileIO):
    """A file that becomes /dev/null at its first error, also for processes started later."""

    def write(self, data: Any) -> int:
        """Write the data, or lose it."""
        try:
            return super().write(data)
        except OSError as error:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            with suppress(OSError):  # standard error may be the same terminal
                print(
                    f"standard output cannot be written ({error.strerror}): the command goes on without it; what a run "
                    "says stands in the .log file of its folder",
                    file=sys.stderr,
                )
            return len(data)
