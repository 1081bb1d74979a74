"""Two processes train as one: real ones, on the CPU."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate

from fer_lightning.errors import UserError
from fer_lightning.runs.checkpoints import load
from fer_lightning.runs.record import Run, read_run
from tests.conftest import ENVIRONMENT, ROOT, options
from tests.processes import command, start

TINY = options("small", "processes")
WHOLE = options(*TINY, "loss=proxy_anchor", "data.eval_batch_size=67")  # a rest of one face: 34 + 34
UNROUNDED = ("calibration_error", "calibration_error_raw", "aurc", "temperature", "_threshold")
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


class Fails(lightning.Callback):
    """Raises in one of the processes alone; the others wait for it, or where that is the main one, do not notice."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.global_rank == self.rank:
            raise UserError(f"only process {self.rank} has failed")
        if self.rank == 0:
            time.sleep(1000)


def opened(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def assert_same(one: Run, two: Run) -> None:
    """Look whether two processes and one have left the same numbers, weights and files."""
    assert (one.record.processes, two.record.processes) == (1, 2)
    shares = {name for name in one.figures if name.endswith(UNROUNDED)}  # of votes, which differ in a last digit
    assert all(abs(one.figures[name] - two.figures[name]) < 1e-3 for name in shares)
    scores = [name for name in one.figures if name.startswith(("test/", "val/", "train/")) and name not in shares]
    assert len(scores) > 30
    assert [one.figures[name] for name in scores] == [two.figures[name] for name in scores]
    for vote in ("vote", "raw_vote"):
        votes = [run.predictions.pop(vote).astype(float) for run in (one, two)]
        assert np.allclose(*votes, rtol=0, atol=1e-3)  # a similarity may fall on the next point of the k-NN's grid
    assert one.predictions.keys() == two.predictions.keys()
    assert all(np.array_equal(column, two.predictions[name]) for name, column in one.predictions.items())
    assert one.history.keys() == two.history.keys()
    for name, (steps, values) in one.history.items():
        assert np.array_equal(two.history[name][0], steps), name
        assert np.allclose(two.history[name][1], values, rtol=1e-5, atol=1e-6), name
    weights = [load(str(run.folder / "checkpoints/last.ckpt"), "resume_from")["state_dict"] for run in (one, two)]
    for name, tensor in weights[0].items():
        assert torch.allclose(weights[1][name].double(), tensor.double(), rtol=0, atol=1e-6), name
    files = [{str(path.relative_to(run.folder)) for path in run.folder.rglob("*.*")} for run in (one, two)]
    assert files[0] == files[1]


@pytest.mark.long
def test_run_of_two_processes_stopped_and_resumed_is_that_of_one(tmp_path, run_here):
    """Started by Lightning, ended by a signal to the main process, resumed under torchrun."""
    train = str(ROOT / "train.py")
    with opened(tmp_path, train, *WHOLE, *TWO, "trainer.max_epochs=1000", "hydra.run.dir=two") as process:
        output = ""
        for line in process.stdout:
            output += line
            if line.startswith("epoch 1/"):
                process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=240) == 143, output
    assert "Traceback" not in output
    assert output.count("to go on: python train.py") == output.count("200 faces from synthetic faces") == 1
    noted = json.loads((tmp_path / "two/metrics.json").read_text())
    assert (noted["status"], noted["error"]) == ("interrupted", "SIGTERM")
    stopped = load(str(tmp_path / "two/checkpoints/last.ckpt"), "resume_from")
    epochs = f"trainer.max_epochs={stopped['epoch'] + 2}"
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
    with opened(tmp_path, *torchrun, train, "resume_from=two", epochs) as process:
        output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    assert output.count(f"last.ckpt, step {stopped['global_step']}") == output.count("results: ") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".cache", "two"]

    assert run_here("train.py", *WHOLE, epochs, "hydra.run.dir=one").code == 0
    assert_same(read_run(tmp_path / "one"), read_run(tmp_path / "two"))


@pytest.mark.long
def test_exception_in_the_main_process_ends_one_that_is_busy(tmp_path):
    """Lightning's launcher would leave it behind."""
    fails = ("+callbacks.fails._target_=tests.models.test_distributed.Fails", "+callbacks.fails.rank=0")
    with opened(tmp_path, str(ROOT / "train.py"), *BRIEF, *TWO, *fails, "hydra.run.dir=run") as process:
        output = process.communicate(timeout=240)[0]  # until nobody holds its end of the pipe
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert output.splitlines()[-1] == "error: only process 0 has failed"
    assert json.loads((tmp_path / "run/metrics.json").read_text())["error"] == "UserError: only process 0 has failed"


def joined(task: Callable, folder: Path, ranks: tuple[int | None, ...]) -> list[int | None]:
    """Do some work in two processes that train together, as torchrun would start them, and in one alone (None)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "TORCHELASTIC_RUN_ID": "test"}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    of_rank = {rank: {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in (0, 1)}
    processes = [start(task, rank, folder, **of_rank.get(rank, {})) for rank in ranks]
    for process in processes:
        process.join(240)
    return [process.exitcode for process in processes]


BRIEF = options(*WHOLE, "plain", "trainer.max_epochs=1")


def fail(rank: int, folder: Path) -> None:
    fails = (
        "+callbacks.fails._target_=tests.models.test_distributed.Fails",
        "+callbacks.fails.rank=1",
        "hydra.run.dir=run",
    )
    command(folder / f"{rank}.txt", *BRIEF, "trainer=ddp", "trainer.accelerator=cpu", *fails)


@pytest.mark.long
def test_exception_in_one_process_ends_all(tmp_path):
    assert joined(fail, tmp_path, ranks=(0, 1)) == [1, 1]
    assert (tmp_path / "1.txt").read_text().splitlines()[-1] == "error in process 1: only process 1 has failed"
    noted = json.loads((tmp_path / "run/metrics.json").read_text())
    assert noted["error"] == "UserError: another process of this training has ended: what it said stands above"


LOSSES = ("loss=triplet", "loss=arcface")
OTHERS = ("loss=supcon", "loss=proxy_anchor", "loss=multi_similarity")


def train(rank: int | None, folder: Path) -> None:
    """Train a few steps on each loss that a file of the folder names; leave the weights of each."""
    weights = {}
    for loss in (folder / "losses.txt").read_text().split():
        overrides = [*TINY, loss, *(() if rank is None else TWO), "logger=none", "~callbacks", "trainer.callbacks=[]"]
        overrides += ["trainer.limit_train_batches=3", "trainer.limit_val_batches=0", "trainer.max_epochs=1"]
        overrides.append("+trainer.enable_checkpointing=false")  # these trainings are not one: they share no files
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            overrides.append(f"hydra.runtime.output_dir={folder}")
            cfg = compose("train", overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        lightning.seed_everything(0, verbose=False)
        model = instantiate(cfg.model)
        instantiate(cfg.trainer).fit(model, instantiate(cfg.data))
        weights[loss] = model.state_dict()
    torch.save(weights, folder / f"{rank}.pt")


@pytest.mark.long
@pytest.mark.parametrize("losses", [LOSSES, OTHERS], ids=["two", "others"])
def test_every_loss_moves_the_weights_as_in_one_process(tmp_path, losses):
    """The miner and the loss see the gathered batch, and gradients have the size of one process's."""
    (tmp_path / "losses.txt").write_text("\n".join(losses))
    ranks = (None, 0, 1)
    assert joined(train, tmp_path, ranks) == [0, 0, 0]
    one, *two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in ranks)
    for loss, weights in one.items():
        for other in two:
            assert weights.keys() == other[loss].keys()
            for name, tensor in weights.items():
                assert torch.allclose(other[loss][name].double(), tensor.double(), rtol=0, atol=1e-7), f"{loss}: {name}"
