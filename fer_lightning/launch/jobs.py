"""What is said and written around each job: progress, the doctor's findings, reports, a sweep's closing W&B run."""

import logging
import math
import time
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fer_lightning.report.table import collect, writing

log = logging.getLogger(__name__)


class Reports(Callback):
    """Say which job of how many is running; after each one write its report and the sweep's.

    Stands before the ledger in ``hydra.callbacks``: Hydra calls them in order before a job, in reverse after it.
    """

    def __init__(self) -> None:
        self.sweep: DictConfig | None = None
        self.jobs: int | None = None
        self.swept: set[str] = set()
        self.start = time.time()  # not monotonic: the jobs may run on other machines
        self.earlier: int | None = None  # when the job at hand, completed before, was last written

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Keep the sweep's configuration; the jobs are counted when the first one starts and all has been said."""
        self.sweep = config
        self.start = time.time()

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Say which job this is and how long the rest may take."""
        self.earlier = _written(config)
        if self.sweep is None:
            return
        self.jobs, self.swept = count_jobs(self.sweep), set(swept(self.sweep))
        left = ""
        ended = self._ended(Path(config.hydra.sweep.dir))
        if done := sum(ended.values()):
            seconds = (time.time() - self.start) / done * max(0, self.jobs - len(ended))
            left = f"; about {math.ceil(seconds / 60)} min left" if seconds > 60 else f"; about {seconds:.0f} s left"
        own = [option for option in config.hydra.overrides.task if option.lstrip("+").partition("=")[0] in self.swept]
        log.info("job %d of %d: %s%s", config.hydra.job.num + 1, self.jobs, " ".join(own), left)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write the reports; whatever fails here costs no more than the report."""
        try:
            self._publish(config)
        except Exception as error:
            log.warning("the report could not be written (%s: %s)", type(error).__name__, error)

    def _publish(self, config: DictConfig) -> None:
        from fer_lightning.report.doctor import (
            diagnose,  # matplotlib and wandb load long: only when there is something to say
        )
        from fer_lightning.report.leaderboard import contenders, order, verdict
        from fer_lightning.report.page import write_report
        from fer_lightning.runs.record import read_run, read_runs

        folder = Path(config.hydra.runtime.output_dir)
        run = read_run(folder)
        if run.predictions and _written(config) != self.earlier:
            for line in diagnose(run):
                log.warning("doctor: %s", line)
            write_report(folder, [run])
            log.info("results: %s (report.html, figures/, metrics.json, predictions.csv)", folder)
        if config.hydra.mode.name == "MULTIRUN":
            sweep = Path(config.hydra.sweep.dir)
            with writing(sweep):
                runs = read_runs(sweep)
                write_report(sweep, runs)
                ended = len(self._ended(sweep)) == self.jobs
                if ended and "wandb" in config.logger and not (config.trainer.fast_dev_run or _closed(sweep)):
                    from fer_lightning.report.wandb import log_sweep

                    log_sweep(sweep, config)
            if ended:
                for card in verdict(contenders(order(runs, config.objective), config.objective), config.objective):
                    log.info("%s", card)
            log.info("sweep: %s (report.html, sweep.csv, sweep.md)", sweep)

    def _ended(self, sweep: Path) -> dict[str, bool]:
        """Return the jobs that have ended, in whatever process, and of each whether it was since the sweep started.

        One that failed before the sweep was resumed has not ended: it runs again.
        """
        ended = {}
        for job in collect(sweep, ""):
            now = (sweep / job["job"] / "metrics.json").stat().st_mtime > self.start
            if job["status"] == "completed" or (job["status"] == "failed" and now):
                ended[job["job"]] = now
        return ended


def _closed(sweep: Path) -> bool:
    """Return whether the closing W&B run of a sweep is newer than all results, so was logged by another job."""
    closing = sweep / "wandb"
    newest = max(path.stat().st_mtime for path in sweep.glob("*/metrics.json"))
    return closing.is_dir() and closing.stat().st_mtime > newest


def _written(config: DictConfig) -> int | None:
    """Return when the results of the job at hand were written, None where there are none."""
    path = Path(config.hydra.runtime.output_dir) / "metrics.json"
    return path.stat().st_mtime_ns if path.is_file() else None


def count_jobs(config: DictConfig) -> int | None:
    """Return how many jobs a sweep has, or None where its sweeper does not say."""
    sweeper = config.hydra.sweeper
    return int(sweeper.n_trials) if "n_trials" in sweeper else math.prod(swept(config).values())


def swept(config: DictConfig) -> dict[str, int]:
    """Return the options that differ between the jobs of a sweep, and the number of choices of each.

    What a sweeper draws out of a range counts as one choice.
    """
    params = config.hydra.sweeper.get("params") or {}
    overrides = OverridesParser.create().parse_overrides(
        [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
    )
    last = {override.get_key_element(): override for override in overrides}  # as the sweeper: the last one counts
    return {
        key: len(list(override.sweep_string_iterator())) if override.is_discrete_sweep() else 1
        for key, override in last.items()
        if override.is_sweep_override()
    }
