"""Signals, from the first line of a command to its last: exit code, words on the console, what is left behind.

Those between two training steps are tried in tests/callbacks/test_interruption.py.
"""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from fer_lightning.callbacks import media
from fer_lightning.data import datamodule, protocols
from fer_lightning.launch import checks
from fer_lightning.report import page, results
from tests.conftest import ENVIRONMENT, ROOT, options
from tests.processes import Command

TINY = options("small", "tiny", "trainer.max_epochs=1")
WITHOUT_PICTURES = options("plain")
COLD = 5  # of the cases at random moments, that begin with a new interpreter and its imports
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def default_signals():
    """Undo what nohup or a background job of a shell may have switched off."""
    earlier = {signum: signal.signal(signum, signal.SIG_DFL) for signum in (signal.SIGHUP, signal.SIGTERM)}
    earlier[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for signum, handler in earlier.items():
        signal.signal(signum, handler)


@pytest.fixture
def signalled(monkeypatch):
    """Let a function send a signal to its own process when it is called for the first time."""

    def patch(place: object, name: str, signum: int) -> None:
        function = getattr(place, name)

        def send(*args, **kwargs):
            monkeypatch.setattr(place, name, function)
            os.kill(os.getpid(), signum)
            return function(*args, **kwargs)

        monkeypatch.setattr(place, name, send)

    return patch


@pytest.mark.parametrize(
    ("place", "name", "signum", "own"),
    [
        (checks, "low_room", signal.SIGINT, WITHOUT_PICTURES),  # before torch
        pytest.param(datamodule, "audit", signal.SIGINT, WITHOUT_PICTURES, marks=pytest.mark.long),
        pytest.param(  # while copies are drawn
            *(protocols, "multiply", signal.SIGHUP, (*WITHOUT_PICTURES, "protocol=paper")),
            marks=pytest.mark.long,
        ),
    ],
)
def test_before_the_first_batch(tmp_path, run_here, signalled, place, name, signum, own):
    signalled(place, name, signum)
    done = run_here("train.py", *options(*TINY, *own, "hydra.run.dir=run"))
    assert done.code == CODES[signum], done.text
    assert done.text.splitlines()[-1] == f"{signal.Signals(signum).name}; nothing was saved that could go on"
    assert "Traceback" not in done.text


@pytest.mark.parametrize(
    ("place", "name", "signum", "status", "own"),
    [
        (results, "write_csv", signal.SIGTERM, "interrupted", WITHOUT_PICTURES),
        pytest.param(results, "print_score", signal.SIGINT, "interrupted", WITHOUT_PICTURES, marks=pytest.mark.long),
        pytest.param(
            *(media, "embedding_map", signal.SIGHUP, "interrupted"),
            ("~callbacks.media.maps.tsne", WITHOUT_PICTURES[1]),
            marks=pytest.mark.long,
        ),
        pytest.param(
            *(page, "write_report", signal.SIGTERM, "completed", WITHOUT_PICTURES[:1]), marks=pytest.mark.long
        ),
    ],
)
def test_after_the_last_batch(tmp_path, run_here, signalled, place, name, signum, status, own):
    signalled(place, name, signum)
    done = run_here("train.py", *options(*TINY, *own, "hydra.run.dir=run"))
    assert done.code == CODES[signum], done.text
    assert done.text.count("to go on: python train.py resume_from=") == 1
    assert json.loads((tmp_path / "run/metrics.json").read_text())["status"] == status
    assert not [path for path in (tmp_path / "run").rglob(".*") if path.name not in (".hydra", ".lock")]


@pytest.mark.long
def test_a_sweep_stops_at_a_signal_after_the_last_batch_of_a_job(tmp_path, run_here, signalled):
    signalled(results, "print_score", signal.SIGTERM)
    done = run_here("train.py", "-m", "seed=0,1", *options(*TINY, *WITHOUT_PICTURES, "sweep"))
    assert done.code == 143, done.text
    assert f"to go on: python train.py sweep.resume={tmp_path}/out" in done.text.splitlines()[-1]
    assert "job 2 of 2" not in done.text
    assert ",interrupted," in (tmp_path / "out/sweep.csv").read_text()


def test_a_signal_that_python_drops_comes_again(run_here, monkeypatch):
    """In a callback of a weak reference every exception is lost."""

    def low_room(folder):
        dying = type("Dying", (), {})()
        weakref.finalize(dying, os.kill, os.getpid(), signal.SIGTERM)
        del dying
        time.sleep(0.5)

    monkeypatch.setattr(checks, "low_room", low_room)
    done = run_here("train.py", *TINY)
    assert done.code == 143, done.text
    assert "Exception ignored" not in done.text


def start(folder: Path, *command: str) -> subprocess.Popen:
    """Start a command in a new interpreter."""
    with (folder / "output.txt").open("w") as output:
        return subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT
        )


@pytest.mark.parametrize(
    "command",
    [
        ["train.py"],
        pytest.param(["eval.py"], marks=pytest.mark.long),
        pytest.param(["-m", "fer_lightning", "train"], marks=pytest.mark.long),
    ],
)
def test_ctrl_c_while_hydra_is_imported(tmp_path, command):
    """The interpreter is stopped where Hydra begins to be imported."""
    site = tmp_path / "sitecustomize.py"
    site.write_text(
        "import importlib.abc, os, signal, sys\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'hydra':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    script = [str(ROOT / part) if part.endswith(".py") else part for part in command]
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, *script, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 130
    assert done.stdout + done.stderr == ""


def begin_warm(folder: Path, script: str, *arguments: str) -> Command:
    """Start train.py in a process that has imported everything."""
    return Command(folder / "output.txt", *arguments)


def judge(folder: Path, process: subprocess.Popen | Command, signum: int, sent: bool) -> str:
    """Return what is wrong after a signal: an empty text where nothing is."""
    text = (folder / "output.txt").read_text()
    if "Traceback" in text or "Exception ignored" in text:
        return f"traceback: {text[-2000:]}"
    if not sent:  # it had ended before
        return f"exit code {process.returncode}" if process.returncode else ""
    if process.returncode not in (CODES[signum], -signum):  # which a shell calls the same: when Python has ended
        return f"exit code {process.returncode}: {text[-500:]}"
    left = [path.name for path in folder.rglob(".*.part")]
    return f"left: {left}" if left else ""


@pytest.mark.attack
@pytest.mark.parametrize("sweep", [False, True], ids=["run", "sweep"])
def test_signals_at_random_moments(tmp_path, tally, sweep):
    """20 each; the seconds of a whole run are measured first, then each moment is drawn within them."""
    number = int(os.environ.get("ATTACK_CASES", "20"))
    place = "hydra.sweep.dir=out" if sweep else "hydra.run.dir=out"
    wanted = ["-m", "seed=0,1"] if sweep else []
    arguments = [str(ROOT / "train.py"), *wanted, *options(*TINY, place)]
    seconds, moments = {}, random.Random(f"signals {sweep}")
    for name in ("cold", "warm"):
        (tmp_path / name).mkdir()
        begin = time.monotonic()
        process = start(tmp_path / name, *arguments) if name == "cold" else begin_warm(tmp_path / name, *arguments)
        assert process.wait(600) == 0
        seconds[name] = time.monotonic() - begin
    for case in range(number):
        folder, whole = tmp_path / str(case), seconds["cold" if case < COLD else "warm"]
        folder.mkdir()
        signum, moment = moments.choice(list(CODES)), moments.uniform(0.2, whole)
        process = start(folder, *arguments) if case < COLD else begin_warm(folder, *arguments)
        sent = False
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            sent = True
            process.send_signal(signum)
            process.wait(300)
        wrong = judge(folder, process, signum, sent)
        lines = (folder / "output.txt").read_text().splitlines()
        line = next((line for line in lines if line.startswith("to go on: python")), None)
        if not wrong and line is not None:
            again = shlex.split(line.removeprefix("to go on: python "))
            if begin_warm(folder, *again).wait(600) != 0:
                wrong = f"does not go on: {(folder / 'output.txt').read_text()[-2000:]}"
            elif not all(
                json.loads(path.read_text())["status"] == "completed" for path in folder.glob("out/**/metrics.json")
            ):
                wrong = "not completed afterwards"
        tally.judge(f"{case}: {signal.Signals(signum).name} after {moment:.1f} of {whole:.1f} s", not wrong, wrong)
