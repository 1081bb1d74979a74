"""Several processes at once: one cache, the files of one sweep, the jobs of a launcher."""

import csv
from pathlib import Path

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

import fer_lightning.report.wandb
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import install_command
from fer_lightning.files import write_json
from fer_lightning.launch.jobs import Jobs
from fer_lightning.launch.search import is_last
from fer_lightning.report.table import tabulate
from tests import processes
from tests.conftest import ROOT, command, make_tree, options

NUMBER = 4


def wait_for(barrier) -> None:
    """Give a process the place where all of them meet before each round."""
    global meet
    meet = barrier


def together(function, *arguments) -> list:
    """Return what the function gives in each of four processes, which all enter it at the same moment."""
    with processes.CONTEXT.Pool(NUMBER, wait_for, [processes.CONTEXT.Barrier(NUMBER)]) as pool:
        found = pool.starmap(function, [(number, *arguments) for number in range(NUMBER)], chunksize=1)
        pool.close()
        pool.join()
    return found


def read(number: int, root: Path, cache: Path) -> list[str]:
    found = []
    for k in range(4):
        meet.wait(60)
        if k % 2 and number == 0:  # every other time it is damaged when they come
            for path in cache.iterdir():
                path.write_bytes(path.read_bytes()[:5000])
        meet.wait(60)
        faces = read_faces(str(root), str(cache), {}, 48)
        found.append((faces.fingerprint, faces.images.tobytes(), faces.labels.tobytes(), faces.names.tobytes()))
    return found


def test_four_processes_fill_one_cache(tmp_path):
    root = make_tree(tmp_path / "faces", faces=8)
    results = together(read, root, tmp_path / "cache")
    first = read_faces(str(root), str(tmp_path / "other"), {}, 48)
    assert len(first.labels) == 112
    table = (first.fingerprint, first.images.tobytes(), first.labels.tobytes(), first.names.tobytes())
    assert all(found == table for result in results for found in result)
    left = [path.name for path in (tmp_path / "cache").iterdir()]
    assert left in ([], [path.name for path in (tmp_path / "other").iterdir()])  # whole or absent, no half-written one


def end_job(number: int, sweep: Path, jobs: Jobs) -> None:
    fer_lightning.report.wandb.log_sweep = closing_run
    for k in range(5):
        folder = sweep / f"{k}" / f"job{number}"
        folder.mkdir(parents=True)
        (folder.parent / ".hydra").mkdir(exist_ok=True)
        config = OmegaConf.create({"objective": "val/accuracy", "logger": {"wandb": {}}})
        config.trainer = {"fast_dev_run": False}
        config.hydra = {"mode": RunMode.MULTIRUN, "sweep": {"dir": str(folder.parent)}}
        (folder.parent / ".hydra/passed").touch()
        config.hydra.runtime, config.hydra.job = {"output_dir": str(folder)}, {"num": number}
        meet.wait(60)
        write_json(folder / "metrics.json", {"status": "completed", "val/accuracy": number / 8, "overrides": ""})
        tabulate(folder.parent, config.objective)
        last = is_last(jobs.sweep, config)
        jobs.report_sweep(config, last)
        if last:
            with (folder.parent / "tables").open("a") as file:
                file.write("one\n")


def closing_run(folder: Path, config) -> None:
    with (folder / "closing_runs").open("a") as file:
        file.write("one\n")
    (folder / "wandb").mkdir(exist_ok=True)


def test_jobs_that_end_at_once_lose_no_row_and_close_the_sweep_once(tmp_path):
    jobs = Jobs(claim=False, ledger=True, report=True)
    jobs.sweep = OmegaConf.create({"hydra": {"sweeper": {"n_trials": NUMBER}}})
    together(end_job, tmp_path, jobs)
    for sweep in tmp_path.iterdir():
        assert len(list(sweep.glob("*/metrics.json"))) == NUMBER
        with (sweep / "sweep.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [(row["job"], row["val/accuracy"]) for row in rows] == [
            ("mean of 4 runs", "0.1875"),
            *[(f"job{k}", f"{k / 8}") for k in (3, 2, 1, 0)],
        ]
        assert (sweep / "sweep.md").read_text().count("| job") == 1 + NUMBER
        assert (sweep / "closing_runs").read_text() == (sweep / "tables").read_text() == "one\n"


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


def test_two_sweeps_started_at_once_stay_apart(tmp_path):
    fast, outputs = options("small", "plain", "debug=fast"), [tmp_path / "one.txt", tmp_path / "other.txt"]
    sweeps = [
        processes.start(processes.command, output, "-m", *fast, f"optimizer={names}")
        for output, names in zip(outputs, ("adam,sgd", "rmsprop"), strict=True)
    ]
    for process, output in zip(sweeps, outputs, strict=True):
        process.join(240)
        assert process.exitcode == 0, output.read_text()
    found = []
    for folder in (tmp_path / "logs/train/multiruns").iterdir():
        with (folder / "sweep.csv").open() as file:
            found.append({row["job"].split("-")[0]: row["status"] for row in csv.DictReader(file)})
    assert sorted(sorted(rows) for rows in found) == [["adam", "sgd"], ["rmsprop"]]
    assert {status for rows in found for status in rows.values()} == {"completed"}


PLUGINS = {"hydra/launcher=joblib": "joblib", "hydra/launcher=slurm": "slurm", "hparams_search=optuna": "optuna"}
WITHOUT_PLUGINS = """
import runpy, sys
sys.modules["hydra_plugins"] = sys.modules["optuna"] = None
from hydra.core.global_hydra import GlobalHydra
script, *wanted = sys.argv[1:]
for option in wanted:
    GlobalHydra.instance().clear()
    sys.argv = [script, "-m", option]
    try:
        runpy.run_path(script, None, "__main__")
    except SystemExit as stop:
        print(stop.code)
"""


def test_missing_extra_is_named(tmp_path):
    done = command(tmp_path, "-c", WITHOUT_PLUGINS, ROOT / "train.py", *PLUGINS)
    lines = done.stdout.splitlines()
    assert len(lines) == len(PLUGINS), done.stderr
    for line, extra in zip(lines, PLUGINS.values(), strict=True):
        assert line.startswith("error: ")
        assert install_command(extra) in line
