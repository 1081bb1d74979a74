"""What a command looks at before it starts: versions, GPU, disk, garbage."""

import ctypes
import gc
import sys

import pytest
from hydra.errors import InstantiationException

from fer_lightning.errors import UserError
from fer_lightning.launch import environment, messages
from fer_lightning.launch.environment import Build, check_gpu, importing, torch_build
from fer_lightning.launch.messages import explain


def test_a_gpu_that_cannot_be_is_told_without_torch(monkeypatch):
    def driver(found):
        def load(name):
            if not found:
                raise OSError(name)

        monkeypatch.setattr(ctypes, "CDLL", load)

    monkeypatch.setattr(environment.sys, "platform", "linux")
    build = torch_build()
    monkeypatch.setattr(messages, "torch_build", lambda: Build("2.0", "13.2", None))
    assert build.version == sys.modules["torch"].__version__
    assert build.cuda == sys.modules["torch"].version.cuda
    driver(found=False)
    for accelerator in ("auto", "cpu"):
        check_gpu(accelerator)
    with pytest.raises(UserError, match="use trainer=cpu or trainer=auto"):
        check_gpu("gpu")
    monkeypatch.setattr(environment, "torch_build", lambda: Build("2.0", None, None))
    driver(found=True)
    with pytest.raises(UserError, match=r"torch 2\.0 is built without CUDA$"):
        check_gpu("cuda")
    monkeypatch.setattr(environment, "torch_build", lambda: Build("2.0", "13.2", None))
    check_gpu("gpu")  # Lightning, by torch, tells the rest
    late = InstantiationException("Error in call to target 'Trainer': No supported gpu backend found!")
    assert "so a driver is missing or too old" in (explain(late, "train") or "")
    monkeypatch.setattr(environment, "torch_build", lambda: Build("2.0", None, "6.4"))
    driver(found=False)
    check_gpu("gpu")


def test_garbage_is_looked_for_again_once_the_libraries_are_imported():
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
