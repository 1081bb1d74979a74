"""Small configurations and faces for every test."""

import fer_lightning  # noqa: I001  sets the environment before torch is imported

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import fer_lightning.resolvers  # noqa: F401
from fer_lightning.data.faces import Faces, fingerprint

ROOT = Path(__file__).parents[1]
SMALL = (
    "data.drawn.count=200",
    "data.eval_batch_size=64",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "logger=csv",
)

torch.set_num_threads(1)


@pytest.fixture
def make_cfg(tmp_path: Path) -> Callable[..., DictConfig]:
    """Compose the real configuration onto a few drawn faces."""

    def make(*overrides: str, config_name: str = "train") -> DictConfig:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose(
                config_name,
                overrides=[*SMALL, f"hydra.runtime.output_dir={tmp_path}", *overrides],
                return_hydra_config=True,
            )
        HydraConfig.instance().set_config(cfg)
        return cfg

    return make


@pytest.fixture
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
