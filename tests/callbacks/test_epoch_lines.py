"""The first lines of a training."""

from unittest.mock import MagicMock, Mock

import pytest
import torch

from fer_lightning.callbacks.epoch_lines import EpochLines


@pytest.mark.parametrize(
    ("precision", "able", "device", "warned"),
    [
        ("bf16-mixed", {"avx512_bf16": False, "amx_bf16": False}, "cpu", True),
        ("bf16-mixed", {"avx512_bf16": True, "amx_bf16": False}, "cpu", False),
        ("bf16-mixed", {"bf16": True}, "cpu", False),  # ARM
        ("32-true", {"avx512_bf16": False}, "cpu", False),
        ("bf16-mixed", {"avx512_bf16": False}, "cuda", False),
    ],
)
def test_bf16_in_software_is_warned_of(monkeypatch, caplog, precision, able, device, warned):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    trainer = MagicMock(precision=precision, current_epoch=0)
    with caplog.at_level("INFO", "fer_lightning"):
        EpochLines([], {}).on_train_start(trainer, Mock(device=torch.device(device), parameters=list))
    assert ("use trainer.precision=32-true" in caplog.text) == warned
