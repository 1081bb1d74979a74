"""The checkpoints of a folder: which is the newest whole one, and of which version."""

from pathlib import Path

import lightning
import pytest
import torch

from fer_lightning import __version__
from fer_lightning.errors import UserError
from fer_lightning.runs.checkpoints import KEY, load, newest


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """The smallest checkpoint that a training could go on from, in a folder of its own."""
    content = {
        "state_dict": {"weight": torch.zeros(9999)},
        "epoch": 0,
        "global_step": 4,
        "pytorch-lightning_version": lightning.__version__,
        "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 1}}}},
        "callbacks": {"Health": {"idle": 0}},
        "optimizer_states": [{}],
        "lr_schedulers": [{"last_epoch": 1}],
        "resumption": {"streams": [{}], "monitored": 0.5},
        KEY: {"overrides": [], "version": __version__, "data": "faces", "data_fingerprint": "a"},
    }
    path = tmp_path / "elsewhere" / "last.ckpt"
    path.parent.mkdir()
    torch.save(content, path)
    return path


def test_the_newest_valid_checkpoint_of_a_folder_is_chosen(checkpoint, tmp_path, caplog):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    content = checkpoint.read_bytes()
    (folder / "best.ckpt").write_bytes(content)
    (folder / "last.ckpt").write_bytes(content[: len(content) // 2])
    (folder / ".last.ckpt.part").write_bytes(b"")
    assert newest(tmp_path) == folder / "best.ckpt"
    assert "last.ckpt" in caplog.text
    (folder / "best.ckpt").unlink()
    with pytest.raises(UserError, match="no valid checkpoint"):
        newest(tmp_path)


def test_a_checkpoint_of_a_newer_version_is_refused_with_both(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    content[KEY]["version"] = "99.1"
    torch.save(content, tmp_path / "newer.ckpt")
    with pytest.raises(UserError, match=rf"written by fer_lightning 99\.1, and this is {__version__}: update it"):
        load(str(tmp_path / "newer.ckpt"), "resume_from")
