"""The LightningModule: what its configurations make of it, and what a checkpoint makes again."""

import json
from unittest.mock import Mock

import pytest
import torch
from hydra.utils import instantiate

from fer_lightning.data.pictures import Batch
from fer_lightning.errors import UserError
from fer_lightning.models.module import ExpressionModule
from fer_lightning.models.network import Network
from fer_lightning.runs.checkpoints import KEY, load
from fer_lightning.use.bundles import read_checkpoint
from tests.conftest import make_tree, options, train

TINY = [option for option in options("tiny") if not option.startswith(("loss", "sampler"))]


@pytest.mark.parametrize(
    ("loss", "margin"),
    [("triplet", 0.35), ("supcon", 0.0), ("proxy_anchor", 0.0), ("arcface", 0.0), ("multi_similarity", 0.0)],
)
def test_only_triplet_losses_have_a_margin_of_distances(make_cfg, loss, margin):
    changed = ["loss.margin=0.35"] if loss == "triplet" else []
    assert instantiate(make_cfg(*TINY, f"loss={loss}", *changed).model).margin == margin


@pytest.mark.parametrize(
    ("choices", "logged"),
    [
        (["loss=softmax"], False),
        (["loss=supcon"], False),
        (["loss=supcon", "miner=multi_similarity"], True),
        (["loss=triplet"], True),
        (["loss=triplet", "miner=none"], True),
        (["loss=triplet_center"], True),
        (["loss=multi_similarity"], True),
    ],
)
def test_triplets_are_logged_of_a_loss_or_miner_that_has_them(make_cfg, monkeypatch, choices, logged):
    model = instantiate(make_cfg(*TINY, *choices).model)
    figures = {}
    optimizer = Mock(param_groups=[{"lr": 0.1}])
    monkeypatch.setattr(type(model), "trainer", Mock(log_every_n_steps=1, optimizers=[optimizer], world_size=1))
    monkeypatch.setattr(model, "log_dict", figures.update)
    monkeypatch.setattr(model, "log", lambda *args, **kwargs: None)
    labels = torch.arange(14) % 7
    model.training_step(Batch(torch.randn(14, 1, 48, 48), labels, torch.arange(14), labels), 0)
    assert {"train/spread", "train/learning_rate"} <= figures.keys()
    of_triplets = {f"train/{name}" for name in ("triplets", "active_share", "passed_over_share", "negative_distance")}
    assert figures.keys() & of_triplets == (of_triplets if logged else set())


def test_refusals_name_the_node(make_cfg):
    settings = instantiate(make_cfg(*TINY).model).hparams
    with pytest.raises(UserError, match=r"^loss: .*foo"):
        ExpressionModule(**{**settings, "loss": {**settings["loss"], "foo": 1}})


def test_faces_embedded_in_pieces_come_out_as_at_once(make_cfg, monkeypatch):
    model = instantiate(make_cfg(*TINY, "model.mirrored=true").model).eval()
    images = torch.randn(7, 1, 48, 48)
    monkeypatch.setattr("fer_lightning.models.module.PIECE", 3)
    pieces, calls = model(images), []
    assert torch.allclose(pieces, Network.forward(model, images), atol=1e-6)
    monkeypatch.setattr(Network, "forward", lambda self, images: calls.append(len(images)) or images)
    model(images)
    model.train()(images)  # a batch is normalised as a whole
    assert calls == [3, 3, 1, 7]


def test_a_limited_validation_is_an_even_draw_that_run_and_checkpoint_name(make_cfg, tmp_path, caplog):
    """Folders stand sorted by class: the first batches would make a gallery of one class."""
    tree = make_tree(tmp_path / "faces", faces=12)
    cfg = make_cfg(
        *(*TINY, f"data.root={tree}", f"data.cache_dir={tmp_path / 'cache'}", "logger=csv"),
        *("data.eval_batch_size=14", "trainer.max_epochs=1", "trainer.limit_train_batches=1", "~callbacks.media"),
        *("trainer.limit_val_batches=2", "trainer.limit_test_batches=1"),
    )
    trainer = train(cfg)
    module, partition = trainer.lightning_module, trainer.datamodule.partition
    gallery, validation = len(partition.gallery), len(partition.validation)
    size = 2 * 14
    labels = module.classifier.gallery_labels
    assert len(labels) == size < gallery
    assert labels.bincount(minlength=7).ne(0).all()
    assert partition.faces.labels[module.draw.gallery].tolist() == labels.tolist()
    sentence = f"fitted on {size} of {gallery} training faces, and validated on {module.draw.validated} of {validation}"
    assert caplog.text.count(sentence) == 1
    path = f"{tmp_path}/checkpoints/best.ckpt"
    saved = load(path, "checkpoint")[KEY]
    assert saved["gallery"].split("\n") == partition.faces.names[module.draw.gallery].tolist()
    assert sentence in read_checkpoint(path)[1].origin["draw"]
    trainer.test(module, trainer.datamodule, ckpt_path=path, weights_only=True, verbose=False)
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert sentence in record["draw"]
    assert record["validation_faces"] == module.draw.validated
    assert (record["test_faces"], record["unscored"]) == (14, len(partition.test) - 14)
    assert len(set(module.test_outputs["labels"].tolist())) == 7
