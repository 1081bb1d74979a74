"""Every file under conf/ composes, and every class it names can be made of it."""

from types import SimpleNamespace

import pytest
from conftest import ROOT
from hydra.utils import instantiate

from fer_lightning.resolvers import run_name

NAMES = (
    *("data", "sampler", "protocol", "augmentation", "embedder", "loss", "miner", "classifier", "optimizer"),
    *("scheduler", "model", "callbacks", "logger", "trainer", "table6", "experiment", "debug"),
)
GROUPS = {group: sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml")) for group in NAMES}
CHOICES = [(group, choice) for group, choices in GROUPS.items() for choice in choices]


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_choice_makes_a_model_and_a_datamodule(make_cfg, group, choice, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    if choice == "umap":
        pytest.importorskip("umap", reason="needs the extra umap")
    cfg = make_cfg(f"{group}={choice}")
    datamodule, model = instantiate(cfg.data), instantiate(cfg.model)
    if group == "embedder" and choice == "timm":
        assert model.embedder.head.out_features == 128
    model.trainer = SimpleNamespace(ckpt_path=None, estimated_stepping_batches=100)
    optimizer = model.configure_optimizers()["optimizer"]
    trained = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    assert trained == sum(p.numel() for p in model.parameters())
    assert datamodule.batch_size >= 16
    if group not in ("trainer",):
        for callback in cfg.callbacks.values():
            instantiate(callback)
    for logger in cfg.logger.values():
        instantiate(logger)


@pytest.mark.parametrize("loss", ["proxy_anchor", "arcface"])
def test_weights_of_a_loss_are_trained(make_cfg, loss):
    model = instantiate(make_cfg(f"loss={loss}").model)
    names = [name for name, _ in model.named_parameters() if name.startswith("loss.")]
    assert names
    assert set(names) <= set(model.state_dict())


@pytest.mark.parametrize(
    ("trial", "epochs", "batch", "optimizer"),
    [(1, 8, 16, "Adam"), (2, 16, 32, "Adam"), (3, 16, 32, "SGD"), (4, 16, 32, "RMSprop")],
)
def test_trials_are_the_papers_table_6(make_cfg, trial, epochs, batch, optimizer):
    cfg = make_cfg(f"experiment=paper_trial{trial}")
    assert (cfg.trainer.max_epochs, cfg.data.batch_size) == (epochs, batch)
    assert cfg.optimizer._target_ == f"torch.optim.{optimizer}"
    assert cfg.optimizer.lr == 1e-4
    assert cfg.callbacks.quick_validation.every_n_steps == 30


def test_margin_stands_in_one_place(make_cfg):
    cfg = make_cfg("loss=triplet", "loss.margin=0.35")
    assert cfg.miner.margin == 0.35


def test_run_name_says_settings_and_faces(make_cfg):
    overrides = ["optimizer=sgd", "loss=supcon", "data.root=a b/faces.zip"]
    cfg = make_cfg("optimizer=sgd", "loss=supcon")
    assert run_name(overrides, _root_=cfg) == "sgd-bs16-ep8-s0-drawn-loss-supcon"
    cfg.data.root = "a b/my faces.zip"
    assert run_name(overrides, _root_=cfg) == "sgd-bs16-ep8-s0-my-faces-loss-supcon"
