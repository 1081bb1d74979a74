"""Batches without a triplet, and numbers that are not finite."""

import importlib
import json
import re
import sys
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf, open_dict

from fer_lightning.callbacks.health import Health
from fer_lightning.errors import NotFiniteError
from fer_lightning.runs.checkpoints import load
from tests.conftest import ROOT, options

sys.path.append(str(ROOT / "benchmarks"))
Waits = importlib.import_module("waits").Waits
pytestmark = pytest.mark.filterwarnings("ignore:The number of training batches")  # is below log_every_n_steps
TINY = options("small", "brief", "plain")
OPTIONS = options("tiny", "stopped")


def test_epoch_without_a_triplet(run_here):
    """Fault 46: no negative lies within so thin a margin, yet many violate it."""
    done = run_here("train.py", *TINY, "loss=triplet", "loss.margin=1e-9")
    assert done.code == 1, done.text
    assert re.search(r"epoch 1: 2 of 2 batches had no triplet for the loss, and \d+ triplets", done.text)
    assert "use miner=semihard or miner=all, or raise loss.margin" in done.text.splitlines()[-1]


def test_epoch_whose_triplets_all_keep_the_margin_is_no_fault(caplog):
    callback, module, trainer = Health(""), MagicMock(margin=0.2, logged=False), MagicMock(current_epoch=0)
    trainer.fast_dev_run = False
    outputs = {"embeddings": torch.eye(4).repeat(2, 1), "labels": torch.arange(4).repeat(2)}
    callback.margin = module.margin
    callback.on_train_epoch_start(trainer, module)
    for step in range(3):
        callback.on_train_batch_start(trainer, module, Mock(), step)
        callback._note(outputs["embeddings"], torch.tensor(0.0))
        callback.on_train_batch_end(trainer, module, outputs, None, step)
    callback.on_train_epoch_end(trainer, module)
    module.log.assert_called_once_with("train/idle_batches", 3.0)
    assert "3 of 3 batches had no triplet for the loss, and 0 triplets" in caplog.text


class Poison(Callback):
    """Make a number infinite in a step; keep the weights before it."""

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
        if trainer.global_step == 6:
            self.weights = [weights.detach().clone() for weights in pl_module.parameters()]

    def on_after_backward(self, trainer, pl_module) -> None:
        if trainer.global_step == 6 and self.place == "gradient":
            pl_module.embedder.head[-1].bias.grad[0] = torch.inf

    def on_validation_end(self, trainer, pl_module) -> None:
        if trainer.global_step == 8 and self.place == "weight":
            with torch.no_grad():
                pl_module.embedder.head[-1].bias[0] = torch.nan


@pytest.mark.parametrize(
    ("place", "words", "read", "more"),
    [
        ("embedding", "an embedding is not finite at step 6", 7, ()),  # read by a quick validation
        ("loss", "the loss is inf at step 6", 8, ()),  # read in the last step of the epoch, which is logged
        ("gradient", "the gradient is not finite at step 6", 7, ("trainer.val_check_interval=3",)),
        ("gradient", "the gradient is not finite at step 6", 8, ("optimizer=sgd", "optimizer.momentum=0")),  # not fused
        ("weight", "is not written", 8, ()),
    ],
)
def test_not_finite_numbers_end_the_run_without_a_checkpoint(make_cfg, tmp_path, place, words, read, more):
    quick = f"callbacks.quick_validation.every_n_steps={1 if place == 'embedding' else 100}"
    cfg = make_cfg(*OPTIONS, *more, "optimizer.lr=1e-3", "trainer.log_every_n_steps=100", quick)
    trainer = instantiate(cfg.trainer)
    poison, model = Poison(place), instantiate(cfg.model)
    trainer.callbacks.insert(0, poison)
    with pytest.raises(NotFiniteError, match=words):
        trainer.fit(model, instantiate(cfg.data))
    assert trainer.global_step == read
    if place != "weight":  # which is poisoned after the step
        for now, before in zip(model.parameters(), poison.weights, strict=True):
            assert torch.allclose(now, before, rtol=0, atol=0, equal_nan=True)
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        checkpoint = load(str(path), "resume_from")
        assert checkpoint["global_step"] in (3, 4)
        assert all(torch.isfinite(tensor).all() for tensor in checkpoint["state_dict"].values())
    record = json.loads((tmp_path / "not_finite.json").read_text())
    assert len(record["batch_rows"]) == len(record["batch_files"]) == 28
    assert record["step"] == (8 if place == "weight" else 6)


class EachLoss(torch.nn.Module):
    """Take another loss in each step; log the second step, and count the waits of all after it."""

    def __init__(self, losses: list[torch.nn.Module], waits, trainer) -> None:
        super().__init__()
        self.losses, self.waits, self.trainer, self.step = torch.nn.ModuleList(losses), waits, trainer, 0

    def forward(self, *inputs):
        self.waits.counting = False
        self.trainer.log_every_n_steps = 2 if self.step < 2 else 100
        value = self.losses[self.step % len(self.losses)](*inputs)
        self.step += 1
        self.waits.counting = 2 < self.step < len(self.losses) + 3
        return value


def without_miner(cfg) -> list[torch.nn.Module]:
    """Return the losses of conf/loss that need no miner, but for softmax_smoothed."""
    losses = []
    for path in sorted((ROOT / "conf" / "loss").glob("*.yaml")):
        node = OmegaConf.load(path)
        if "override /miner: none" in path.read_text():
            with open_dict(cfg):
                cfg.loss = node.loss
            losses.append(instantiate(cfg.loss))
    assert len(losses) == 10
    return losses


@pytest.mark.parametrize("mixed", [False, True])
def test_no_step_waits_for_the_device(make_cfg, mixed):
    """But for logged steps. Who reads a number of the device waits until it has done all work that it was given."""
    more = ("mixing=mixup", "mixing.plain_epochs=0", "mixing.batches=1") if mixed else ("optimizer=sgd",)
    cfg = make_cfg(
        *options("tiny", "loss=softmax_smoothed", "callbacks=averaged", *more, "trainer.log_every_n_steps=100"),
        *("callbacks.quick_validation.every_n_steps=100", "trainer.limit_val_batches=1", "trainer.max_epochs=1"),
        *("~callbacks.ending", "augmentation.copies=6"),
    )
    with Waits() as waits:
        model, datamodule = instantiate(cfg.model), instantiate(cfg.data)
        losses = [model.loss] * 3 if mixed else without_miner(cfg)
        if mixed:  # with shares of the classes as a teacher gives them
            datamodule.shares = np.full((len(datamodule.partition.train), 7), 1 / 7, np.float32)
        cfg.trainer.limit_train_batches = len(losses) + 4
        cfg.trainer.enable_progress_bar = mixed
        trainer = instantiate(cfg.trainer)
        model.loss = EachLoss(losses, waits, trainer)
        trainer.fit(model, datamodule)
        assert trainer.global_step == model.loss.step == len(losses) + 4
        assert waits.noted == []
        waits.counting = True
        torch.ones(1).item()
        assert waits.noted == ["_local_scalar_dense"]
