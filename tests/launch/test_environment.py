"""A command checks the machine before it starts: versions, GPU, disk, garbage."""

import ctypes
import gc
import sys
import zipfile
from unittest.mock import Mock

import pytest
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from fer_lightning.errors import UserError
from fer_lightning.launch import checks, entry, environment, messages
from fer_lightning.launch.environment import Build, check_gpu, torch_build
from fer_lightning.launch.messages import explain
from tests.conftest import options, raising


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


def test_garbage_is_looked_for_again_once_a_verb_is_imported(monkeypatch):
    task, enabled = entry.Task("train"), []
    monkeypatch.setattr(entry, "check", lambda *_: None)
    monkeypatch.setattr(entry, "import_module", lambda _: enabled.append(gc.isenabled()) or Mock())
    task(OmegaConf.create())
    assert (enabled, gc.isenabled()) == ([False], True)


FAST = options("small", "plain", "debug=fast")


def test_torchvision_of_another_torch(run_here, monkeypatch):
    """Fault 1: the import of a verb's module ends with torch's error."""
    monkeypatch.setattr(environment, "version", {"torch": "2.11.0", "torchvision": "0.29.2"}.get)
    monkeypatch.setattr(environment, "requires", lambda name: ["numpy", "torch==2.15.0"])
    monkeypatch.setattr(entry, "import_module", raising(RuntimeError("operator torchvision::nms does not exist")))
    done = run_here("train.py", *FAST)
    assert done.code == 1
    for word in ("torchvision 0.29.2", "torch==2.15.0", "2.11.0", "pip install"):
        assert word in done.text.splitlines()[-1]


def test_little_room_on_the_disk_is_said(tmp_path, run_here, monkeypatch):
    monkeypatch.setattr(checks, "ROOM", 2**60)
    zipfile.ZipFile(tmp_path / "no.ckpt", "w").close()  # refused after it
    done = run_here("train.py", "init_from=no.ckpt")
    assert "MiB are free at" in done.text
