"""The end of a run: a validation and a checkpoint, wherever it ends."""

import csv
import logging
from pathlib import Path

import pytest

from fer_lightning.runs.checkpoints import load, newest
from tests.conftest import Signal, differing, options, state, train

OPTIONS = options("tiny", "stopped")  # three epochs of four steps


def column(folder: Path, name: str) -> dict[int, str]:
    """Return the values of a column of metrics.csv by their steps."""
    with (folder / "metrics.csv").open(newline="") as file:
        return {int(row["step"]): row[name] for row in csv.DictReader(file) if row[name]}


@pytest.fixture(autouse=True)
def informed(caplog):
    """Show the messages of level INFO in caplog."""
    caplog.set_level(logging.INFO, "fer_lightning")


def test_max_steps_ends_a_run_validated_and_a_higher_one_goes_on(make_cfg, tmp_path, caplog):
    def cfg(folder, *own):
        return make_cfg(*OPTIONS, *own, f"hydra.runtime.output_dir={tmp_path}/{folder}")

    whole = state(train(cfg("whole", "trainer.max_steps=10")))
    assert "trainer.max_steps=10 is reached in epoch 3 of 3" in caplog.text
    six = cfg("six", "trainer.max_steps=6")
    trainer = train(six)
    assert "epoch 2/2" in caplog.text
    assert column(tmp_path / "six", "val/accuracy").keys() == {3, 5}
    assert load(str(tmp_path / "six/checkpoints/last.ckpt"), "resume_from")["global_step"] == 6
    assert train(six, newest(tmp_path / "six")).global_step == 6  # nothing is left
    # A signal in the last validation: it is done anew, and nothing is trained.
    again = cfg("again", "trainer.max_steps=6")
    train(again, stop=Signal(6, "on_validation_start"))
    assert not differing(state(train(again, newest(tmp_path / "again"))), state(trainer))
    # More steps, as if they had been wanted from the start; the validation in mid-epoch stays in the table.
    longer = state(train(cfg("six", "trainer.max_steps=10"), newest(tmp_path / "six")))
    for part in ("weights", "optimizer", "schedulers"):
        assert not differing(longer[part], whole[part])
    for name in ("train/loss", "val/accuracy"):
        after, before = (column(tmp_path / folder, name) for folder in ("six", "whole"))
        assert {step: after[step] for step in before} == before
        assert after.keys() - before.keys() == ({5} if name == "val/accuracy" else set())


def test_every_run_ends_with_a_validation_and_a_checkpoint(make_cfg, tmp_path):
    cfg = make_cfg(*OPTIONS, "trainer.max_epochs=2", "trainer.val_check_interval=3")
    train(cfg)
    assert column(tmp_path, "val/accuracy").keys() == {2, 6, 7}  # third and seventh, and the last of eight
    assert load(str(tmp_path / "checkpoints/last.ckpt"), "resume_from")["global_step"] == 8
    seldom = ["trainer.max_steps=2", "trainer.check_val_every_n_epoch=5", "scheduler=onecycle"]
    trainer = train(make_cfg(*OPTIONS, *seldom, f"hydra.runtime.output_dir={tmp_path}/seldom"))
    assert column(tmp_path / "seldom", "val/accuracy").keys() == {1}
    assert load(trainer.checkpoint_callback.best_model_path, "resume_from")["global_step"] == 2
    assert trainer.lr_scheduler_configs[0].scheduler.total_steps == 2
