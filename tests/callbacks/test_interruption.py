"""Real processes, real signals."""

import csv
import json
import os
import random
import re
import shlex
import signal
import time
from pathlib import Path

import lightning
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate

from fer_lightning.errors import UserError
from fer_lightning.models.module import ExpressionModule
from fer_lightning.runs.checkpoints import load, newest
from tests.conftest import ROOT, options
from tests.processes import command, start, until


def step_count(checkpoint: Path) -> int:
    return load(str(checkpoint), "resume_from")["global_step"]


def status(folder: Path) -> tuple[str, str | None]:
    noted = json.loads((folder / "metrics.json").read_text())
    return noted["status"], noted.get("error")


def stopped(tmp_path: Path, *arguments: str, group: bool = False) -> str:
    """Train, send SIGTERM after two epochs to that process or to its whole group, and return what was printed."""
    output = tmp_path / "output.txt"
    process = start(command, output, *options("small", "tiny", "plain", "trainer.max_epochs=1000", *arguments))
    until(lambda: output.is_file() and "epoch 2/" in output.read_text(), process)
    (os.killpg if group else os.kill)(process.pid, signal.SIGTERM)
    process.join(240)
    text = output.read_text()
    assert process.exitcode == 143, text
    assert "Traceback" not in text
    output.unlink()
    return text


@pytest.mark.long
def test_printed_command_resumes_after_sigterm(tmp_path, run_here):
    folder = tmp_path / "my run"
    output = stopped(tmp_path, "logger=wandb", "hydra.run.dir=my run")
    step = step_count(folder / "checkpoints/last.ckpt")
    assert status(folder) == ("interrupted", "SIGTERM")
    said = re.search(r"at step (\d+)\nto go on: python (.*)", output)
    assert int(said[1]) == step
    done = run_here(*shlex.split(said[2]), "trainer.max_epochs=12", "data.eval_batch_size=32")
    assert done.code == 0, done.text
    assert f"last.ckpt, step {step}" in done.text
    assert "other settings" in done.text
    assert "data.eval_batch_size was 64, is 32" in done.text
    assert status(folder) == ("completed", None)
    with (folder / "metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert steps == list(range(step_count(folder / "checkpoints/last.ckpt")))
    assert len(steps) > step
    names = [path.name.rpartition("-")[2] for path in (folder / "wandb").glob("offline-run-*")]
    assert len(names) == 2
    assert len(set(names)) == 1  # the same run of W&B
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("my run", ".cache")] == []


@pytest.mark.long
def test_sigterm_to_every_process_of_a_run(tmp_path):
    """As Slurm sends it: also to those that prepare batches, which may not have begun yet."""
    stopped(tmp_path, "data.num_workers=2", "hydra.run.dir=run", group=True)
    assert status(tmp_path / "run") == ("interrupted", "SIGTERM")


def train(folder: Path, epochs: int) -> None:
    """Train, or go on with what the folder holds."""
    own = ("augmentation=occlusion", f"trainer.max_epochs={epochs}", f"paths.cache_dir={folder}/cache")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        overrides = [*options("small", "tiny", *own), f"hydra.runtime.output_dir={folder}"]
        cfg = compose("train", overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    lightning.seed_everything(cfg.seed, verbose=False)
    try:
        checkpoint = newest(folder)
    except UserError:
        checkpoint = None
    instantiate(cfg.trainer).fit(instantiate(cfg.model), instantiate(cfg.data), ckpt_path=checkpoint, weights_only=True)


def test_ctrl_c_ends_at_the_next_batch(tmp_path):
    process = start(train, tmp_path, 10_000)
    last = tmp_path / "checkpoints" / "last.ckpt"
    until(last.is_file, process)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 130
    assert step_count(last) > 0
    assert status(tmp_path) == ("interrupted", "SIGINT")


def hang(folder: Path) -> None:
    """Train with a batch that does not end."""

    def training_step(self, batch, batch_idx):
        (folder / "hangs").touch()
        while True:
            time.sleep(1)

    ExpressionModule.training_step = training_step
    train(folder, 1)


@pytest.mark.long
def test_a_second_ctrl_c_waits_for_nothing(tmp_path):
    process = start(hang, tmp_path)
    until((tmp_path / "hangs").is_file, process)
    os.kill(process.pid, signal.SIGINT)
    process.join(0.5)
    assert process.is_alive()  # the first is only noted
    os.kill(process.pid, signal.SIGINT)
    process.join(20)
    assert process.exitcode == 130
    assert status(tmp_path) == ("running", None)


@pytest.mark.parametrize(
    ("kills", "first"),
    [pytest.param(1, "last.ckpt", marks=pytest.mark.long), pytest.param(50, "", marks=pytest.mark.kill)],
    ids=["once", "50 times"],
)
def test_killed_at_any_moment_it_goes_on_as_if_it_had_not_been(tmp_path, kills, first):
    moments = random.Random(kills)
    folder = tmp_path / "killed"
    steps = [0]
    for _ in range(kills):
        process = start(train, folder, 10_000)
        until((folder / "checkpoints" / first).exists, process)
        # One that goes on needs about a second before it trains.
        process.join(moments.uniform(0.0, 2.5))
        assert process.exitcode is None  # it runs still: nothing that the last one left stopped it
        process.kill()
        process.join()
        steps.append(max(map(step_count, (folder / "checkpoints").glob("*.ckpt")), default=0))
        for record in folder.glob("*.json"):
            json.loads(record.read_text())
    assert steps == sorted(steps)
    assert steps[-1] > 0
    epochs = load(str(newest(folder)), "resume_from")["epoch"] + 2
    weights = []
    for place in (folder, tmp_path / "whole"):
        process = start(train, place, epochs)
        process.join()
        assert process.exitcode == 0
        weights.append(load(str(place / "checkpoints/last.ckpt"), "resume_from")["state_dict"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
