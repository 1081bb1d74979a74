"""Progress of long work: a bar on a terminal, a plain line elsewhere."""

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
    """Yield the items of some work; without a terminal say every ten seconds how much is left.

    Args:
        work: What is done.
        description: What it is called.
        total: Number of items, where the work itself does not know it.
    """
    console = get_console()
    if console.is_terminal and log.isEnabledFor(logging.INFO):  # the main process alone, of several
        yield from bar(work, escape(printable(description)), total=total, console=console, transient=True)
        return
    if total is None and isinstance(work, Sized):
        total = len(work)
    start = time.perf_counter()
    said = start
    for done, item in enumerate(work):
        yield item
        now = time.perf_counter()
        if now - said > 10 and total:
            said = now
            left = (now - start) / (done + 1) * (total - done - 1)
            log.info("%s: %d of %d, about %s left", description, done + 1, total, duration(left))
