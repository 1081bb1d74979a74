"""Every file under conf/ composes, and every class it names can be made of it."""

from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from fer_lightning.config.instantiation import instantiate
from tests.conftest import ROOT

CONF = ROOT / "conf"
FILES = sorted(
    path.relative_to(CONF).with_suffix("").as_posix()
    for path in CONF.rglob("*.yaml")
    if path.name != "wandb_sweep.yaml"  # W&B's, not Hydra's
)
# Groups that train.yaml does not choose from, each with a configuration that does.
CHOICES_OF = {"detector": "predict", "gallery": "export", "stress": "stress"}
# Groups that say what is learnt and how; the others leave the network of train.yaml as it is.
LEARNT = {"classifier", "embedder", "experiment", "loss", "miner", "model", "optimizer", "scheduler"}
EXTRAS = {  # choices that need a package of an extra
    "callbacks/umap": "umap",
    "detector/yuface": "yuface",
    "hparams_search/optuna": "optuna",
    "hydra/sweeper/search": "optuna",
    "logger/mlflow": "mlflow",
    "hydra/launcher/slurm": "hydra_plugins.hydra_submitit_launcher",
}


@pytest.mark.parametrize("file", [file for file in FILES if "/" in file and file.partition("/")[0] in CHOICES_OF])
def test_choice_of_a_use_can_be_made(file):
    if file in EXTRAS:
        pytest.importorskip(EXTRAS[file], reason=f"needs the extra of {file}")
    group, _, choice = file.partition("/")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        node = compose(CHOICES_OF[group], overrides=[f"{group}={choice}", "checkpoint=x"])[group]
    if OmegaConf.is_missing(node, "model"):
        with pytest.raises(InstantiationException, match=r"detector\.model=none\.onnx does not exist"):
            instantiate(node, model="none.onnx")
    else:
        assert callable(instantiate(node))


@pytest.mark.parametrize("file", [file for file in FILES if "/" in file and file.partition("/")[0] not in CHOICES_OF])
def test_choice_makes_a_model_and_a_datamodule(make_cfg, file, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    if file in EXTRAS:
        pytest.importorskip(EXTRAS[file], reason=f"needs the extra of {file}")
    group, _, choice = file.rpartition("/")
    cfg = make_cfg(f"{group}={choice}")
    if group in LEARNT:
        model = instantiate(cfg.model)
        model.trainer = SimpleNamespace(ckpt_path=None, estimated_stepping_batches=100)
        optimizer = model.configure_optimizers()["optimizer"]
        trained = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
        assert trained == sum(p.numel() for p in model.parameters())
    labels = np.arange(700) % 7
    for batch in instantiate(cfg.data).sampler(labels):
        assert len(batch) == cfg.data.batch_size
        if cfg.sampler._target_.endswith("ClassSampler"):
            assert (np.bincount(labels[batch]) > 0).sum() == cfg.sampler.classes_per_batch
    for node in (cfg.callbacks, cfg.logger, cfg.hydra.get("callbacks")):
        for part in (node or {}).values():
            assert instantiate(part) is not None
    assert_swept(cfg)


def assert_swept(cfg: DictConfig) -> None:
    """Look whether what a search or an experiment varies is there to be varied."""
    for key, values in (cfg.hydra.sweeper.get("params") or {}).items():
        if (CONF / key).is_dir():
            assert {f"{key}/{choice}" for choice in values.split(",")} <= set(FILES)
        else:
            node, _, name = key.rpartition(".")
            assert name in OmegaConf.select(cfg, node)


@pytest.mark.parametrize("name", [file for file in FILES if "/" not in file])
def test_entry_composes_and_every_value_of_it_can_be_resolved(name, tmp_path):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(name, overrides=[f"paths.output_dir={tmp_path}", *NEEDED[name]])
    if "data" in cfg:
        assert instantiate(cfg.data).batch_size == cfg.data.batch_size == 16


QUIET = ["logger=none", "run_name=a"]
NEEDED = {
    "audit": QUIET,
    "train": QUIET,
    "eval": [*QUIET, "checkpoint=best.ckpt"],
    "export": [*QUIET, "checkpoint=best.ckpt"],
    "predict": ["checkpoint=best.ckpt", "input=face.png"],
    "app": ["checkpoint=bundle"],
    "stress": [*QUIET, "checkpoint=best.ckpt"],
    "labels": [*QUIET, "checkpoint=best.ckpt"],
    "score": ["predictions=[a.csv]"],
}


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
