"""The LightningModule: what its configurations make of it, and what a checkpoint makes again."""

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
