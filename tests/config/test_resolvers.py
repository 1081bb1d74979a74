"""Values that a configuration computes: names, classes of a batch, modes."""

from socket import socket

import pytest
from omegaconf import OmegaConf

from fer_lightning.config import CONF, resolvers
from fer_lightning.config.resolvers import classes_per_batch, run_name, shown_name
from fer_lightning.data.faces import CLASSES
from tests.conftest import raising


def test_margin_stands_in_one_place(make_cfg):
    cfg = make_cfg("loss=triplet", "loss.margin=0.35")
    assert cfg.miner.margin == 0.35


def test_run_name_says_settings_and_faces(make_cfg):
    overrides = ["optimizer=sgd", "loss=supcon", "data.root=a b/faces.zip"]
    cfg = make_cfg("optimizer=sgd", "loss=supcon")
    assert run_name(overrides, _root_=cfg) == "sgd-bs16-ep8-s0-drawn-loss-supcon"
    cfg.data.root = "a b/my faces.zip"
    assert run_name(overrides, _root_=cfg) == "sgd-bs16-ep8-s0-my-faces-loss-supcon"


@pytest.mark.parametrize(
    ("overrides", "shown"),
    [
        ([], "default"),
        (["data.root=faces.zip", "logger=wandb", "~callbacks.media", "paths.cache_dir=x"], "default"),
        (["optimizer=sgd", "optimizer.lr=0.00044303752452182633", "+loss=supcon"], "sgd supcon lr=0.000443"),
        (
            ["data.batch_size=16", "seed=12345678", "init_from=/a/b/last.ckpt"],
            "batch_size=16 seed=12345678 init_from=last.ckpt",
        ),
        (["optimizer=sgd", "run_name=mine"], "mine"),
    ],
)
def test_the_name_in_wandb_says_what_was_overridden(overrides, shown):
    assert shown_name("mine", overrides) == shown


@pytest.fixture
def wandb_mode(monkeypatch):
    """The mode of W&B with a key at hand, and without a proxy."""
    resolvers._reachable.cache_clear()
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    return resolvers.wandb_mode


@pytest.mark.parametrize(
    ("address", "port"), [("http://wandb.lan", 80), ("https://wandb.lan", 443), ("http://wandb.lan:81", 81)]
)
def test_the_server_of_wandb_is_tried_at_its_port(wandb_mode, monkeypatch, address, port):
    tried = []
    monkeypatch.setattr(resolvers.socket, "create_connection", lambda server, timeout: tried.append(server) or socket())
    monkeypatch.setenv("WANDB_BASE_URL", address)
    assert wandb_mode() == "online"
    assert tried == [("wandb.lan", port)]


def test_a_netrc_that_cannot_be_read_holds_no_key(wandb_mode, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setattr(resolvers.netrc, "netrc", raising(PermissionError()))
    assert wandb_mode() == "offline"


def test_wandb_goes_offline_where_its_server_is_down(wandb_mode, monkeypatch):
    """Fault 70: a key at hand, no server."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert wandb_mode() == "offline"
    resolvers._reachable.cache_clear()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert wandb_mode() == "online"


@pytest.mark.parametrize("run_id", ["4fd94d32e11e", "718157773701", "7181577737e1"])
def test_a_run_keeps_its_id(tmp_path, run_id):
    OmegaConf.save({"run_id": run_id, "seed": 0}, tmp_path / "config.yaml")
    assert resolvers.run_id(str(tmp_path)) == run_id


EIGHT = (*CLASSES, "contempt")

THREE = ("calm", "joy", "rage")


@pytest.mark.parametrize(("platform", "accelerator"), [("linux", "auto"), ("darwin", "cpu")])
def test_a_mac_computes_on_the_cpu(monkeypatch, platform, accelerator):
    """Apple's GPU has no float64."""
    monkeypatch.setattr(resolvers.sys, "platform", platform)
    assert OmegaConf.load(CONF / "trainer" / "auto.yaml").accelerator == accelerator


def test_balanced_batches_take_as_many_classes_as_divide_them():
    assert [classes_per_batch(4, EIGHT, 18), classes_per_batch(4, THREE, 18), classes_per_batch(4, THREE, 16)] == [
        4,
        3,
        2,
    ]
    assert classes_per_batch(4, THREE, 17) == 3  # which is refused, by its number
