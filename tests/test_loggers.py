"""Loggers: W&B that fails ends no training; metrics.csv goes on."""

import os
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from fer_lightning.config import resolvers
from fer_lightning.errors import UserError
from fer_lightning.loggers import PatientWandbLogger
from tests.conftest import options, raising
from tests.wandb_files import inspect


def offline_logger(folder) -> PatientWandbLogger:
    names = {"project": "x", "name": "y", "id": "z", "group": None, "job_type": "train"}
    return PatientWandbLogger(**names, save_dir=str(folder), log_model=False, mode="offline", settings=None)


def test_the_summary_stays_with_the_chosen_checkpoint(tmp_path):
    logger = offline_logger(tmp_path)
    for step, (score, best) in enumerate(((0.3, 0.3), (0.5, 0.5), (0.4, 0.5))):
        logger.log_metrics({"val/accuracy": score, "val/f1_happy": score / 2, "epoch": step}, step)
        saved = SimpleNamespace(monitor="val/accuracy", current_score=score, best_model_score=best)
        logger.after_save_checkpoint(saved)
    logger.experiment.finish()
    (run,) = tmp_path.glob("wandb/offline-run-*")
    summary = inspect(run)["summary"]
    assert (summary["val/accuracy"], summary["val/f1_happy"], summary["trainer/epoch"]) == (0.5, 0.25, 2)


TINY = options("small", "brief", "plain")

FAST = options("small", "plain", "debug=fast")


def test_wandb_that_dies_does_not_end_the_training(tmp_path, run_here, monkeypatch):
    """Fault 70: the service's pipe breaks in mid-training; metrics.csv is complete and one warning is printed."""
    from wandb.sdk.wandb_run import Run

    monkeypatch.setattr(Run, "_log", raising(BrokenPipeError("the service is gone")))
    done = run_here("train.py", *options(*TINY, "logger=wandb"), "hydra.run.dir=run")
    assert done.code == 0, done.text
    assert done.text.count("W&B failed (BrokenPipeError: the service is gone)") == 1
    assert "wandb sync" in done.text
    assert "test/accuracy" in (tmp_path / "run" / "metrics.csv").read_text()


def test_wandb_that_cannot_begin_is_left_out(tmp_path, monkeypatch, caplog):
    """Faults 70 and 93: such as for an option that is no UTF-8."""
    import wandb

    monkeypatch.setattr(wandb, "init", raising(UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")))
    logger = offline_logger(tmp_path)
    logger.log_hyperparams({"seed": 0})
    logger.log_metrics({"train/loss": 1.0}, 1)
    assert logger.experiment is None
    assert caplog.text.count("W&B failed (UnicodeEncodeError: ") == 1
    caplog.clear()
    monkeypatch.delattr("wandb.sdk.lib.RunDisabled")  # as in the wandb after the newest that we take
    assert offline_logger(tmp_path).experiment is None
    assert caplog.text.count("W&B failed (ImportError: cannot import name 'RunDisabled'") == 1
    assert f"(wandb {version('wandb')}, lightning {version('lightning')})" in caplog.text
    assert "W&B failed" in caplog.text.splitlines()[-1]


def test_wandb_environment(run_here, monkeypatch):
    """Fault 71: a mode that W&B does not know is named, and the environment is as it was."""
    monkeypatch.setenv("WANDB_MODE", "of-line")
    with pytest.raises(UserError, match=r"WANDB_MODE=of-line .*use online, offline"):
        resolvers.wandb_mode()
    before = dict(os.environ)
    assert run_here("train.py", *options(*FAST, "logger=wandb")).code == 0
    assert dict(os.environ) == before | {"WANDB_MODE": "offline"}
