"""Progress of long work: a bar on a terminal, otherwise lines in the log."""

import logging
import time
from collections.abc import Iterable, Sized

from rich import get_console
from rich.markup import escape
from rich.progress import track as bar

from fer_lightning.names import printable
from fer_lightning.words import duration

log = logging.getLogger(__name__)


def track(work: Iterable, description: str, total: int | None = None) -> Iterable:
    """Yield the items of the work and show the progress; without a terminal log the remaining time every 10 seconds.

    ``total`` is the number of items, for work without a length.
    """
    console = get_console()
    if console.is_terminal and log.isEnabledFor(logging.INFO):  # only in the main process
        yield from bar(work, escape(printable(description)), total=total, console=console, transient=True)
        return
    if total is None and isinstance(work, Sized):
        total = len(work)
    start = last_line = time.perf_counter()
    for done, item in enumerate(work, start=1):
        yield item
        now = time.perf_counter()
        if now - last_line > 10 and total:
            last_line = now
            remaining = (now - start) / done * (total - done)
            log.info("%s: %d of %d, about %s left", description, done, total, duration(remaining))
