"""The LightningModule: what its configurations make of it, and what a checkpoint makes again."""

from unittest.mock import Mock

import pytest
import torch
from hydra.utils import instantiate

from fer_lightning.errors import UserError
from fer_lightning.models.module import ExpressionModule
from fer_lightning.models.network import Network
from tests.conftest import options

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
    model.training_step(Mock(images=torch.randn(14, 1, 48, 48), labels=torch.arange(14) % 7), 0)
    assert {"train/spread", "train/learning_rate"} <= figures.keys()
    of_triplets = {f"train/{name}" for name in ("triplets", "active_share", "passed_over_share", "negative_distance")}
    assert figures.keys() & of_triplets == (of_triplets if logged else set())


def test_scheduler_watches_the_objective(make_cfg):
    model = instantiate(make_cfg(*TINY, "scheduler=plateau", "objective=val/macro_f1").model)
    assert model.configure_optimizers()["lr_scheduler"]["monitor"] == "val/macro_f1"


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
