"""Plugins of the Trainer: batch norm over processes, checkpoints written whole or not at all."""

import pytest
import timm
import torch
from torch import nn

from fer_lightning.errors import UserError
from fer_lightning.plugins import AtomicCheckpointIO, SharedStatistics


def test_batch_norm_is_shared_on_a_gpu_alone(caplog):
    """timm's layers keep the activation that is built into them."""
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), timm.layers.BatchNormAct2d(8))
    assert SharedStatistics().apply(model) is model
    assert [type(layer) for layer in model[1:]] == [nn.BatchNorm2d, timm.layers.BatchNormAct2d]
    assert "normalises by its own share of a batch" in caplog.text
    caplog.clear()
    weights = list(model.to("meta").parameters())  # stands in for a GPU
    shared = SharedStatistics().apply(model)
    assert [type(layer) for layer in shared[1:]] == [nn.SyncBatchNorm, timm.layers.SyncBatchNormAct]
    assert isinstance(shared[2].act, nn.ReLU)
    assert all(one is other for one, other in zip(shared.parameters(), weights, strict=True))
    assert caplog.text == ""


def test_a_full_disk_costs_no_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint({"state_dict": {}, "number": 1}, path)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"last.ckpt cannot be written .*No space left.* bytes free"):
        io.save_checkpoint({"state_dict": {}, "number": 2}, path)
    assert torch.load(path, weights_only=True)["number"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
