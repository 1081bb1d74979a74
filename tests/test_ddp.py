"""Two processes train as one: real ones, on the CPU."""

import json
import multiprocessing
import os
import runpy
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
from conftest import ROOT, SMALL
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate

import fer_lightning.resolvers  # noqa: F401
from fer_lightning.checkpoints import load
from fer_lightning.data.sampler import ClassSampler, OrderedSampler
from fer_lightning.errors import UserError
from fer_lightning.runs import read_run

TINY = (
    *SMALL,
    *("data.batch_size=28", "sampler.classes_per_batch=7", "trainer.log_every_n_steps=1", "trainer.precision=64-true"),
    "optimizer.lr=1e-3",
)
FACENET = (
    *("embedder.stages=[[[8,8,16,4,8,8]]]", "embedder.stem_channels=8", "embedder.hidden_size=32"),
    "embedder.dropout=0",  # would leave out other units
)
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
ENVIRONMENT = {
    **os.environ,
    **{"WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
}


class Fails(lightning.Callback):
    """Raises in one of the processes alone; the others wait for it, or where that is the main one, do not notice."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.global_rank == self.rank:
            raise UserError(f"only process {self.rank} has failed")
        if self.rank == 0:
            time.sleep(1000)


def start(folder: Path, *arguments: str, module: tuple[str, ...] = ()) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *module, str(ROOT / "train.py"), *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_run_of_two_processes_stopped_and_resumed_is_that_of_one(tmp_path, run_here):
    """Started by Lightning, ended by a signal to the main process, resumed under torchrun."""
    options = ("loss=proxy_anchor", "data.eval_batch_size=67", *TINY, *FACENET)  # a rest of one face: 67 -> 34 + 34
    with start(tmp_path, *options, *TWO, "trainer.max_epochs=1000", "hydra.run.dir=two") as process:
        output = ""
        for line in process.stdout:
            output += line
            if line.startswith("epoch 2/"):
                process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143, output
    assert "Traceback" not in output
    assert output.count("to go on: python train.py") == output.count("200 faces from drawn faces") == 1
    noted = json.loads((tmp_path / "two/metrics.json").read_text())
    assert (noted["status"], noted["error"]) == ("interrupted", "SIGTERM")
    stopped = load(str(tmp_path / "two/checkpoints/last.ckpt"), "resume_from")
    epochs = f"trainer.max_epochs={stopped['epoch'] + 3}"
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
    with start(tmp_path, "resume_from=two", epochs, module=torchrun) as process:
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert output.count(f"last.ckpt, step {stopped['global_step']}") == output.count("results: ") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".cache", "two"]

    assert run_here("train.py", *options, epochs, "hydra.run.dir=one").code == 0
    one, two = read_run(tmp_path / "one"), read_run(tmp_path / "two")
    assert (one.metrics["processes"], two.metrics["processes"]) == (1, 2)
    scores = [name for name in one.metrics if name.startswith(("test/", "val/", "train/"))]
    assert len(scores) > 30
    assert [one.metrics[name] for name in scores] == [two.metrics[name] for name in scores]
    assert one.predictions == two.predictions
    assert one.history.keys() == two.history.keys()
    for name, (steps, values) in one.history.items():
        assert np.array_equal(two.history[name][0], steps), name
        assert np.allclose(two.history[name][1], values, rtol=1e-5, atol=1e-6), name
    weights = [load(str(run.folder / "checkpoints/last.ckpt"), "resume_from")["state_dict"] for run in (one, two)]
    for name, tensor in weights[0].items():
        assert torch.allclose(weights[1][name].double(), tensor.double(), rtol=0, atol=1e-6), name
    files = [{str(path.relative_to(run.folder)) for path in run.folder.rglob("*.*")} for run in (one, two)]
    assert files[0] == files[1]


def test_exception_in_the_main_process_ends_one_that_is_busy(tmp_path):
    """Lightning's launcher would leave it behind."""
    arguments = ["+callbacks.fails._target_=test_ddp.Fails", "+callbacks.fails.rank=0", "hydra.run.dir=run"]
    with start(tmp_path, *TINY, *FACENET, *TWO, *arguments) as process:
        output = process.communicate(timeout=60)[0]  # until nobody holds its end of the pipe
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert output.splitlines()[-1] == "error: only process 0 has failed"
    assert json.loads((tmp_path / "run/metrics.json").read_text())["error"] == "UserError: only process 0 has failed"


@pytest.fixture(scope="module")
def started() -> Callable[..., list[multiprocessing.Process]]:
    """Start a function in one process and in two that train together, none of which need import everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_ddp", "fer_lightning.module", "fer_lightning.resumption"])

    def begin(task: Callable, *arguments: object, ranks: tuple[int | None, ...]) -> list[multiprocessing.Process]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        processes = [context.Process(target=as_rank, args=(rank, port, task, *arguments)) for rank in ranks]
        for process in processes:
            process.start()
        return processes

    return begin


def as_rank(rank: int | None, port: int, task: Callable, *arguments: object) -> None:
    """Do some work as torchrun would have it done."""
    torch.set_num_threads(1)
    if rank is not None:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    task(rank, *arguments)


def command(rank: int, folder: Path, *arguments: str) -> None:
    os.chdir(folder)
    os.environ["WANDB_MODE"] = "offline"
    sys.argv = ["train.py", *arguments]
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")


def test_exception_in_one_process_ends_all(tmp_path, started):
    arguments = ["+callbacks.fails._target_=test_ddp.Fails", "+callbacks.fails.rank=1", "hydra.run.dir=run"]
    processes = started(command, tmp_path, *TINY, *FACENET, "trainer=ddp", SMALL[2], *arguments, ranks=(0, 1))
    for process in processes:
        process.join(60)
        assert process.exitcode == 1
    noted = json.loads((tmp_path / "run/metrics.json").read_text())
    assert noted["error"] == "UserError: another process of this training has ended: what it said stands above"


def train(rank: int | None, folder: Path) -> None:
    """Train a few steps on every loss; leave the weights of each."""
    weights = {}
    for loss in LOSSES:
        options = [*TINY, *loss.split(), *(FACENET if "timm" not in loss else ()), *(TWO if rank is not None else ())]
        options += ["logger=none", "~callbacks", "trainer.callbacks=[]", f"hydra.runtime.output_dir={folder}"]
        options += ["trainer.limit_train_batches=3", "trainer.limit_val_batches=0", "trainer.max_epochs=1"]
        options.append("+trainer.enable_checkpointing=false")  # these trainings are not one: they would share its files
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose("train", options, return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        lightning.seed_everything(0, verbose=False)
        model = instantiate(cfg.model)
        instantiate(cfg.trainer).fit(model, instantiate(cfg.data))
        weights[loss] = model.state_dict()
    torch.save(weights, folder / f"{rank}.pt")


LOSSES = (
    *("loss=triplet", "loss=supcon", "loss=proxy_anchor", "loss=arcface", "loss=multi_similarity"),
    "loss=triplet miner=batch_hard embedder=timm embedder.model_name=convnext_atto",
)


def test_every_loss_moves_the_weights_as_in_one_process(tmp_path, started):
    """The miner and the loss see the gathered batch, and gradients have the size of one process's."""
    for process in started(train, tmp_path, ranks=(None, 0, 1)):
        process.join(120)
        assert process.exitcode == 0
    one, *two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (None, 0, 1))
    for loss, weights in one.items():
        for other in two:
            assert weights.keys() == other[loss].keys()
            for name, tensor in weights.items():
                assert torch.allclose(other[loss][name].double(), tensor.double(), rtol=0, atol=1e-7), f"{loss}: {name}"


def test_shares_of_a_batch_are_the_batch():
    labels = np.arange(210) % 7
    whole = list(ClassSampler(labels, 28, 7, seed=1, start=2))
    shares = [list(ClassSampler(labels, 28, 7, seed=1, start=2, world_size=4, rank=rank)) for rank in range(4)]
    assert len(whole) == 5
    for batch, *parts in zip(whole, *shares, strict=True):
        assert [part[place] for place in range(7) for part in parts] == batch
    with pytest.raises(UserError, match=r"data\.batch_size=28 .* by 3 processes"):
        ClassSampler(labels, 28, 7, seed=1, world_size=3)


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_rows_are_shared_out_once_in_their_order(processes):
    for size in range(processes, 40):
        shares = [list(OrderedSampler(size, 6, processes, rank)) for rank in range(processes)]
        rows = []
        for parts in zip(*shares, strict=True):  # equally many batches on every process
            assert min(map(len, parts)) > 0
            assert max(map(len, parts)) <= -(-6 // processes) + (processes > 1)
            rows += sorted(row for part in parts for row in part)
            assert [len(part) for part in parts] == sorted(map(len, parts), reverse=True)
        assert rows == list(range(size))
    with pytest.raises(UserError, match=f"{processes - 1} faces cannot be shared by {processes} processes"):
        OrderedSampler(processes - 1, 6, processes, 0)


def test_several_devices_are_refused_before_torch_where_they_cannot_work(tmp_path, run_here, monkeypatch):
    """Fault 72: each process would run the sweep again."""
    for option in ("trainer.devices=2", "trainer=ddp", "trainer.devices=auto", "trainer.devices=[0,1]"):
        done = run_here("train.py", "-m", option, *SMALL)
        assert done.code == 1
        for words in ("with -m", "one run at a time", "torchrun", "hydra/launcher=joblib", "hydra/launcher=slurm"):
            assert words in done.text.splitlines()[-1]
        noted = json.loads(next(tmp_path.glob("logs/train/multiruns/*/*/metrics.json")).read_text())
        assert "with -m" in noted["error"]
    done = run_here("train.py", *TWO, "data.batch_size=16", "trainer.devices=3", *SMALL)
    assert "data.batch_size=16 cannot be shared equally by 3 processes" in done.text.splitlines()[-1]
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = run_here("train.py", *SMALL)
    assert "2 processes were started" in done.text.splitlines()[-1]
