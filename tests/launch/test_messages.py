"""Errors in words: one sentence on the console and in the record."""

import errno
import json

import pytest
import torch

from fer_lightning.launch.messages import diagnose
from fer_lightning.models.module import ExpressionModule
from tests.conftest import options, raising

TINY = options("small", "brief", "plain")

OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 8.00 GiB"


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (5, torch.OutOfMemoryError(OUT_OF_MEMORY), ["data.batch_size (it is 16)", "bf16-mixed", "20.00 GiB"]),
        (12, OSError(errno.ENOSPC, "No space left on device"), ["the disk is full at", "bytes free", "hydra.run.dir"]),
        (
            54,
            RuntimeError("cumsum_cuda_kernel does not have a deterministic implementation, but you set"),
            ["cumsum_cuda_kernel", "trainer.deterministic=warn"],
        ),
        (
            74,
            ValueError("Tried to step 25 times. The specified number of total steps is 24"),
            ["planned for 24 steps", "init_from="],
        ),
    ],
)
def test_failure_inside_training_is_one_sentence(make_cfg, number, error, words):
    sentence = diagnose(error, make_cfg())
    assert sentence
    assert "\n" not in sentence
    for word in words:
        assert word in sentence, f"fault {number}"


def test_failure_inside_training_is_said_everywhere(tmp_path, run_here, monkeypatch):
    """Fault 5: on the console and in the record."""
    monkeypatch.setattr(ExpressionModule, "training_step", raising(torch.OutOfMemoryError(OUT_OF_MEMORY)))
    done = run_here("train.py", *TINY, "hydra.run.dir=run")
    assert done.code == 1, done.text
    assert "Traceback" not in done.text
    noted = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert noted["status"] == "failed"
    for said in (done.text.splitlines()[-1], noted["error"]):
        assert "out of memory: make data.batch_size (it is 16)" in said


def test_a_bug_keeps_its_traceback(run_here, monkeypatch):
    """What is nobody's mistake is not dressed up as one."""
    monkeypatch.setattr(ExpressionModule, "training_step", raising(KeyError("a bug")))
    with pytest.raises(KeyError, match="a bug"):
        run_here("train.py", *TINY)
