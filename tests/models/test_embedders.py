"""Embedders give unit vectors, and refuse what they cannot embed."""

import pytest
import torch
from hydra.utils import instantiate

from fer_lightning.errors import UserError
from fer_lightning.models.embedders import FaceNet, Inception, TimmEmbedder


@pytest.mark.parametrize(("size", "pixels"), [(128, 48), (512, 48), (128, 64)])
def test_facenet_gives_unit_vectors(make_cfg, size, pixels):
    cfg = make_cfg(f"embedder.embedding_size={size}", f"data.image_size={pixels}")
    vectors = instantiate(cfg.embedder)(torch.randn(3, 1, pixels, pixels))
    assert vectors.shape == (3, size)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("choice", ["facenet", "resnet48", "timm"])
def test_mixed_precision_leaves_the_embedding_its_digits(make_cfg, choice):
    options = ["embedder.pretrained=false", "embedder.model_name=test_resnet"] if choice == "timm" else []
    embedder = instantiate(make_cfg(f"embedder={choice}", *options).embedder).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        vectors = embedder(torch.randn(3, 1, 48, 48))
    assert vectors.dtype == torch.float32
    assert not torch.equal(vectors, vectors.bfloat16().float())
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-6)  # bfloat16: up to 0.003 off


def test_half_weights_give_unit_vectors_in_float32(make_cfg):
    embedder = instantiate(make_cfg("embedder=resnet48").embedder).eval().bfloat16()
    vectors = embedder(torch.randn(3, 1, 48, 48).bfloat16())
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-6)


def test_facenet_has_the_stem_of_the_papers_table_5(make_cfg):
    embedder: FaceNet = instantiate(make_cfg().embedder)
    stem = embedder.features[0][0]
    assert (stem.in_channels, stem.out_channels, stem.kernel_size) == (1, 64, (7, 7))
    assert (stem.stride, stem.padding) == ((2, 2), (3, 3))
    assert (embedder.features[1].kernel_size, embedder.features[1].stride) == (3, 2)


def test_inception_concatenates_four_branches():
    module = Inception(8, [2, 3, 4, 5, 6, 7])
    assert module(torch.randn(2, 8, 12, 12)).shape == (2, 2 + 4 + 6 + 7, 12, 12)


def test_facenet_refuses_other_sizes(make_cfg):
    with pytest.raises(ValueError, match=r"images are \(2, 1, 64, 64\), not \(B, 1, 48, 48\)"):
        instantiate(make_cfg().embedder)(torch.randn(2, 1, 64, 64))


def test_timm_backbone_gives_unit_vectors():
    embedder = TimmEmbedder("test_resnet", 128, 48, pretrained=False, checkpoint_path="", dropout=0.0)
    vectors = embedder(torch.randn(2, 1, 48, 48))
    assert vectors.shape == (2, 128)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(2), atol=1e-5)


def test_dropout_of_a_timm_backbone_is_its_own():
    torch.manual_seed(0)
    embedder, images = TimmEmbedder("test_resnet", 128, 48, False, "", dropout=0.9), torch.randn(2, 1, 48, 48)
    assert not torch.equal(embedder(images), embedder(images))
    embedder.backbone.drop_rate = 0.0
    assert torch.equal(embedder(images), embedder(images))


@pytest.mark.parametrize(("name", "words"), [("resnetx", "unknown to timm"), ("inception_v3", "does not fit 48")])
def test_timm_models_that_cannot_be_used_are_named(name, words):
    with pytest.raises(UserError, match=words):
        TimmEmbedder(name, 128, 48, pretrained=False, checkpoint_path="", dropout=0.0)
