"""Small configurations and faces for every test."""

import fer_lightning  # noqa: I001  sets the environment before torch is imported

import copy
import gc
import hashlib
import logging
import math
import os
import pickle
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import hydra.utils
import numpy as np
import omegaconf._utils
import omegaconf.base
import omegaconf.omegaconf
import pytest
import torch
import yaml
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
from fer_lightning.config.instantiation import LISTS
from fer_lightning.data import audit, readers, twins
from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.signals import Interrupted
from fer_lightning.launch.checks import check
from fer_lightning.launch.console import NOTICES
from fer_lightning.launch.messages import explain
from fer_lightning.signals import ENDING
from tests.browser import CHROMIUM, STICKS_OUT

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def next_fault(reason: str) -> pytest.MarkDecorator:
    """Expect a fault of the next Hydra or OmegaConf; strictly, so that `make test-next` tells when it is mended."""
    return pytest.mark.xfail(not hydra.__version__.startswith("1.3."), reason=reason, strict=True)


NEXT_DELETES = next_fault("Hydra 1.4.0rc3 hands ~node to the jobs of a sweep as ~node=, and refuses that")
NEXT_WRITES = next_fault("OmegaConf 2.4.1rc1 writes no text that is not UTF-8")


def answer_once(function: Callable) -> Callable:
    """Return a function that keeps its answers; equal arguments get a copy of the first one."""
    answers: dict[bytes, object] = {}

    def answer(*args: object, **kwargs: object) -> object:
        question = hashlib.sha256(pickle.dumps((args, kwargs))).digest()  # knows whether two arguments are one object
        if question not in answers:
            answers[question] = function(*args, **kwargs)
        return copy.deepcopy(answers[question])

    return answer


MADE = "albumentations fer_lightning lightning optuna pytorch_metric_learning sklearn tests timm torch umap wandb"
read_yaml = cache(yaml.load)


def load_yaml(stream: Any, Loader: type) -> object:  # noqa: N803
    """Return the content of a YAML text or file; each text is read once, and omegaconf copies its content."""
    text = stream if isinstance(stream, str) else stream.read()
    try:
        return read_yaml(text, Loader)
    except yaml.YAMLError:  # its message names the file
        if text is not stream:
            stream.seek(0)
        return yaml.load(stream, Loader)


torch.set_num_threads(1)
if LISTS:  # tests make objects by Hydra's own function
    hydra.utils.execution_whitelist([f"{name}.*" for name in MADE.split()]).__enter__()
omegaconf.base.parse = cache(omegaconf.base.parse)  # trees of ${...}, which are only read: half the time of a check
if hasattr(omegaconf._utils, "get_yaml_loader"):  # in OmegaConf 2.3
    omegaconf._utils.get_yaml_loader = cache(omegaconf._utils.get_yaml_loader)
omegaconf.omegaconf.yaml = SimpleNamespace(load=load_yaml, dump=yaml.dump)  # a sixth of the time of a composition
twins.search = audit.search = answer_once(twins.search)  # nearly all tests draw the same faces, each in a new folder
readers.draw_faces = answer_once(readers.draw_faces)


def pytest_configure(config: pytest.Config) -> None:
    """Ignore the warnings that the commands ignore; all others are errors."""
    for notice in NOTICES:
        config.addinivalue_line("filterwarnings", f"ignore:{notice}")


def pytest_collection_finish() -> None:
    """Exempt imported objects from garbage collection. Each run would walk through all of them again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Undo the exemption. Some libraries warn about objects that are never freed."""
    gc.unfreeze()


def options(*names: str) -> list[str]:
    """Return the options of files in tests/conf/test/, and options. The last value of each option counts."""
    last = {}
    for name in names:
        file = ROOT / "tests" / "conf" / "test" / f"{name}.yaml"
        for option in OmegaConf.load(file) if file.is_file() else [name]:
            last[option.lstrip("+~").partition("=")[0]] = option
    return list(last.values())


SMALL = tuple(options("small"))
OUTPUT = "hydra.runtime.output_dir="


def command(cwd: Path, *arguments: str | Path) -> subprocess.CompletedProcess:
    """Run Python in a new process."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=280, check=False
    )


def raising(error: Exception) -> Callable:
    """Return a function that raises an error whatever it is called with."""

    def function(*args: object, **kwargs: object) -> None:
        raise error

    return function


def angles(*degrees: float) -> torch.Tensor:
    """Return the unit vectors (N, 2) at some angles."""
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
    """Compose a configuration of conf/. Equal ones are composed once."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose(config_name, [*SMALL, f"{OUTPUT}/nowhere", *overrides], return_hydra_config=True)


@pytest.fixture
def make_cfg(tmp_path: Path) -> Callable[..., DictConfig]:
    """Compose a configuration of conf/ for a few synthetic faces."""

    def make(*overrides: str, config_name: str = "train") -> DictConfig:
        GlobalHydra.instance().clear()
        cfg = copy.deepcopy(composed(config_name, *(option for option in overrides if not option.startswith(OUTPUT))))
        folders = [option.removeprefix(OUTPUT) for option in overrides if option.startswith(OUTPUT)]
        with open_dict(cfg):
            cfg.hydra.runtime.output_dir = folders[-1] if folders else str(tmp_path)
        HydraConfig.instance().set_config(cfg)
        return cfg

    return make


class Signal(Callback):
    """Receive SIGTERM at a step, in training or in the validation after it."""

    def __init__(self, step: int, hook: str) -> None:
        self.step = step
        setattr(self, hook, self.receive)

    def receive(self, trainer: Trainer, *args: object, **kwargs: object) -> None:
        if trainer.global_step == self.step:
            (interruption,) = (c for c in trainer.callbacks if isinstance(c, Interruption))
            interruption.listener.received = signal.SIGTERM


def train(cfg: DictConfig, checkpoint: Path | None = None, stop: Signal | None = None) -> Trainer:
    """Train to the end, or to a signal, in this process. Start anew or from a checkpoint."""
    seed_everything(cfg.seed, verbose=False)
    datamodule, model, trainer = instantiate(cfg.data), instantiate(cfg.model), instantiate(cfg.trainer)
    if stop:
        trainer.callbacks.insert(0, stop)
        with pytest.raises(Interrupted) as info:
            trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
        assert info.value.code == 143
        return trainer
    if checkpoint:
        seed_everything(99, verbose=False)  # as in a new process: other random streams
    trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
    return trainer


def state(trainer: Trainer) -> dict[str, object]:
    """Return everything that a resumed training must repeat to the last bit."""
    return {
        "weights": trainer.lightning_module.state_dict(),
        "optimizer": trainer.optimizers[0].state_dict(),
        "schedulers": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        "score": trainer.checkpoint_callback.best_model_score,
        "metrics.csv": Path(trainer.default_root_dir, "metrics.csv").read_text(),
    }


def differing(first: object, second: object, keys: str = "") -> list[str]:
    """Return the keys at which two states differ."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return [path for key in first for path in differing(first[key], second[key], f"{keys}/{key}")]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [path for index, pair in pairs for path in differing(*pair, f"{keys}/{index}")]
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return [] if torch.equal(first, second) else [keys]
    return [] if first == second else [keys]


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
    """The exit code and the console's text of a command."""

    code: int
    text: str


@pytest.fixture
def run_here(tmp_path, monkeypatch, capfd) -> Callable[..., Outcome]:
    """Run a command in this process. That is seconds faster than a new one, and functions can be patched."""

    def execute(script: str, *arguments: str) -> Outcome:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        monkeypatch.setenv("WANDB_MODE", "offline")
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
    """Compose and check options of train.py, and return the sentence of the refusal, or None."""

    def answer(*arguments: str) -> str | None:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
                output = [f"{OUTPUT}{tmp_path}", "hydra.job.num=0"]
                cfg = compose("train", [*output, *arguments], return_hydra_config=True)
            HydraConfig.instance().set_config(cfg)
            with open_dict(cfg):
                del cfg["hydra"]
            check(cfg, "train")
        except Exception as error:
            return explain(error, "train")
        return None

    return answer


@pytest.fixture
def open_page():
    """Open a page in headless Chromium and see that it asks for nothing, complains of nothing and fits."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra browser")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def show(path: Path, width: int, scheme: str = "light"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            asked, errors = [], []
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(STICKS_OUT) == []
            assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
            assert [url for url in asked if url != path.as_uri() and not url.startswith("data:")] == []
            assert errors == []
            return page

        yield show
        browser.close()
