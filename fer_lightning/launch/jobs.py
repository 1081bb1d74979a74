"""Hydra's callback around each job: its folder is claimed before it; its record and reports are written after it."""

import gc
import logging
import os
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterable
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
from fer_lightning.launch.claims import BusyError, claim, deleted_folder, withdraw
from fer_lightning.launch.console import quiet
from fer_lightning.launch.messages import deleted, diagnose
from fer_lightning.launch.sweeps import (
    ENDED,
    End,
    check_sweeper,
    count_jobs,
    note_end,
    read_ends,
    side_by_side,
    sweep_counts,
)
from fer_lightning.report.ranking import read_jobs
from fer_lightning.report.tables import show_table, tabulate
from fer_lightning.runs.command import OPTIONS, WHOLE, is_sweep, key, of_training, resume_command, seeds_command
from fer_lightning.runs.record import NAME, Status, read_record, read_run, read_runs, write_record
from fer_lightning.words import counted, duration

log = logging.getLogger(__name__)

PAUSE = 300  # seconds between two reports of a sweep while jobs remain; each takes longer than the one before


class SilentReturn(JobReturn):
    """Result of a job. Hydra's own class prints "Error executing job" before it raises the error."""

    @property
    def return_value(self) -> Any:
        """Return the job's result, or raise its error."""
        if self.status == JobStatus.FAILED:
            raise self._return_value
        return self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


def final(method: Callable[..., None]) -> Callable[..., None]:
    """Exit with the message of a UserError or a disk error. Hydra would only warn about an exception in a callback."""

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
    """Write a report. An error is only logged: the run itself has ended well."""
    try:
        write(*arguments)
    except Exception as error:
        log.warning("the report could not be written (%s: %s)", type(error).__name__, error)


class Jobs(Callback):
    """Hydra's only callback.

    Args:
        claim: Whether the folder of an earlier run or sweep, or of one that another process runs, is refused.
        ledger: Whether each job's state is written into its metrics.json, and each sweep's table.
        report: Whether the reports of runs and sweeps are written.
    """

    def __init__(self, claim: bool, ledger: bool, report: bool) -> None:
        self.claim, self.ledger, self.report = claim, ledger, report
        self.process = os.getpid()
        self.sweep: DictConfig | None = None
        self.start = time.time()  # not monotonic, because the jobs may run on other machines

    @final
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder of a single run."""
        if not self.claim:
            return
        folder, source = Path(config.hydra.run.dir), config.get("resume_from")
        claim("run", folder, "choose another hydra.run.dir")
        resumes = source is not None and Path(source).absolute().is_relative_to(folder.absolute())
        for name, content in {"config.yaml": "a run", "predictions.csv": "predictions"}.items():
            if (folder / name).exists() and not resumes:
                raise UserError(f"{folder} holds {content} already: choose another hydra.run.dir, or delete it")

    @final
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder of a sweep and write down its options; prepare the study of a resumed search."""
        check_sweeper(config)
        self.sweep, self.start = config, time.time()
        folder = Path(config.hydra.sweep.dir)
        claim("sweep", folder, "choose another hydra.sweep.dir")
        resumes = OmegaConf.select(config, "sweep.resume") is not None
        if is_sweep(folder) and not resumes:
            raise UserError(
                f"{folder} holds a sweep already: go on with it by sweep.resume={folder}, or choose another "
                "hydra.sweep.dir"
            )
        overrides: Any = OmegaConf.to_container(config.hydra.overrides)  # with their references, as they were typed
        options = [*overrides["task"], *overrides["hydra"]]
        options = [option for option in options if key(option) not in ("hydra.sweep.dir", "hydra.mode", "sweep.resume")]
        (folder / OPTIONS).parent.mkdir(exist_ok=True)
        write_text(folder / OPTIONS, OmegaConf.to_yaml(OmegaConf.create(options)))
        write_text(folder / ENDED, "")
        if resumes and "study_name" in config.hydra.sweeper:
            from hydra_plugins.fer_lightning_search import continue_study, explaining

            with explaining(config.hydra.sweeper.storage):
                continue_study(config)
        if not resumes and (advice := side_by_side(config)):
            log.info(advice)

    @final
    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder of a job; in a sweep log its number, its options and the time that the rest may take."""
        signals.command.obey()  # a signal whose exception a library has caught in the job before
        quiet()  # here, because the processes of a launcher come here too
        busy = None
        if self.claim:
            try:
                fresh = {".hydra", f"{config.hydra.job.name}.log"}
                claim("run", Path(config.hydra.runtime.output_dir), "train this job later", fresh)
            except BusyError as error:
                if self.sweep is None:
                    raise
                busy = error
        task: Any = kwargs["task_function"]
        task.passed_over = busy is not None
        if self.sweep is None:
            return
        options = [option for option in config.hydra.overrides.task if key(option) in sweep_counts(self.sweep)]
        number, rest = config.hydra.job.num + 1, self._time_left(self.sweep, Path(config.hydra.sweep.dir))
        log.info("job %d of %d: %s%s", number, count_jobs(self.sweep), " ".join(options), rest)
        if busy:
            log.warning("passed over: %s", busy)

    def _time_left(self, sweep: DictConfig, folder: Path) -> str:
        """Return the time that the jobs to come may take, in words; empty before the first has ended."""
        new, earlier = [], 0
        for job in read_jobs(folder):
            is_new = (job.folder / NAME).stat().st_mtime > self.start
            if is_new and job.record.status in (Status.COMPLETED, Status.FAILED):
                new.append(job)
            elif job.record.status == Status.COMPLETED:  # one that failed before the sweep was resumed runs again
                earlier += 1
        if not new:
            return ""
        audit = max(job.record.audit_seconds or 0.0 for job in new)  # one job makes it for all
        remaining = max(0, count_jobs(sweep) - len(new) - earlier)
        return f"; about {duration((time.time() - self.start - audit) / len(new) * remaining)} left"

    @final
    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write down how a job ended, then its report and that of its sweep."""
        if isinstance(job_return._return_value, SystemExit):  # a signal, of which Hydra 1.3 does not tell
            return
        job_return.__class__ = SilentReturn
        end, error = self._end(config, job_return)
        if end == End.DELETED:  # there is no folder to write into
            return
        if end in (End.COMPLETED, End.FAILED):
            if self.ledger:
                close(config, error)
            if self.report:
                attempt(report_run, config)
        if self.sweep is None:
            return
        if end == End.REFUSED:
            log.warning("job %d has not begun: %s", config.hydra.job.num + 1, error)
        last = note_end(self.sweep, config, end) and self.ledger
        if self.report:
            attempt(self.report_sweep, config, last)
        if last:
            self._conclude(self.sweep, config)
            advise_passed_over(Path(config.hydra.sweep.dir))

    def _end(self, config: DictConfig, job_return: JobReturn) -> tuple[End, Exception | None]:
        """Return how a job ended and its diagnosed error, which becomes the job's result."""
        error = None
        if job_return.status == JobStatus.FAILED:
            error = self._diagnosed(job_return._return_value, config)
        end = End.PASSED_OVER if job_return._return_value == End.PASSED_OVER else End.COMPLETED
        if folder := deleted_folder():
            end, error = End.DELETED, error or UserError(deleted(folder))
        elif error is not None:
            end = End.REFUSED if withdraw("run") else End.FAILED
        if error is not None:
            job_return.status, job_return.return_value = JobStatus.FAILED, error
        return end, error

    def _diagnosed(self, error: Exception, config: DictConfig) -> Exception:
        """Return a UserError with the diagnosis, or the error itself; free the memory that its frames hold."""
        diagnosis = error
        if sentence := diagnose(error, config):
            diagnosis = UserError(sentence)
            diagnosis.__cause__ = error
        elif os.getpid() != self.process:  # in a launcher's process: an exception is sent back without its traceback
            error.add_note("".join(traceback.format_tb(error.__traceback__)))
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
            torch.cuda.empty_cache()
        return diagnosis

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """End a search with exit code 1 if one of its jobs failed; a grid has ended so before this."""
        if sys.exception() is not None:  # Hydra 1.4 comes here after such an end too
            return
        folder = Path(config.hydra.sweep.dir)
        failed = sum(job.record.status == Status.FAILED for job in read_jobs(folder)) if self.ledger else 0
        if failed:
            raise SystemExit(
                f"error: {counted(failed, 'job')} failed: {folder}/sweep.csv says why, sweep.resume={folder} retries"
            )
        if refused := [number for number, end in read_ends(folder).items() if end == End.REFUSED]:
            raise SystemExit(f"error: {counted(len(refused), 'job')} did not begin, for the reasons above")

    def report_sweep(self, config: DictConfig, last: bool) -> None:
        """Write the report of a sweep with results, at most every ``PAUSE`` seconds; after its last job close it."""
        folder = Path(config.hydra.sweep.dir)
        if not any(folder.glob(f"*/{NAME}")):
            return
        with writing_lock(folder):
            page = folder / "report.html"
            written = page.stat().st_mtime if page.is_file() else 0.0
            if not last and time.time() - max(self.start, written) < PAUSE:
                return
            runs = read_runs(folder)
            if not any(run.predictions or config.objective in run.figures for run in runs):
                return
            from fer_lightning.report.page import write_report  # slow, so only where there are results

            write_report(folder, runs)
            if last and "wandb" in config.logger and not config.trainer.fast_dev_run:
                from fer_lightning.report.wandb import log_sweep

                if outdated(folder / "wandb", folder.glob(f"*/{NAME}")):
                    log_sweep(folder, config)

    def _conclude(self, sweep: DictConfig, config: DictConfig) -> None:
        """Show a sweep's table and verdict, and log the next command."""
        folder = Path(config.hydra.sweep.dir)
        if not any(folder.glob(f"*/{NAME}")):  # every job was refused
            return
        board = tabulate(folder, config.objective)
        show_table(board)
        if not self.report or not any(config.objective in run.figures for run in board.runs):
            return
        from fer_lightning.report.verdict import verdict  # here, because scipy loads slowly

        for card in verdict(board):
            log.info("%s", card)
        log.info("sweep: %s (report.html, sweep.csv, sweep.md)", folder)
        if any(run.record.status == Status.FAILED for run in board.runs):
            log.info("to run again what failed: %s", resume_command(Path(config.hydra.runtime.output_dir)), extra=WHOLE)
        elif "n_trials" not in config.hydra.sweeper and "seed" not in sweep_counts(sweep):
            advise_seeds(config)


def close(config: DictConfig, error: Exception | None) -> None:
    """Write a job's final state into its record and into W&B; in a sweep write the table again."""
    folder = Path(config.hydra.runtime.output_dir)
    record = read_record(folder)
    if record.status != Status.COMPLETED:  # an error before the start leaves a completed run as it is
        options = shlex.join(of_training(config.hydra.overrides.task))
        status, line = Status.COMPLETED, None
        if error is not None:
            status, line = Status.FAILED, " ".join(f"{type(error).__name__}: {error}".split())
        write_record(folder, replace(record, status=status, overrides=options, error=line))
    if wandb := sys.modules.get("wandb"):
        wandb.finish(exit_code=int(error is not None))
    if config.hydra.mode.name == "MULTIRUN":
        tabulate(Path(config.hydra.sweep.dir), config.objective)


def report_run(config: DictConfig) -> None:
    """Write the report of a job that has results, and log where it is."""
    folder = Path(config.hydra.runtime.output_dir)
    run = read_run(folder)
    if not run.predictions:
        return
    if outdated(folder / "report.html", [folder / NAME]):
        from fer_lightning.report.doctor import findings  # slow, so only where there are results
        from fer_lightning.report.page import write_report

        for line in findings(run):
            log.warning("doctor: %s", line)
        write_report(folder, [run])
        log.info("results: %s (report.html, figures/, metrics.json, predictions.csv)", folder)
    if config.hydra.mode.name == "RUN":
        advise_seeds(config)


def advise_passed_over(folder: Path) -> None:
    """Log which jobs of a sweep other processes work on, and the command that trains what these leave."""
    if numbers := [str(number + 1) for number, end in read_ends(folder).items() if end == End.PASSED_OVER]:
        log.warning("passed over, since other processes work there: job %s", ", ".join(numbers))
        log.warning("when those have ended, to train what they leave: %s", resume_command(folder), extra=WHOLE)


def advise_seeds(config: DictConfig) -> None:
    """Log the command that repeats a training with other seeds."""
    if config.job_type == "train" and not config.trainer.fast_dev_run:
        line = seeds_command(Path(config.hydra.runtime.output_dir), list(config.hydra.overrides.task))
        log.info("to see what another seed changes: %s", line, extra=WHOLE)


def outdated(path: Path, sources: Iterable[Path]) -> bool:
    """Return whether a file is missing, or older than one of those it was made from."""
    return not path.exists() or path.stat().st_mtime <= max(source.stat().st_mtime for source in sources)
