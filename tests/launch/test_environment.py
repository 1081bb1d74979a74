"""A command checks the machine before it starts: versions, GPU, disk, garbage."""

import ctypes
import gc
import sys
import tomllib
import zipfile
from collections import namedtuple
from unittest.mock import Mock

import pytest
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from fer_lightning.errors import UserError
from fer_lightning.launch import checks, entry, environment, messages
from fer_lightning.launch.environment import Build, check_gpu, torch_build
from fer_lightning.launch.messages import diagnose, explain
from tests.conftest import ROOT, options


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
    """Fault 1: said before Lightning is imported, and again for a build that only the import finds out."""
    versions = {"torch": "2.11.0", "torchvision": "0.29.2"}
    monkeypatch.setattr(environment, "version", versions.get)
    monkeypatch.setattr(environment, "requires", lambda name: ["numpy", "torch==2.15.0"])
    done = run_here("train.py", *FAST)
    assert done.code == 1
    for word in ("torchvision 0.29.2", "torch==2.15.0", "2.11.0", "pip install"):
        assert word in done.text
    assert "pip install" in diagnose(RuntimeError("operator torchvision::nms does not exist"))
    monkeypatch.setattr(environment, "version", {"torch": "2.15.0+cpu", "torchvision": "0.29.2"}.get)
    environment.check_packages()


def test_versions_that_cannot_work_together_are_held_apart(run_here, monkeypatch):
    """Faults 2 and 3."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "omegaconf>=2.3,<2.4" in project["dependencies"]
    assert project["requires-python"] == ">=3.11,<3.14"
    monkeypatch.setattr(environment.sys, "version_info", namedtuple("v", "major minor")(3, 14))
    done = run_here("train.py")
    assert done.code == 1
    assert done.text.strip() == "error: Python 3.14 is too new for Hydra 1.3: use 3.11 to 3.13"


def test_little_room_on_the_disk_is_said(tmp_path, run_here, monkeypatch):
    monkeypatch.setattr(checks, "ROOM", 2**60)
    zipfile.ZipFile(tmp_path / "no.ckpt", "w").close()  # refused after it
    done = run_here("train.py", "init_from=no.ckpt")
    assert "MiB are free at" in done.text
