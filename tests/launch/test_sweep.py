"""A sweep that goes on: what is completed is skipped, what is half-done goes on, what failed runs again."""

import csv
import os
import signal
from pathlib import Path

import pytest
import torch

from fer_lightning.launch import resume
from fer_lightning.models.module import ExpressionModule
from fer_lightning.runs.checkpoints import load
from fer_lightning.runs.record import ASIDE, read_record
from tests.conftest import NEXT_DELETES, ROOT, command, options

QUIET = options("small", "tiny", "plain", "sweep", "trainer.limit_train_batches=2")  # pages are tried elsewhere


def table(folder: Path) -> dict[str, dict[str, str]]:
    """Return the rows of sweep.csv by the start of the job's name."""
    with (folder / "sweep.csv").open() as file:
        return {row["job"].split("-")[0]: row for row in csv.DictReader(file)}


def weights(folder: Path, job: str) -> dict[str, torch.Tensor]:
    (path,) = folder.glob(f"{job}-*/checkpoints/last.ckpt")
    return load(str(path), "resume_from")["state_dict"]


@pytest.fixture
def steps(monkeypatch) -> dict:
    """Count the training steps of each optimizer; ``steps["at"] = (optimizer, step, what)`` does something at one."""
    seen: dict = {"at": (None, None, None)}
    step = ExpressionModule.training_step

    def training_step(self, batch, batch_idx):
        name = type(self.trainer.optimizers[0]).__name__
        seen[name] = seen.get(name, 0) + 1
        optimizer, number, action = seen["at"]
        if (optimizer, number) == (name, seen[name]):
            action()
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ExpressionModule, "training_step", training_step)
    return seen


@NEXT_DELETES
def test_interrupted_sweep_ends_as_an_uninterrupted_one(tmp_path, run_here, steps):
    assert run_here("train.py", *options(*QUIET, "optimizer=sgd", "hydra.run.dir=whole/sgd-")).code == 0
    each = steps["SGD"]
    steps.clear()
    steps["at"] = ("SGD", each // 2 + 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    done = run_here("train.py", "-m", "optimizer=adam,sgd,rmsprop", *QUIET)
    assert done.code == 143
    assert f"to go on: python train.py sweep.resume={tmp_path / 'out'}" in done.text
    rows = table(tmp_path / "out")
    assert {name: row["status"] for name, row in rows.items()} == {"adam": "completed", "sgd": "interrupted"}
    assert steps == {"at": steps["at"], "Adam": each, "SGD": each // 2 + 1}
    steps["at"] = (None, None, None)

    done = run_here("train.py", "sweep.resume=out")
    assert done.code == 0, done.text
    assert done.text.count("completed before, skipped") == done.text.count("┏") == 1  # one table, at the end
    assert f"last.ckpt, step {each // 2 + 1}" in done.text
    assert "other settings" not in done.text
    assert (steps["Adam"], steps["SGD"], steps["RMSprop"]) == (each, each, each)
    rows = table(tmp_path / "out")
    assert [rows[name]["status"] for name in ("adam", "sgd", "rmsprop")] == ["completed"] * 3
    assert float(rows["sgd"]["test/accuracy"]) == read_record(tmp_path / "whole/sgd-").figures["test/accuracy"]
    ours, theirs = weights(tmp_path / "out", "sgd"), weights(tmp_path / "whole", "sgd")
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert len(list((tmp_path / "out").glob("*/metrics.json"))) == 3

    done = run_here("train.py", "sweep.resume=out", "optimizer=adam", "seed=0,1")  # more of the same
    assert done.code == 0, done.text
    assert done.text.count("completed before, skipped") == done.text.count("┏") == 1
    assert len(list((tmp_path / "out").glob("*/metrics.json"))) == 4


@pytest.mark.long
def test_a_failed_job_runs_again_and_one_of_other_code_too(tmp_path, run_here, steps, monkeypatch):
    def fail():
        raise torch.OutOfMemoryError("out of memory")

    steps["at"] = ("SGD", 2, fail)
    done = run_here("train.py", "-m", "optimizer=sgd,adam", *QUIET)
    assert done.code == 1
    rows = table(tmp_path / "out")
    assert (rows["sgd"]["status"], rows["adam"]["status"]) == ("failed", "completed")
    assert "data.batch_size" in rows["sgd"]["error"]

    done = run_here("train.py", "-m", "sweep.resume=out")
    assert done.code == 0, done.text
    rows = table(tmp_path / "out")
    assert (rows["sgd"]["status"], rows["sgd"]["error"]) == ("completed", "")
    assert len(list((tmp_path / "out" / ASIDE).iterdir())) == 1  # it had logged steps and saved none

    monkeypatch.setattr(resume, "code_fingerprint", lambda: "another")
    before = rows["adam"]["test/accuracy"]
    done = run_here("train.py", "sweep.resume=out", "optimizer=adam")
    assert done.code == 0, done.text
    assert "completed before, but with other code" in done.text
    assert len(list((tmp_path / "out" / ASIDE).glob("adam-*/metrics.json"))) == 1
    assert table(tmp_path / "out")["adam"]["test/accuracy"] == before


@pytest.mark.long
def test_a_search_goes_on_from_its_study(tmp_path, run_here, steps):
    optuna = pytest.importorskip("optuna", reason="needs the extra optuna")
    search = options(*QUIET, "hparams_search=optuna", "hydra.sweeper.n_trials=3", "loss=triplet")
    assert run_here("train.py", "-m", *search, "data.root=nowhere").code == 1
    steps["at"] = ("Adam", 6, lambda: os.kill(os.getpid(), signal.SIGTERM))
    done = run_here("train.py", "-m", *options(*search, "hydra.sweep.dir=search"))
    assert done.code == 143, done.text
    steps["at"] = (None, None, None)
    done = run_here("train.py", "sweep.resume=search")
    assert done.code == 0, done.text
    assert "goes on from" in done.text
    study = optuna.load_study(study_name="fer_lightning", storage=f"sqlite:///{tmp_path}/search/study.db")
    completed = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert [trial.state.name for trial in study.trials].count("FAIL") == 1  # the interrupted one, asked for again
    assert len(completed) == len({str(trial.params) for trial in completed}) == 3
    with (tmp_path / "search" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(float(row["val/accuracy"]) for row in rows) == sorted(trial.value for trial in completed)
    done = run_here("train.py", "sweep.resume=search")  # nothing is left
    assert done.code == 0, done.text
    assert len(list((tmp_path / "search").glob("*/metrics.json"))) == 3


@pytest.mark.long
def test_a_sweep_two_jobs_at_a_time(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs the extra joblib")
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    swept = options("small", "tiny", "brief", "plain", "sweep", "logger=wandb", "data.batch_size=28,21,30")
    done = command(tmp_path, ROOT / "train.py", "-m", *swept, *launcher)  # a forked one would wait for its workers
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: data.batch_size=30")
    assert "Traceback" not in done.stderr
    assert "job 3 of 3" in done.stdout
    assert done.stdout.count("┏") == 1
    with (tmp_path / "out/sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["completed", "completed"]
    assert "job 3 has not begun: data.batch_size=30" in done.stdout
    assert not list(tmp_path.glob("out/*bs30*"))
    ids = [path.name for path in tmp_path.glob("out/*/wandb/offline-run-*")]
    assert len(ids) == len({name.rpartition("-")[2] for name in ids}) == 2  # the third was refused before W&B
    assert '"CPU, threads: 1"' in next(tmp_path.glob("out/*bs28*/metrics.json")).read_text()
