"""train.py and eval.py through their real command lines."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, SMALL
from hydra.utils import instantiate


def command(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, ROOT / script, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a three-epoch run on the drawn faces."""
    cwd = tmp_path_factory.mktemp("run")
    options = (
        "trainer.max_epochs=3",
        "optimizer.lr=1e-3",
        "embedder.initial_scale=1",
        "loss=supcon",
        "data.batch_size=28",
        "sampler.classes_per_batch=7",
    )
    done = command("train.py", *SMALL[1:-1], *options, "hydra.run.dir=run", cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert "drawn faces" in done.stdout
    assert "results:" in done.stdout
    return cwd / "run"


def test_a_run_leaves_everything(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["status"] == "completed"
    assert metrics["data"] == "drawn faces"
    assert metrics["protocol"] == "honest"
    assert metrics["elapsed_seconds"] > 0
    with (trained / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == metrics["test_faces"]
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert right == pytest.approx(metrics["test/accuracy"])
    for name in (
        "config.yaml",
        "metrics.csv",
        "figures/confusion_matrix.png",
        "report.html",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    ):
        assert (trained / name).stat().st_size > 0
    assert list(trained.glob("wandb/offline-run-*/*.wandb"))
    with (trained / "metrics.csv").open() as file:
        columns = set(csv.DictReader(file).fieldnames)
    assert {"train/loss", "train/active_share", "train/spread", "val/accuracy_quick", "val/accuracy"} <= columns


def test_three_epochs_beat_chance(trained):
    # The most frequent class is 19 % of the drawn faces, one in seven 14 %.
    assert json.loads((trained / "metrics.json").read_text())["test/accuracy"] > 0.4


def test_eval_repeats_the_metrics_to_the_last_digit(trained):
    checkpoint = trained / "checkpoints" / "best.ckpt"
    torch.load(checkpoint, weights_only=True)
    done = command("eval.py", *SMALL[1:-1], f"checkpoint={checkpoint}", "hydra.run.dir=again", cwd=trained.parent)
    assert done.returncode == 0, done.stderr
    first, again = (json.loads((folder / "metrics.json").read_text()) for folder in (trained, trained.parent / "again"))
    names = [name for name in first if name.startswith("test/")]
    assert len(names) == 5 + 3 * 7 + 9  # means, per class, uncertainty
    assert {name: first[name] for name in names} == {name: again[name] for name in names}
    assert (trained / "predictions.csv").read_text() == (trained.parent / "again" / "predictions.csv").read_text()


def test_sweep_over_three_optimizers(tmp_path):
    done = command("train.py", "-m", "optimizer=adam,sgd,rmsprop", "debug=fast", *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "logs/train/multiruns").iterdir()
    with (sweep / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["job"].split("-")[0] for row in rows} == {"adam", "sgd", "rmsprop"}
    assert {row["status"] for row in rows} == {"completed"}


def test_a_failed_job_is_in_the_table_and_the_others_run(tmp_path):
    done = command("train.py", "-m", "data.batch_size=18,16", "sampler=balanced", "debug=fast", *SMALL, cwd=tmp_path)
    assert done.returncode == 1
    assert "data.batch_size=18" in done.stderr
    (sweep,) = (tmp_path / "logs/train/multiruns").iterdir()
    with (sweep / "sweep.csv").open() as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["completed", "failed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data.bach_size=3"], "did you mean data.batch_size"),
        (["optimizer=adm"], "use one of adam, adamw, rmsprop, sgd"),
        (["trainer.max_epochs=abc"], "must be a number"),
        (["+foo=1"], "foo is no option"),
        (["data.root=/nowhere"], "data.root=null"),
        (["optimizer=adam,sgd"], "--multirun"),
        (["loss=supcon", "miner=semihard"], "loss.margin is missing"),
        (["optimizer.lr=-1", *SMALL], "Invalid learning rate: -1"),
        (["classifier.k=0"], "classifier.k=0"),
    ],
)
def test_mistakes_get_one_sentence(run_here, arguments, words):
    done = run_here("train.py", *arguments)
    assert done.code == 1
    assert words in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_damaged_checkpoint_is_named(tmp_path, run_here, content):
    (tmp_path / "bad.ckpt").write_bytes(content)
    done = run_here("eval.py", "checkpoint=bad.ckpt", *SMALL)
    assert done.code == 1
    assert "bad.ckpt" in done.text
    assert "Traceback" not in done.text


def test_workers_do_not_change_the_pictures(make_cfg):
    trainer, batches = instantiate(make_cfg().trainer), []
    for workers in (0, 2):
        datamodule = instantiate(make_cfg("augmentation=occlusion", f"data.num_workers={workers}").data)
        datamodule.trainer = trainer
        datamodule.setup("fit")
        batches.append(torch.cat([batch.images for batch in datamodule.train_dataloader()]))
    assert torch.equal(*batches)
    trainer.fit_loop.epoch_progress.current.completed = 1  # what Trainer.current_epoch returns
    assert not torch.equal(batches[0], torch.cat([batch.images for batch in datamodule.train_dataloader()]))


def test_bfloat16_and_a_short_epoch(make_cfg, tmp_path):
    cfg = make_cfg("debug=fast", "trainer.precision=bf16-mixed")
    trainer, model, datamodule = (instantiate(node) for node in (cfg.trainer, cfg.model, cfg.data))
    trainer.fit(model, datamodule)
    assert torch.isfinite(trainer.callback_metrics["train/loss"])
