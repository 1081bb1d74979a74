"""What stands around each task: folders claimed before it; its state, table and reports written after it."""

import gc
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from fer_lightning import signals
from fer_lightning.errors import UserError
from fer_lightning.files import write_text, writing_lock
from fer_lightning.launch.claims import claim, lost, withdraw
from fer_lightning.launch.environment import quiet
from fer_lightning.launch.messages import deleted, diagnose
from fer_lightning.launch.reports import advise, outdated, report_run
from fer_lightning.launch.returns import SilentReturn
from fer_lightning.launch.search import (
    PASSED,
    check_sweeper,
    continue_search,
    count_jobs,
    is_last,
    note_refused,
    refused_jobs,
    side_by_side,
    swept,
)
from fer_lightning.report.ranking import read_jobs
from fer_lightning.report.tables import show_table, tabulate
from fer_lightning.runs.command import OPTIONS, WHOLE, command, is_sweep, key
from fer_lightning.runs.record import NAME, Run, Status, read_record, read_runs, write_record
from fer_lightning.words import duration

log = logging.getLogger(__name__)

PAUSE = 300  # seconds between two reports of a sweep, as long as jobs are left: each takes longer than the one before


def final(method: Callable[..., None]) -> Callable[..., None]:
    """Let what a method refuses, or a disk, end the process: Hydra turns a callback's exceptions into warnings."""

    @wraps(method)
    def call(self: "Jobs", config: DictConfig, **kwargs: Any) -> None:
        try:
            method(self, config, **kwargs)
        except Exception as error:
            sentence = str(error) if isinstance(error, UserError) else diagnose(error)
            if sentence is None:
                raise
            raise SystemExit(f"error: {sentence}") from error

    return call


def attempt(write: Callable[..., None], *arguments: Any) -> None:
    """Write a report; what goes wrong costs no more than that."""
    try:
        write(*arguments)
    except Exception as error:
        log.warning("the report could not be written (%s: %s)", type(error).__name__, error)


class Jobs(Callback):
    """Hydra's one callback.

    Args:
        claim: Whether the folder of an earlier run or sweep, or of one that another process runs, is refused.
        ledger: Whether each job's state is written into its metrics.json, and each sweep's table.
        report: Whether the reports of runs and sweeps are written.
    """

    def __init__(self, claim: bool, ledger: bool, report: bool) -> None:
        self.claim, self.ledger, self.report = claim, ledger, report
        self.process = os.getpid()
        self.sweep: DictConfig | None = None
        self.start = time.time()  # not monotonic: the jobs may run on other machines

    @final
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder of a single run."""
        if not self.claim:
            return
        folder, place = Path(config.hydra.run.dir), config.get("resume_from")
        claim("run", folder, "choose another hydra.run.dir")
        goes_on = place is not None and Path(place).absolute().is_relative_to(folder.absolute())
        if (folder / "config.yaml").exists() and not goes_on:
            raise UserError(f"{folder} holds a run already: choose another hydra.run.dir, or delete it")

    @final
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder of a sweep and note the options that make it; put a search's study in order."""
        check_sweeper(config)
        self.sweep, self.start = config, time.time()
        folder = Path(config.hydra.sweep.dir)
        claim("sweep", folder, "choose another hydra.sweep.dir")
        goes_on = OmegaConf.select(config, "sweep.resume") is not None
        if is_sweep(folder) and not goes_on:
            raise UserError(
                f"{folder} holds a sweep already: go on with it by sweep.resume={folder}, or choose another "
                "hydra.sweep.dir"
            )
        options = [*config.hydra.overrides.task, *config.hydra.overrides.hydra]
        own = [option for option in options if key(option) not in ("hydra.sweep.dir", "hydra.mode", "sweep.resume")]
        (folder / OPTIONS).parent.mkdir(exist_ok=True)
        write_text(folder / OPTIONS, OmegaConf.to_yaml(OmegaConf.create(own)))
        write_text(folder / PASSED, "")
        if goes_on and "study_name" in config.hydra.sweeper:
            continue_search(config)
        if not goes_on and (advice := side_by_side(config)):
            log.info(advice)

    @final
    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder of a job; say which of a sweep's it is and how long the rest may take."""
        signals.command.obey()  # what a library has caught in the job before
        quiet()  # here, where a launcher's processes pass too
        if self.claim:
            claim("run", Path(config.hydra.runtime.output_dir), "leave this job out")
        if self.sweep is None:
            return
        jobs, left = count_jobs(self.sweep), ""
        ended = self._ended(Path(config.hydra.sweep.dir))
        now = [job for job in ended if self._is_new(job)]
        if now:
            audited = max(job.record.audit_seconds or 0.0 for job in now)  # by one job, for all of them
            seconds = (time.time() - self.start - audited) / len(now) * max(0, jobs - len(ended))
            left = f"; about {duration(seconds)} left"
        own = " ".join(option for option in config.hydra.overrides.task if key(option) in swept(self.sweep))
        log.info("job %d of %d: %s%s", config.hydra.job.num + 1, jobs, own, left)

    @final
    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Diagnose what ended the job, write down its state, then what can be told from it."""
        job_return.__class__ = SilentReturn
        error = None
        if job_return.status == JobStatus.FAILED:
            job_return.return_value = error = self._diagnosed(job_return._return_value, config)
        if folder := lost():  # there is nothing to write into; it may be that nothing else has failed
            job_return.status, job_return.return_value = JobStatus.FAILED, error or UserError(deleted(folder))
            return
        refused = error is not None and withdraw("run")
        if refused and self.sweep is not None:
            note_refused(config)
            log.warning("job %d has not begun: %s", config.hydra.job.num + 1, error)
        if self.ledger and not refused:
            _close(config, error)
        if self.report and not refused:
            attempt(report_run, config)
        last = self.ledger and self.sweep is not None and is_last(self.sweep, config)
        if self.report and self.sweep is not None:
            attempt(self.report_sweep, config, last)
        if last and self.sweep is not None:
            self._conclude(self.sweep, config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """End a search with exit code 1 if one of its jobs failed; a grid has ended so before this."""
        folder = Path(config.hydra.sweep.dir)
        failed = sum(job.record.status == Status.FAILED for job in read_jobs(folder)) if self.ledger else 0
        if failed:
            raise SystemExit(f"error: {failed} jobs failed: {folder}/sweep.csv says why, sweep.resume={folder} retries")
        if refused := refused_jobs(folder):
            raise SystemExit(f"error: {refused} jobs have not begun, each for the reason above")

    def _diagnosed(self, error: Exception, config: DictConfig) -> Exception:
        """Return the diagnosis of what ended a job, or the error itself; free the memory that its frames hold."""
        diagnosis = error
        if sentence := diagnose(error, config):
            diagnosis = UserError(sentence)
            diagnosis.__cause__ = error
        elif os.getpid() != self.process:  # a launcher's: the exception travels back without its traceback
            error.add_note("".join(traceback.format_tb(error.__traceback__)))
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
            torch.cuda.empty_cache()
        return diagnosis

    def report_sweep(self, config: DictConfig, last: bool) -> None:
        """Write the report of a sweep that has results; with its last job close it."""
        folder = Path(config.hydra.sweep.dir)
        if not any(folder.glob(f"*/{NAME}")):
            return
        with writing_lock(folder):
            page = folder / "report.html"
            written = page.stat().st_mtime if page.is_file() else 0.0
            if not last and time.time() - max(self.start, written) < PAUSE:
                return
            runs = read_runs(folder)
            if not any(one.predictions or config.objective in one.figures for one in runs):
                return
            from fer_lightning.report.page import write_report  # loads long: only where there is something

            write_report(folder, runs)
            if last and "wandb" in config.logger and not config.trainer.fast_dev_run:
                from fer_lightning.report.wandb import log_sweep

                if outdated(folder / "wandb", folder.glob(f"*/{NAME}")):  # else there is nothing new
                    log_sweep(folder, config)

    def _ended(self, sweep: Path) -> list[Run]:
        """Return the jobs that have ended, in any process.

        A job that failed before the sweep was resumed has not ended: it runs again.
        """
        return [
            job
            for job in read_jobs(sweep)
            if job.record.status == Status.COMPLETED or (job.record.status == Status.FAILED and self._is_new(job))
        ]

    def _is_new(self, job: Run) -> bool:
        """Return whether a job was recorded after this sweep started."""
        return (job.folder / NAME).stat().st_mtime > self.start

    def _conclude(self, sweep: DictConfig, config: DictConfig) -> None:
        """Show a sweep's table, the verdict, and what to do next."""
        folder = Path(config.hydra.sweep.dir)
        if not any(folder.glob(f"*/{NAME}")):  # every job was refused
            return
        board = tabulate(folder, config.objective)
        show_table(board)
        if not self.report or not any(config.objective in run.figures for run in board.runs):
            return
        from fer_lightning.report.verdict import verdict  # scipy loads long

        for card in verdict(board):
            log.info("%s", card)
        log.info("sweep: %s (report.html, sweep.csv, sweep.md)", folder)
        if any(run.record.status == Status.FAILED for run in board.runs):
            log.info("to run again what failed: %s", command(Path(config.hydra.runtime.output_dir)), extra=WHOLE)
        elif "n_trials" not in config.hydra.sweeper and "seed" not in swept(sweep):
            advise(config)


def _close(config: DictConfig, error: Exception | None) -> None:
    """Write a job's true state on disk and into W&B; in a sweep rewrite the table."""
    folder = Path(config.hydra.runtime.output_dir)
    record = read_record(folder)
    if record.status != Status.COMPLETED:  # what failed before it began leaves a completed run as it is
        options = " ".join(option for option in config.hydra.overrides.task if not option.startswith("sweep."))
        line = None if error is None else " ".join(f"{type(error).__name__}: {error}".split())
        status = Status.COMPLETED if error is None else Status.FAILED
        write_record(folder, replace(record, status=status, overrides=options, error=line))
    if wandb := sys.modules.get("wandb"):
        wandb.finish(exit_code=int(error is not None))
    if config.hydra.mode.name == "MULTIRUN":
        tabulate(Path(config.hydra.sweep.dir), config.objective)
