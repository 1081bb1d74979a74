"""Progress of long work: a bar on a terminal, a plain line elsewhere."""

import logging
import time
from collections.abc import Iterable, Sized

from rich.console import Console
from rich.markup import escape
from rich.progress import track as bar

from fer_lightning.data.names import printable

log = logging.getLogger(__name__)


def track(work: Iterable, description: str) -> Iterable:
    """Yield the items of some work; without a terminal say every ten seconds how much is left."""
    console = Console()
    if console.is_terminal and log.isEnabledFor(logging.INFO):  # the main process alone, of several
        yield from bar(work, escape(printable(description)), console=console, transient=True)
        return
    total = len(work) if isinstance(work, Sized) else None
    start = time.perf_counter()
    said = start
    for done, item in enumerate(work):
        yield item
        now = time.perf_counter()
        if now - said > 10 and total:
            said = now
            left = (now - start) / (done + 1) * (total - done - 1)
            log.info("%s: %d of %d, about %.0f s left", description, done + 1, total, left)
