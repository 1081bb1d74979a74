"""A network is made again from its checkpoint alone, and nothing that a stranger wrote there runs."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

from fer_lightning.data.datamodule import Batch
from fer_lightning.errors import UserError
from fer_lightning.models.module import ExpressionModule
from fer_lightning.runs.checkpoints import KEY, load
from fer_lightning.runs.rebuilding import load_module, take_weights
from tests.conftest import options

TINY = [option for option in options("tiny") if not option.startswith(("loss", "sampler"))]


def saved(model: ExpressionModule, path: Path, **changes: object) -> Path:
    """Write what Lightning would; ``changes`` replace parts of the configuration."""
    settings = {**model.hparams, **changes}
    record = {"overrides": [], "version": "0.1.0", "classes": model.hparams["classes"]}
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": settings, KEY: record}, path)
    return path


@pytest.mark.parametrize("head", ["knn", "prototype", "linear"])
@pytest.mark.parametrize("network", [["loss=triplet"], ["loss=proxy_anchor"], ["embedder=timm"]])
def test_checkpoint_alone_makes_the_network_again(make_cfg, tmp_path, head, network):
    tiny = TINY if network != ["embedder=timm"] else ["embedder.model_name=test_resnet"]
    model: ExpressionModule = instantiate(make_cfg(*network, *tiny, f"classifier={head}").model).eval()
    batch = Batch(torch.randn(5, 1, 48, 48), torch.arange(5), torch.arange(5))
    model.classifier.fit(model(batch.images), batch.labels)
    expected = model.predict_step(batch, 0)
    again = load_module(saved(model, tmp_path / "a model=1.ckpt"))
    assert not again.training
    for found, wanted in zip(again.predict_step(batch, 0), expected, strict=True):
        assert torch.equal(found, wanted)
    assert again.predict_step(batch, 0).votes.shape == (5, 7)
    assert not [name for name in again.state_dict() if name.startswith("loss.")]


def test_nothing_is_fetched_for_a_checkpoint(make_cfg, tmp_path):
    model = instantiate(make_cfg("embedder=timm", "embedder.model_name=test_resnet").model)
    model.classifier.fit(torch.eye(7, 128), torch.arange(7))
    stranger = {**model.hparams["embedder"], "pretrained": True, "checkpoint_path": str(tmp_path / "evil.pth")}
    load_module(saved(model, tmp_path / "model.ckpt", embedder=stranger))


@pytest.mark.parametrize(
    "change",
    [
        {"embedder": {"_target_": "os.system", "command": "touch pwned"}},
        {"embedder": {"_target_": "fer_lightning.models.module.ExpressionModule"}},
        {"embedder": {"_target_": "fer_lightning.models.knn.KNNClassifier", "k": 1}},
        {"embedder": {"_target_": ["os.system"], "command": "touch pwned"}},
        {"classifier": {"_target_": "fer_lightning.models.module.build", "node": "", "config": {}}},
        {"classifier": {"_target_": "os.system", "_args_": ["touch pwned"]}},
        {"classifier": {"_call_": "os.system"}},
        {"classifier": "os.system"},
    ],
)
def test_configuration_of_a_stranger_is_refused(make_cfg, tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    model = instantiate(make_cfg(*TINY).model)
    with pytest.raises(UserError, match=r"bad\.ckpt (says of its|does not say what its) (embedder|classifier)"):
        load_module(saved(model, tmp_path / "bad.ckpt", **change))
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    "value",
    [
        {"_target_": "os.system", "command": "touch pwned"},
        [{"_target_": "os.system", "_args_": ["touch pwned"]}],
        "${oc.env:HOME}",
        {"a": ["${oc.env:HOME}"]},
        torch.ones(2),
    ],
)
@pytest.mark.parametrize("name", ["dropout", "_args_", "_partial_", "_convert_"])
def test_arguments_of_a_stranger_are_plain(make_cfg, tmp_path, monkeypatch, name, value):
    monkeypatch.chdir(tmp_path)
    model = instantiate(make_cfg(*TINY).model)
    with pytest.raises(UserError, match="says of its embedder what could run code"):
        load_module(saved(model, tmp_path / "bad.ckpt", embedder={**model.hparams["embedder"], name: value}))
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("node", "change", "words"),
    [
        ("embedder", {"evil": 1}, "embedder.evil is no option"),
        ("embedder", {"stages": "abc"}, "embedder.stages=abc must be a list of stages"),
        ("embedder", {"stages": [[[4096] * 6] * 16] * 2}, "embedder.stages must be narrower or fewer"),
        ("embedder", {"hidden_size": 33}, "holds another network"),
        ("embedder", {"embedding_size": -1}, "embedder.embedding_size=-1 must be a whole number from 1"),
        ("classifier", {"k": 0}, "classifier.k=0 must be a whole number, 1 or more, or null"),
        ("classifier", {"temperature": 0.0}, "classifier.temperature=0.0 must be a finite number above 0"),
    ],
)
def test_numbers_that_make_no_network_are_one_sentence(make_cfg, tmp_path, node, change, words):
    model = instantiate(make_cfg(*TINY).model)
    bad = saved(model, tmp_path / "bad.ckpt", **{node: {**model.hparams[node], **change}})
    with pytest.raises(UserError, match=rf"bad\.ckpt makes no network: .*{words}"):
        load_module(bad)


def test_checkpoint_without_configurations_is_named(tmp_path):
    torch.save(
        {"state_dict": {}, KEY: {"overrides": [], "version": "0.1.0", "classes": ["calm", "joy"]}},
        tmp_path / "old.ckpt",
    )
    with pytest.raises(UserError, match=r"old\.ckpt does not say what its embedder is"):
        load_module(tmp_path / "old.ckpt")
    with pytest.raises(UserError, match="does not exist"):
        load_module(tmp_path / "none.ckpt")


def test_init_from_takes_the_embedders_weights_alone(make_cfg, tmp_path):
    checkpoint = saved(instantiate(make_cfg(*options("tiny")).model), tmp_path / "a.ckpt")
    weights = load(str(checkpoint), "init_from")["state_dict"]
    model = instantiate(make_cfg(*options("tiny"), "optimizer=sgd", "loss=arcface").model)
    take_weights(model, str(checkpoint))
    for name, tensor in model.embedder.state_dict().items():
        assert torch.equal(tensor, weights[f"embedder.{name}"])
    assert len(model.classifier.gallery) == 0
    with pytest.raises(UserError, match=r"saved \(128, 32\), configured \(64, 32\).*, such as embedder=\w+$"):
        take_weights(instantiate(make_cfg(*options("tiny"), "embedder.embedding_size=64").model), str(checkpoint))
