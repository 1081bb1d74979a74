"""A sweep writes tables and reports around its jobs, and closes with the last one."""

import csv
import subprocess
import sys
from pathlib import Path

from filelock import FileLock
from hydra.types import RunMode
from omegaconf import OmegaConf

import fer_lightning.report.wandb
from fer_lightning.files import write_json
from fer_lightning.launch.jobs import PAUSE, Jobs
from fer_lightning.launch.sweeps import End, note_end
from fer_lightning.report.tables import tabulate
from tests import processes
from tests.conftest import ENVIRONMENT, NEXT_DELETES, options


def end_job(number: int, sweep: Path, jobs: Jobs) -> None:
    fer_lightning.report.wandb.log_sweep = closing_run
    for k in range(5):
        folder = sweep / f"{k}" / f"job{number}"
        folder.mkdir(parents=True)
        (folder.parent / ".hydra").mkdir(exist_ok=True)
        config = OmegaConf.create({"objective": "val/accuracy", "logger": {"wandb": {}}})
        config.trainer = {"fast_dev_run": False}
        config.hydra = {"mode": RunMode.MULTIRUN, "sweep": {"dir": str(folder.parent)}}
        (folder.parent / ".hydra/ended").touch()
        config.hydra.runtime, config.hydra.job = {"output_dir": str(folder)}, {"num": number}
        processes.meet()
        record = {"status": "completed", "val/accuracy": number / 8, "settings": {"seed": number}}
        write_json(folder / "metrics.json", record)
        tabulate(folder.parent, config.objective)
        last = note_end(jobs.sweep, config, End.COMPLETED)
        jobs.report_sweep(config, last)
        if last:
            with (folder.parent / "tables").open("a") as file:
                file.write("one\n")


def closing_run(folder: Path, config) -> None:
    with (folder / "closing_runs").open("a") as file:
        file.write("one\n")
    (folder / "wandb").mkdir(exist_ok=True)


def test_jobs_that_end_at_once_close_the_sweep_once(tmp_path):
    jobs = Jobs(claim=False, ledger=True, report=True)
    jobs.sweep = OmegaConf.create({"hydra": {"sweeper": {"n_trials": processes.TOGETHER}}})
    processes.together(end_job, tmp_path, jobs)
    for sweep in tmp_path.iterdir():
        assert len(list(sweep.glob("*/metrics.json"))) == processes.TOGETHER
        with (sweep / "sweep.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [(row["job"], row["val/accuracy"]) for row in rows] == [
            ("mean of 4 runs", "0.1875"),
            *[(f"job{k}", f"{k / 8}") for k in (3, 2, 1, 0)],
        ]
        assert (sweep / "sweep.md").read_text().count("| job") == 1 + processes.TOGETHER
        assert (sweep / "closing_runs").read_text() == (sweep / "tables").read_text() == "one\n"


def test_report_of_a_sweep_waits_for_the_last_job(tmp_path):
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


FAST = options("small", "plain", "debug=fast", "hydra.sweep.subdir='${seed}'")
HOLD = "import sys, time; from fer_lightning.launch.claims import *; claim('run', Path(sys.argv[1]), ''); "
HOLD += "print(flush=True); time.sleep(300)"  # a job whose sweep was killed


@NEXT_DELETES
def test_folders_are_not_mixed(tmp_path, run_here):
    job = [sys.executable, "-c", HOLD, tmp_path / "out/1"]
    with subprocess.Popen(job, env=ENVIRONMENT, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        done = run_here("train.py", "seed=1,0", "-m", *FAST, "hydra.sweep.dir=out")  # the flag among options
        process.kill()
    assert done.code == 0, done.text
    assert f"another process works in {tmp_path}/out/1: wait for it, or train this job later (it is " in done.text
    assert f"process {process.pid} on " in done.text
    assert done.text.count("other processes work there: job 1") == 1
    assert done.text.splitlines()[-1].endswith("train.py sweep.resume=out")
    assert (tmp_path / "out/0/metrics.json").exists()
    assert not (tmp_path / "out/1/metrics.json").exists()
    assert OmegaConf.to_container(OmegaConf.load(tmp_path / "out/.hydra/overrides.yaml"))[-1].endswith("${seed}'")
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
