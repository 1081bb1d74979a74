"""Batches without a triplet, and numbers that are not finite."""

import json
import re
from collections import namedtuple

import pytest
import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback

from fer_lightning.callbacks.health import Health
from fer_lightning.errors import NotFiniteError
from fer_lightning.runs.checkpoints import load
from tests.conftest import options

TINY = options("small", "brief", "plain")
OPTIONS = options("tiny", "stopped")


def test_epoch_without_a_triplet(run_here):
    """Fault 46: no negative lies within so thin a margin, yet many violate it."""
    done = run_here("train.py", *TINY, "loss=triplet", "loss.margin=1e-9")
    assert done.code == 1, done.text
    assert re.search(r"epoch 1: 2 of 2 batches had no triplet for the loss, and \d+ triplets", done.text)
    assert "use miner=semihard or miner=all, or raise loss.margin" in done.text.splitlines()[-1]


def test_epoch_whose_triplets_all_keep_the_margin_is_no_fault(monkeypatch, caplog):
    trainer = namedtuple("Trainer", "current_epoch fast_dev_run")(0, False)
    module = namedtuple("Module", "margin log")(0.2, lambda name, value: logged.append((name, value)))
    logged, callback = [], Health("")
    outputs = {"loss": torch.tensor(0.0), "embeddings": torch.eye(4).repeat(2, 1), "labels": torch.arange(4).repeat(2)}
    callback.on_train_epoch_start(trainer, module)
    for step in range(3):
        callback.on_train_batch_end(trainer, module, outputs, None, step)
    callback.on_train_epoch_end(trainer, module)
    assert logged == [("train/idle_batches", 3.0)]
    assert "3 of 3 batches had no triplet for the loss, and 0 triplets" in caplog.text


class Poison(Callback):
    """Make a number infinite before a step; keep the weights of that step."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.weights: list[torch.Tensor] = []

    def on_fit_start(self, trainer, pl_module) -> None:
        def end(loss, inputs, value):
            return value * torch.inf if trainer.global_step == 6 and self.place == "loss" else value

        pl_module.loss.register_forward_hook(end)

    def on_train_batch_start(self, trainer, pl_module, *args) -> None:
        if trainer.global_step == 6 and self.place == "embedding":
            with torch.no_grad():
                pl_module.embedder.head[-1].bias[0] = torch.nan
        self.weights = [weights.detach().clone() for weights in pl_module.parameters()]

    def on_after_backward(self, trainer, pl_module) -> None:
        if trainer.global_step == 6 and self.place == "gradient":
            pl_module.embedder.head[-1].bias.grad[0] = torch.inf

    def on_validation_end(self, trainer, pl_module) -> None:
        if trainer.global_step == 8 and self.place == "weight":
            with torch.no_grad():
                pl_module.embedder.head[-1].bias[0] = torch.nan


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("embedding", "an embedding is not finite at step 6"),
        ("loss", "the loss is inf at step 6"),
        ("gradient", "the gradient is not finite at step 6"),
        ("weight", "is not written"),
    ],
)
def test_not_finite_numbers_end_the_run_without_a_checkpoint(make_cfg, tmp_path, place, words):
    cfg = make_cfg(*OPTIONS)
    trainer = instantiate(cfg.trainer)
    poison, model = Poison(place), instantiate(cfg.model)
    trainer.callbacks.insert(0, poison)
    with pytest.raises(NotFiniteError, match=words):
        trainer.fit(model, instantiate(cfg.data))
    if place != "weight":  # which is poisoned after the step
        for now, before in zip(model.parameters(), poison.weights, strict=True):
            assert torch.allclose(now, before, rtol=0, atol=0, equal_nan=True)
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        checkpoint = load(str(path), "resume_from")
        assert checkpoint["global_step"] == 4
        assert all(torch.isfinite(tensor).all() for tensor in checkpoint["state_dict"].values())
    record = json.loads((tmp_path / "not_finite.json").read_text())
    assert record["learning_rate"] == 1e-3
    assert len(record["batch_rows"]) == len(record["batch_files"]) == 28
    assert record["step"] == (8 if place == "weight" else 6)
