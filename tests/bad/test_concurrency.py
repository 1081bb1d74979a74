"""Folders that two processes want, that somebody deletes, on disks that are full; a console that goes away."""

import errno
import json
import shutil
import time
from itertools import count
from pathlib import Path

import hydra.core.utils
import pytest
from filelock import FileLock

from fer_lightning.launch import jobs
from fer_lightning.launch.claims import LOCK
from fer_lightning.models.module import ExpressionModule
from tests.conftest import options
from tests.processes import Command

TINY = options("small", "tiny", "plain")
NUMBERS = count()  # of the outputs of commands


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_folder_of_a_running_process_is_refused_untouched(tmp_path, run_here):
    for place in ("run/.hydra", "sweep/job/.hydra"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        (folder / "overrides.yaml").write_text("[]")
        (folder.parent / "config.yaml").write_text("seed: 0")
    for folder, arguments in (
        ("run", ["train.py", "resume_from=run"]),
        ("run", ["train.py", "hydra.run.dir=run"]),
        ("new", ["train.py", "hydra.run.dir=new"]),
        ("new", ["eval.py", "checkpoint=best.ckpt", "hydra.run.dir=new"]),
        ("sweep/job", ["train.py", "resume_from=sweep/job"]),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        with FileLock(tmp_path / folder / LOCK):
            before = contents(tmp_path / folder)
            done = run_here(*arguments)
            assert done.code == 1, done.text
            assert done.text.startswith("error: another process works in "), done.text
            assert f"{folder}: wait for it, or choose another hydra.run.dir" in done.text
            assert contents(tmp_path / folder) == before


@pytest.mark.long
def test_a_folder_deleted_in_training(tmp_path, run_here, monkeypatch):
    step = ExpressionModule.training_step

    def training_step(self, batch, batch_idx):
        if batch_idx == 1:
            shutil.rmtree(self.trainer.default_root_dir, ignore_errors=True)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ExpressionModule, "training_step", training_step)
    done = run_here("train.py", *TINY, "hydra.run.dir=out/run")
    assert done.code == 1, done.text
    assert f"error: {tmp_path}/out/run was deleted while the command wrote into it" in done.text.splitlines()[-1]
    assert "Traceback" not in done.text
    assert "UserWarning" not in done.text


@pytest.mark.parametrize(
    "arguments",
    [
        ["hydra.run.dir=out"],
        pytest.param(["-m", "seed=0,1", "hydra.sweep.dir=out"], marks=pytest.mark.long),
    ],
)
def test_a_disk_that_is_full_at_the_start(tmp_path, run_here, monkeypatch, arguments):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hydra.core.utils, "_save_config", full)
    monkeypatch.setattr(jobs, "write_text", full)
    free = f"{shutil.disk_usage(tmp_path).free:,}"
    done = run_here("train.py", *arguments, *TINY)
    assert done.code == 1, done.text
    assert f"error: the disk is full at {tmp_path}/out (" in done.text
    assert free[:3] in done.text
    assert "raised OSError" not in done.text


def start(folder: Path, *arguments: str) -> Command:
    return Command(folder / f"output {next(NUMBERS)}.txt", *arguments)


@pytest.mark.attack
@pytest.mark.parametrize("resumed", [False, True], ids=["hydra.run.dir", "resume_from"])
def test_two_at_once(tmp_path, tally, resumed):
    """The first to claim the folder trains as if it were alone; the second is refused."""
    for case, seconds in enumerate((0.0, 0.0, 0.1, 0.3, 1.0)):
        folder = tmp_path / str(case)
        folder.mkdir()
        arguments = [*TINY, "hydra.run.dir=out"]
        if resumed:
            first = start(folder, *arguments)
            assert "error:" not in first.communicate(timeout=300)[0]
            arguments = ["resume_from=out", "trainer.max_epochs=4"]
        pair = []
        for _ in range(2):
            pair.append(start(folder, *arguments))
            time.sleep(seconds)
        texts = [process.communicate(timeout=300)[0] for process in pair]
        codes = [process.returncode for process in pair]
        noted = json.loads((folder / "out/metrics.json").read_text())
        rows = [row for row in (folder / "out/metrics.csv").read_text().splitlines() if "epoch" not in row]
        refused = texts[codes.index(1)] if 1 in codes else ""
        right = (
            sorted(codes) == [0, 1]
            and refused.startswith("error: another process works in")
            and noted["status"] == "completed"
            and len(rows) == len(set(rows))
        )
        tally.judge(f"{seconds} s apart", right, f"{codes} {texts}")


@pytest.mark.attack
def test_a_killed_process_lets_go_of_its_folder(tmp_path, tally):
    process = start(tmp_path, *options(*TINY, "trainer.max_epochs=1000", "hydra.run.dir=out"))
    while not (tmp_path / "out/checkpoints/last.ckpt").is_file():
        time.sleep(0.1)
    process.kill()
    process.communicate()
    done = start(tmp_path, "resume_from=out", "trainer.max_epochs=1")
    text = done.communicate(timeout=300)[0]
    tally.judge("SIGKILL", "another process" not in text, text)
