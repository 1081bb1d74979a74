"""The network that predicts: a face and its mirror image."""

import torch
from hydra.utils import instantiate
from torch import nn


def test_mirrored_embeds_a_face_and_its_mirror_image_alike(make_cfg):
    torch.manual_seed(0)
    model = instantiate(make_cfg("model.mirrored=true", "embedder.initial_scale=1").model).eval()
    faces = torch.randn(4, 1, 48, 48)
    with torch.no_grad():
        both = model(faces)
        model.mirrored = False
        one, other = model(faces), model(faces.flip(3))
        model.mirrored = True
        assert torch.allclose(both, nn.functional.normalize(one + other, dim=1), atol=1e-6)
        assert torch.allclose(model(faces.flip(3)), both, atol=1e-6)
        assert not torch.allclose(one, both, atol=1e-5)
    model.train()
    assert torch.allclose(model(faces).norm(dim=1), torch.ones(4), atol=1e-5)
