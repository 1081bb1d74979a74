"""The end of a run at a signal: its state on disk, its sweep's table, and the command that resumes it.

Needs neither torch nor Lightning: a signal may come before they are imported.
"""

import logging
import signal
from dataclasses import replace
from pathlib import Path

from fer_lightning.report.tables import tabulate
from fer_lightning.runs.command import WHOLE, resume_command, sweep_of
from fer_lightning.runs.record import NAME, Status, read_record, write_record
from fer_lightning.signals import Interrupted

log = logging.getLogger(__name__)


def announce(interruption: Interrupted, folder: Path, step: int | None = None) -> None:
    """Record that a signal ended a run, and log the command that resumes it. Do so once for each signal.

    If no job of a sweep has started, ``folder`` is the sweep's.
    """
    if interruption.announced:
        return
    interruption.announced = True
    name, sweep = signal.Signals(interruption.signum).name, sweep_of(folder)
    record = read_record(folder)
    if (folder / NAME).is_file() and record.status != Status.COMPLETED:
        write_record(folder, replace(record, status=Status.INTERRUPTED, error=name))
        if sweep:
            tabulate(sweep, str(record.objective))
    if sweep or (folder / "checkpoints" / "last.ckpt").is_file():
        log.warning("%s%s", name, "" if step is None else f" at step {step}")
        log.warning("to go on: %s", resume_command(folder), extra=WHOLE)
    else:
        log.warning("%s; nothing was saved that could go on", name)
