"""Start processes quickly: each is forked from one that has imported everything."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.conftest import ROOT

TOGETHER = 4
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.processes", "fer_lightning.models.module", "fer_lightning.callbacks.media"])


def start(task: Callable, *arguments: object, **environment: str) -> multiprocessing.process.BaseProcess:
    """Start a function in a new process and process group."""
    process = CONTEXT.Process(target=_do, args=(environment, task, *arguments))
    process.start()
    return process


def _do(environment: dict[str, str], task: Callable, *arguments: object) -> None:
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)  # the default of a process that was not forked
    os.environ |= {"WANDB_MODE": "offline", **environment}
    torch.set_num_threads(1)
    task(*arguments)


def command(output: Path, *arguments: str) -> None:
    """Run train.py in the folder of a file, and print into that file."""
    os.chdir(output.parent)
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)
    sys.argv = ["train.py", *arguments]
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")


class Command:
    """A train.py in a process that has imported everything: five seconds of the processor less than a new one.

    It is used as ``subprocess.Popen`` is.
    """

    def __init__(self, output: Path, *arguments: str) -> None:
        self.output = output
        self.process = start(command, output, *arguments)

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def send_signal(self, signum: int) -> None:
        os.kill(self.process.pid, signum)

    def kill(self) -> None:
        self.process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("train.py", timeout)
        return self.process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        return self.output.read_text(), ""


def until(condition: Callable[[], bool], process: multiprocessing.process.BaseProcess) -> None:
    """Wait for a condition while a process runs."""
    while not condition():
        assert process.is_alive(), f"ended with {process.exitcode}"
        time.sleep(0.01)


def wait_for(barrier) -> None:
    """Keep the barrier where the processes of ``together`` meet."""
    global meeting
    meeting = barrier


def meet() -> None:
    """Wait until all processes of ``together`` are here."""
    meeting.wait(60)


def together(function: Callable, *arguments: object) -> list:
    """Return the results of a function in four processes that enter it at the same moment."""
    with CONTEXT.Pool(TOGETHER, wait_for, [CONTEXT.Barrier(TOGETHER)]) as pool:
        results = pool.starmap(function, [(number, *arguments) for number in range(TOGETHER)], chunksize=1)
        pool.close()
        pool.join()
    return results
