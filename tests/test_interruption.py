"""Real processes, real signals."""

import csv
import json
import multiprocessing
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import ROOT, SMALL
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate

import fer_lightning.resolvers  # noqa: F401
from fer_lightning.checkpoints import load, newest
from fer_lightning.errors import UserError
from fer_lightning.module import ExpressionModule

OPTIONS = (
    *SMALL,
    *("loss=supcon", "data.batch_size=28", "sampler.classes_per_batch=7", "trainer.log_every_n_steps=1"),
    *("embedder.stages=[[[8,8,16,4,8,8]],[[8,8,16,4,8,8]]]", "embedder.stem_channels=8", "embedder.hidden_size=32"),
)
ENVIRONMENT = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def stopped(tmp_path: Path, arguments: list[str], send: Callable[[subprocess.Popen], None]) -> str:
    """Train in a group of processes of its own, send it a signal after two epochs, and return what was printed."""
    with subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *arguments],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        output = ""
        for line in process.stdout:
            output += line
            if line.startswith("epoch 2/"):
                send(process)
        code = process.wait(timeout=60)
    assert code == 143, output
    assert "Traceback" not in output
    return output


def test_sigterm_leaves_a_run_that_the_printed_command_goes_on_with(tmp_path):
    arguments = [*OPTIONS, "logger=wandb", "trainer.max_epochs=1000", "hydra.run.dir=my run"]
    output = stopped(tmp_path, arguments, lambda process: process.send_signal(signal.SIGTERM))
    folder = tmp_path / "my run"
    step = load(str(folder / "checkpoints/last.ckpt"), "resume_from")["global_step"]
    noted = json.loads((folder / "metrics.json").read_text())
    assert (noted["status"], noted["error"]) == ("interrupted", "SIGTERM")
    command = re.search(r"at step (\d+); to go on: (.*)", output)
    assert int(command[1]) == step
    script, *arguments = shlex.split(command[2])[1:]
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *arguments, "trainer.max_epochs=20", "data.eval_batch_size=32"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"last.ckpt, step {step}" in done.stdout
    assert "other settings" in done.stdout
    assert "data.eval_batch_size was 64, is 32" in done.stdout
    assert json.loads((folder / "metrics.json").read_text())["status"] == "completed"
    with (folder / "metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert steps == list(range(20 * (step_count(folder) // 20)))
    names = [path.name.rpartition("-")[2] for path in (folder / "wandb").glob("offline-run-*")]
    assert len(names) == 2
    assert len(set(names)) == 1  # the same run of W&B
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("my run", ".cache")] == []


def test_sigterm_to_every_process_of_a_run(tmp_path):
    """As Slurm sends it: also to those that prepare batches, which may not have begun yet."""
    arguments = [*OPTIONS, "data.num_workers=2", "trainer.max_epochs=1000", "hydra.run.dir=run"]
    stopped(tmp_path, arguments, lambda process: os.killpg(process.pid, signal.SIGTERM))
    assert json.loads((tmp_path / "run/metrics.json").read_text())["status"] == "interrupted"


def step_count(folder: Path) -> int:
    return load(str(folder / "checkpoints/last.ckpt"), "resume_from")["global_step"]


def train(folder: Path, epochs: int) -> None:
    """Train, or go on with what the folder holds."""
    torch.set_num_threads(1)
    options = [*OPTIONS, "augmentation=occlusion", f"trainer.max_epochs={epochs}", f"paths.cache_dir={folder}/cache"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", [*options, f"hydra.runtime.output_dir={folder}"], return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    import lightning

    lightning.seed_everything(cfg.seed, verbose=False)
    try:
        checkpoint = newest(folder)
    except UserError:
        checkpoint = None
    instantiate(cfg.trainer).fit(instantiate(cfg.model), instantiate(cfg.data), ckpt_path=checkpoint, weights_only=True)


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Processes that need not import everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_interruption", "fer_lightning.module", "fer_lightning.resumption"])
    return context


def test_ctrl_c_ends_at_the_next_batch(tmp_path, processes):
    process = processes.Process(target=train, args=(tmp_path, 10_000))
    process.start()
    last = tmp_path / "checkpoints" / "last.ckpt"
    while not last.is_file() and process.is_alive():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 130
    assert load(str(last), "resume_from")["global_step"] > 0
    assert json.loads((tmp_path / "metrics.json").read_text())["status"] == "interrupted"


def hang(folder: Path) -> None:
    """Train with a batch that does not end."""

    def training_step(self, batch, batch_idx):
        (folder / "hangs").touch()
        while True:
            time.sleep(1)

    ExpressionModule.training_step = training_step
    train(folder, 1)


def test_a_second_ctrl_c_waits_for_nothing(tmp_path, processes):
    process = processes.Process(target=hang, args=(tmp_path,))
    process.start()
    while not (tmp_path / "hangs").is_file() and process.is_alive():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    process.join(0.5)
    assert process.is_alive()  # the first is only noted
    os.kill(process.pid, signal.SIGINT)
    process.join(20)
    assert process.exitcode == 130
    assert json.loads((tmp_path / "metrics.json").read_text())["status"] == "running"


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.kill)])
def test_killed_at_any_moment_it_goes_on_as_if_it_had_not_been(tmp_path, processes, kills):
    moments = random.Random(kills)
    folder = tmp_path / "killed"
    steps = [0]
    for _ in range(kills):
        process = processes.Process(target=train, args=(folder, 10_000))
        process.start()
        while not (folder / "checkpoints").is_dir() and process.is_alive():
            time.sleep(0.05)
        # One that goes on needs about a second before it trains.
        process.join(moments.uniform(0.0, 2.5))
        assert process.exitcode is None  # it runs still: nothing that the last one left stopped it
        process.kill()
        process.join()
        left = list((folder / "checkpoints").glob("*.ckpt"))
        steps.append(max((load(str(path), "resume_from")["global_step"] for path in left), default=0))
        for record in folder.glob("*.json"):
            json.loads(record.read_text())
    assert steps == sorted(steps)
    assert steps[-1] > 0
    epochs = load(str(newest(folder)), "resume_from")["epoch"] + 2
    weights = []
    for place in (folder, tmp_path / "whole"):
        process = processes.Process(target=train, args=(place, epochs))
        process.start()
        process.join()
        assert process.exitcode == 0
        weights.append(load(str(place / "checkpoints/last.ckpt"), "resume_from")["state_dict"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
