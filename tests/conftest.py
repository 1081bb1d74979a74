"""Small configurations and faces for every test."""

import fer_lightning  # noqa: I001  sets the environment before torch is imported

import copy
import gc
import logging
import math
import os
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback
from PIL import Image
from omegaconf import DictConfig, OmegaConf, open_dict

import fer_lightning.config.resolvers  # noqa: F401
from fer_lightning.callbacks.interruption import Interruption
from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.signals import Interrupted
from fer_lightning.launch.checks import check
from fer_lightning.launch.console import NOTICES
from fer_lightning.launch.messages import explain
from fer_lightning.signals import ENDING

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    """Leave out of "warnings are errors" what our commands leave out; it stands in one list, each with its reason."""
    for notice in NOTICES:
        config.addinivalue_line("filterwarnings", f"ignore:{notice}")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported: it would walk through all of it again at the end of every run."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter end as it would have: some libraries complain of what is never freed."""
    gc.unfreeze()


def options(*wanted: str) -> list[str]:
    """Return the options of some files of tests/conf/test/ and further ones; the last of each key counts."""
    found = {}
    for one in wanted:
        file = ROOT / "tests" / "conf" / "test" / f"{one}.yaml"
        for option in OmegaConf.load(file) if file.is_file() else [one]:
            found[option.lstrip("+~").partition("=")[0]] = option
    return list(found.values())


SMALL = tuple(options("small"))
PLACE = "hydra.runtime.output_dir="


def command(cwd: Path, *arguments: str | Path) -> subprocess.CompletedProcess:
    """Run Python in a process of its own."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=280, check=False
    )


def raising(error: Exception) -> Callable:
    """Return a function that raises an error whatever it is called with."""

    def function(*args: object, **kwargs: object) -> None:
        raise error

    return function


def angles(*degrees: float) -> torch.Tensor:
    return torch.tensor([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])


def make_tree(root: Path, faces: int = 6) -> Path:
    """Write a folder of random faces, ``faces`` of each class and split."""
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for k in range(faces):
                image = random.integers(256, size=(48, 48), dtype=np.uint8)
                Image.fromarray(image).save(root / split / name / f"{k}.png")
    return root


@cache
def composed(config_name: str, *overrides: str) -> DictConfig:
    """Compose the real configuration, once for all tests that want the same."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose(config_name, [*SMALL, f"{PLACE}/nowhere", *overrides], return_hydra_config=True)


@pytest.fixture
def make_cfg(tmp_path: Path) -> Callable[..., DictConfig]:
    """Compose the real configuration onto a few synthetic faces."""

    def make(*overrides: str, config_name: str = "train") -> DictConfig:
        GlobalHydra.instance().clear()
        cfg = copy.deepcopy(composed(config_name, *(option for option in overrides if not option.startswith(PLACE))))
        places = [option.removeprefix(PLACE) for option in overrides if option.startswith(PLACE)]
        with open_dict(cfg):
            cfg.hydra.runtime.output_dir = places[-1] if places else str(tmp_path)
        HydraConfig.instance().set_config(cfg)
        return cfg

    return make


class Signal(Callback):
    """Note a signal at a step, in training or in the validation after it."""

    def __init__(self, step: int, hook: str) -> None:
        self.step = step
        setattr(self, hook, self.note)

    def note(self, trainer: Trainer, *args: object, **kwargs: object) -> None:
        if trainer.global_step == self.step:
            (interruption,) = (c for c in trainer.callbacks if isinstance(c, Interruption))
            interruption.listener.received = signal.SIGTERM


def train(cfg: DictConfig, checkpoint: Path | None = None, stop: Signal | None = None) -> Trainer:
    """Train to the end, or to a signal, in this process."""
    seed_everything(cfg.seed, verbose=False)
    datamodule, model, trainer = instantiate(cfg.data), instantiate(cfg.model), instantiate(cfg.trainer)
    if stop:
        trainer.callbacks.insert(0, stop)
        with pytest.raises(Interrupted) as info:
            trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
        assert info.value.code == 143
        return trainer
    if checkpoint:
        seed_everything(99, verbose=False)  # as in another process: nothing of the streams is left
    trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
    return trainer


def state(trainer: Trainer) -> dict[str, object]:
    """Return what a training has come to: everything that a resumed one must repeat to the last bit."""
    return {
        "weights": trainer.lightning_module.state_dict(),
        "optimizer": trainer.optimizers[0].state_dict(),
        "schedulers": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        "score": trainer.checkpoint_callback.best_model_score,
        "metrics.csv": Path(trainer.default_root_dir, "metrics.csv").read_text(),
    }


def differing(first: object, second: object, place: str = "") -> list[str]:
    """Return the places where two states differ."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return [found for key in first for found in differing(first[key], second[key], f"{place}/{key}")]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [found for index, pair in pairs for found in differing(*pair, f"{place}/{index}")]
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return [place] * (not torch.equal(first, second))
    return [place] * (first != second)


@pytest.fixture(scope="session")
def faces() -> Faces:
    """140 random faces: 70 train, 70 held out, ten a class; three held-out ones have a twin in training."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (140, 48, 48), dtype=np.uint8)
    labels = np.tile(np.arange(7), 20)
    splits = np.repeat(["train", "test"], 70)
    images[70:73] = images[0:3]
    images[10] = images[3]  # twins inside the training folder
    names = np.array([f"{split}/{row}.png" for row, split in enumerate(splits)])
    return Faces(images, labels, names, splits, "random", fingerprint(images, labels, splits))


class Outcome(NamedTuple):
    """What a command left on the console."""

    code: int
    text: str


@pytest.fixture
def run_here(tmp_path, monkeypatch, capfd) -> Callable[..., Outcome]:
    """Run a command of ours in this process: seconds faster than a new one, and faults can be patched in."""

    def execute(script: str, *arguments: str) -> Outcome:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        warnings.filterwarnings("ignore", category=PossibleUserWarning)  # Lightning's advice about tiny runs
        root, environment = logging.getLogger(), dict(os.environ)
        handlers, level = root.handlers[:], root.level
        hook, signals = sys.unraisablehook, {signum: signal.getsignal(signum) for signum in ENDING}
        capfd.readouterr()
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
            code, message = 0, ""
        except SystemExit as stop:
            code, message = (1, str(stop.code)) if isinstance(stop.code, str) else (stop.code or 0, "")
        finally:
            for handler in set(root.handlers) - set(handlers):
                handler.close()
            root.handlers, root.level = handlers, level
            sys.unraisablehook = hook
            for signum, handler in signals.items():
                signal.signal(signum, handler)
            os.environ.clear()
            os.environ.update(environment)
        captured = capfd.readouterr()
        return Outcome(code, f"{captured.out}{captured.err}{message}")

    return execute


@pytest.fixture
def refusal(tmp_path, monkeypatch) -> Callable[..., str | None]:
    """Compose and check the options of train.py, which no library is loaded for; return the sentence of a refusal."""

    def answer(*arguments: str) -> str | None:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
                output = [f"{PLACE}{tmp_path}", "hydra.job.num=0"]
                cfg = compose("train", [*output, *arguments], return_hydra_config=True)
            HydraConfig.instance().set_config(cfg)
            with open_dict(cfg):
                del cfg["hydra"]
            check(cfg, "train")
        except Exception as error:
            return explain(error, "train")
        return None

    return answer
