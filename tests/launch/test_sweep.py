"""A sweep that goes on: what is completed is skipped, what is half-done goes on, what failed runs again."""

import csv
import os
import signal
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from omegaconf import OmegaConf

from fer_lightning.files import write_json
from fer_lightning.launch import resume
from fer_lightning.launch.jobs import PAUSE, Jobs
from fer_lightning.models.module import ExpressionModule
from fer_lightning.runs.checkpoints import load
from fer_lightning.runs.record import ASIDE, read_record
from tests.conftest import options

QUIET = options("small", "tiny", "plain", "sweep", "trainer.limit_train_batches=2")  # pages are tried elsewhere
FAST = options("small", "plain", "debug=fast")


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


def test_an_interrupted_sweep_goes_on_to_what_an_uninterrupted_one_gives(tmp_path, run_here, steps):
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


def test_folders_are_not_mixed(tmp_path, run_here):
    assert run_here("train.py", "seed=0", "-m", *FAST, "hydra.sweep.dir=out").code == 0  # the flag among options
    done = run_here("train.py", "-m", "seed=1", *FAST, "hydra.sweep.dir=out")
    assert done.code == 1
    assert "out holds a sweep already: go on with it by sweep.resume=out" in done.text
    with FileLock(tmp_path / "out" / ".lock"):
        done = run_here("train.py", "sweep.resume=out")
    assert done.code == 1
    assert "another process works in" in done.text
    assert len(list((tmp_path / "out").glob("*/metrics.json"))) == 1
    (tmp_path / "empty").mkdir()
    for place, words in (("empty", "holds no sweep"), ("nowhere", "does not exist")):
        done = run_here("train.py", f"sweep.resume={place}")
        assert done.code == 1
        assert f"sweep.resume={place} {words}" in done.text


def test_a_refused_command_leaves_a_completed_run_as_it_is(tmp_path, run_here):
    fast = options(*FAST, "hydra.run.dir=run")
    assert run_here("train.py", *fast).code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    done = run_here("train.py", *fast, "seed=3")
    assert done.code == 1
    assert "holds a run already" in done.text
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    assert OmegaConf.load(tmp_path / "run/.hydra/config.yaml").seed == 0


def test_the_report_of_a_sweep_waits_while_jobs_are_left_and_is_whole_in_the_end(tmp_path):
    jobs = Jobs(claim=False, ledger=True, report=True)
    config = OmegaConf.create({"objective": "val/accuracy", "logger": {}, "hydra": {"sweep": {"dir": str(tmp_path)}}})

    def end(job: str, last: bool) -> int:
        (tmp_path / job).mkdir()
        write_json(tmp_path / job / "metrics.json", {"status": "completed", "val/accuracy": 0.5})
        jobs.report_sweep(config, last)
        table = tmp_path / "sweep.md"
        return table.read_text().count("| job") if table.is_file() else 0

    assert end("job0", last=False) == 0
    jobs.start -= PAUSE
    assert end("job1", last=False) == 3
    assert end("job2", last=False) == 3
    assert end("job3", last=True) == 5
