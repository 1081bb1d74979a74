"""What a job writes and says once it has results: its report, and the command that tells what a seed changes."""

import logging
from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.runs.command import WHOLE, with_seeds
from fer_lightning.runs.record import NAME, read_run

log = logging.getLogger(__name__)


def report_run(config: DictConfig) -> None:
    """Write the report of a job that has results, and say where they are."""
    folder = Path(config.hydra.runtime.output_dir)
    run = read_run(folder)
    if not run.predictions:
        return
    if outdated(folder / "report.html", [folder / NAME]):
        from fer_lightning.report.doctor import findings  # these load long: only for what has results
        from fer_lightning.report.page import write_report

        for line in findings(run):
            log.warning("doctor: %s", line)
        write_report(folder, [run])
        log.info("results: %s (report.html, figures/, metrics.json, predictions.csv)", folder)
    if config.hydra.mode.name == "RUN":
        advise(config)


def advise(config: DictConfig) -> None:
    """Name the command that tells what a result owes to its seed."""
    if config.job_type == "train" and not config.trainer.fast_dev_run:
        line = with_seeds(Path(config.hydra.runtime.output_dir), list(config.hydra.overrides.task))
        log.info("to see what another seed changes: %s", line, extra=WHOLE)


def outdated(path: Path, sources: Iterable[Path]) -> bool:
    """Return whether what was made of some files is missing or older than one of them."""
    return not path.exists() or path.stat().st_mtime <= max(source.stat().st_mtime for source in sources)
