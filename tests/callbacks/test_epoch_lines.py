"""The first lines of a training."""

from unittest.mock import MagicMock, Mock

import numpy as np
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
    trainer = MagicMock(precision=precision, current_epoch=0, max_epochs=2, num_training_batches=3)
    with caplog.at_level("INFO", "fer_lightning"):
        EpochLines([], {}).on_train_start(trainer, Mock(device=torch.device(device), parameters=list))
    assert ("use trainer.precision=32-true" in caplog.text) == warned


def test_a_line_has_the_validation_of_its_own_epoch_alone(caplog):
    names = ["train/loss", "train/active_share", "val/accuracy"]
    figures = {"train/loss": torch.tensor(0.5), "train/active_share": torch.tensor(0.25)}
    trainer = MagicMock(max_epochs=4, num_training_batches=5, callback_metrics=figures, sanity_checking=False)
    trainer.datamodule.training_size = lambda epoch: 48
    lines = EpochLines(names, {})
    with caplog.at_level("INFO", "fer_lightning"):
        for trainer.current_epoch in range(4):
            lines.steps += 5
            if trainer.current_epoch % 2:
                figures["val/accuracy"] = torch.tensor(0.2083)  # stays there, as in Lightning
                lines.on_validation_end(trainer, Mock())
            lines.on_train_epoch_end(trainer, Mock())
    assert ["val/accuracy 20.8 %" in message for message in caplog.messages] == [False, True, False, True]
    assert all("train/loss 0.5000  train/active_share 25.0 %" in message for message in caplog.messages)


def test_one_epoch_of_one_step_is_singular(caplog):
    trainer = MagicMock(max_epochs=1, num_training_batches=1, precision="32-true", current_epoch=0)
    trainer.datamodule.partition = Mock(train=np.arange(7), origins=np.arange(9))
    with caplog.at_level("INFO", "fer_lightning"):
        EpochLines([], {}).on_train_start(trainer, Mock(device=torch.device("cpu"), parameters=list))
    assert caplog.text.rstrip().endswith("training on 7 faces, CPU: ; 0 parameters; 1 epoch of 1 step")


def test_pictures_of_one_face_count_as_one_face(caplog):
    trainer = MagicMock(max_epochs=1, num_training_batches=1, precision="32-true", current_epoch=0)
    trainer.datamodule.partition = Mock(train=np.array([0, 1, 3]), origins=np.array([5, 5, 6, 7]))
    with caplog.at_level("INFO", "fer_lightning"):
        EpochLines([], {}).on_train_start(trainer, Mock(device=torch.device("cpu"), parameters=list))
    assert caplog.text.rstrip().endswith("training on 3 pictures of 2 faces, CPU: ; 0 parameters; 1 epoch of 1 step")


@pytest.mark.parametrize(
    ("batches", "epochs", "estimate"),  # between two validations; one takes as long as 10 of the 100 training steps
    [(100, 1, "88 min"), (25, 1, "112 min"), (50, 2, "88 min"), (200, None, "84 min"), (None, 1, "88 min")],
)
def test_first_estimate_counts_every_validation(caplog, monkeypatch, batches, epochs, estimate):
    validation = {"val_check_batch": batches, "check_val_every_n_epoch": epochs, "num_val_batches": [5]}
    trainer = MagicMock(max_epochs=48, num_training_batches=100, current_epoch=0, **validation)
    trainer.lightning_module.mirrored = True
    trainer.datamodule = Mock(batch_size=32, eval_batch_size=96, training_size=lambda epoch: 48)
    lines = EpochLines([], {})
    monkeypatch.setattr("time.monotonic", lambda: float(lines.steps))
    with caplog.at_level("INFO", "fer_lightning"):
        for _ in range(21):
            lines.on_train_batch_end(trainer)
    assert caplog.messages == [f"about {estimate} for 48 epochs"]


def test_larger_pictures_take_longer(caplog, monkeypatch):
    trainer = MagicMock(max_epochs=4, num_training_batches=5, callback_metrics={})
    trainer.datamodule.training_size = [32, 32, 64, 64].__getitem__
    lines = EpochLines([], {})
    monkeypatch.setattr("time.monotonic", lambda: lines.start + 60 * (trainer.current_epoch + 1))
    with caplog.at_level("INFO", "fer_lightning"):
        for trainer.current_epoch in range(4):
            lines.steps += 5
            lines.on_train_epoch_end(trainer, Mock())
    assert [message.partition("about ")[2] for message in caplog.messages] == [
        "9 min left",
        "8 min left",
        "2 min left",
        "",
    ]


@pytest.mark.parametrize(("steps", "estimate"), [(1, ", about 8 min left"), (0, "")])
def test_a_part_of_an_epoch_counts_as_a_part(caplog, monkeypatch, steps, estimate):
    trainer = MagicMock(max_epochs=10, num_training_batches=4, callback_metrics={}, current_epoch=7)
    trainer.datamodule.training_size = lambda epoch: 48
    lines = EpochLines([], {})
    lines.first_epoch, lines.steps = 7, steps  # resumed after three or all of its four steps
    monkeypatch.setattr("time.monotonic", lambda: lines.start + 60)
    with caplog.at_level("INFO", "fer_lightning"):
        lines.on_train_epoch_end(trainer, Mock())
    assert caplog.messages == [f"epoch 8/10    60 s{estimate}"]
