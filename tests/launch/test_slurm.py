"""Sweeps through a real Slurm on one node: tests/slurm/start, or make test-slurm."""

import csv
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fer_lightning.runs.checkpoints import load
from tests.conftest import ENVIRONMENT, ROOT, options

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(shutil.which("sinfo") is None, reason="Slurm is not there: make test-slurm"),
]
TINY = options("small", "tiny", "sweep")
SLURM = ("hydra.mode=MULTIRUN", "hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1")


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, ROOT / "train.py", *options(*TINY, *arguments)],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def until(condition, process: subprocess.Popen, seconds: float = 120) -> object:
    """Wait for a condition while the sweep runs, and return what it returned."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, slurm("scontrol", "show", "job")
        time.sleep(0.1)
    return found


def said(folder: Path) -> str:
    """Return what the jobs of a sweep have printed."""
    return "".join(path.read_text() for path in sorted(folder.glob(".submitit/*/*_log.out")))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def test_sweep_with_a_failed_and_two_refused_jobs(tmp_path):
    jobs = ("optimizer.lr=1e-3,1e30", "data.batch_size=28,30", "logger=wandb")  # 30 is no multiple of seven classes
    process = start(tmp_path, *SLURM, *jobs)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "not finite" in output.splitlines()[-1]  # of the first job that went wrong
    assert "Traceback" not in output
    table = rows(tmp_path / "out")
    assert [row["status"] for row in table] == ["completed", "failed"]
    assert ["optimizer.lr=1e+30" in row["overrides"] for row in table] == [False, True]
    assert "not finite" in table[1]["error"]
    assert "job 4 of 4" in said(tmp_path / "out")
    for refused in (3, 4):
        assert re.search(rf"job {refused} has not begun: .*data\.batch_size=30", said(tmp_path / "out"))
    assert len(list((tmp_path / "out").glob("wandb/offline-run-*"))) == 1  # closing run, of whoever ended last


@pytest.mark.parametrize(
    ("partition", "name"),
    [
        ("low", "SIGTERM"),  # put back into the queue by Slurm
        ("patient", "SIGTERM"),  # by itself, within the time that Slurm grants
        ("high", "SIGUSR2"),  # by submitit, as before its time limit
    ],
)
def test_a_job_that_lost_its_place_goes_on_as_if_it_had_not(tmp_path, partition, name):
    longer = ("trainer.max_epochs=60", "augmentation=occlusion")
    process = start(tmp_path, *SLURM, *longer, f"hydra.launcher.partition={partition}", "logger=wandb")
    out = tmp_path / "out"
    until(lambda: "epoch 3/" in said(out), process)
    job = slurm("squeue", "--noheader", "--format=%A", f"--partition={partition}").strip()
    if name == "SIGTERM":
        slurm("sbatch", "--partition=high", "--exclusive", "--output=/dev/null", "--wrap=true")
    else:
        slurm("scancel", "--signal=USR2", job)
    until(lambda: re.search("JobState=PENDING.*Restarts=1", slurm("scontrol", "show", "job", job, "-o")), process)
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")  # Slurm would wait two minutes
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output + said(out)

    step = int(re.search(rf"{name} at step (\d+)\n.*to go on: ", said(out))[1])
    assert f"last.ckpt, step {step}" in said(out)
    assert "other settings" not in said(out)
    assert [row["status"] for row in rows(out)] == ["completed"]

    whole = start(tmp_path, *longer, "hydra.run.dir=whole")
    output, _ = whole.communicate(timeout=240)
    assert whole.returncode == 0, output
    folders = (next(out.glob("adam-*")), tmp_path / "whole")
    ended, uninterrupted = (
        load(str(folder / "checkpoints/last.ckpt"), "resume_from")["state_dict"] for folder in folders
    )
    assert all(torch.equal(ended[key], uninterrupted[key]) for key in uninterrupted)
    assert len({path.name.rpartition("-")[2] for path in folders[0].glob("wandb/offline-run-*")}) == 1
