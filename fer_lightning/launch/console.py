"""What stands on the console: lines, whole and above a live bar; before an error nothing of Hydra's."""

import logging
import textwrap
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from rich import get_console


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


class SilentReturn(JobReturn):
    """What Hydra keeps of a job; its own class prints "Error executing job" before it raises the error."""

    @property
    def return_value(self) -> Any:
        """Return what the job returned, or raise what ended it."""
        if self.status == JobStatus.FAILED:
            raise self._return_value
        return self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value
