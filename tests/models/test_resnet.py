"""Networks for 48 pixels: shapes, the numbers that their YAML states, the shortcut."""

import pytest
import torch
from hydra.utils import instantiate
from torch.utils.flop_counter import FlopCounterMode

from fer_lightning.models.resnet import ResidualBlock


@pytest.mark.parametrize(
    ("choice", "parameters", "mmac"),
    [("facenet", 1_127_928, 24.7), ("resnet48", 1_971_296, 159.9)],
)
def test_size_and_cost_are_those_of_the_yaml(make_cfg, choice, parameters, mmac):
    embedder = instantiate(make_cfg(f"embedder={choice}").embedder)
    assert sum(parameter.numel() for parameter in embedder.parameters()) == parameters
    with FlopCounterMode(display=False) as counter:
        vectors = embedder(torch.randn(2, 1, 48, 48))
    assert counter.get_total_flops() / 2 / 2 / 1e6 == pytest.approx(mmac, abs=0.1)  # two faces, two flops a product
    assert vectors.shape == (2, 128)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(2), atol=1e-5)


def test_the_first_maps_keep_the_resolution(make_cfg):
    maps, sides = torch.randn(2, 1, 48, 48), []
    for layer in instantiate(make_cfg("embedder=resnet48").embedder).features[:4]:
        maps = layer(maps)
        sides.append(maps.shape[-1])
    assert sides == [48, 24, 24, 12]


def test_a_block_whose_convolutions_give_nothing_is_its_shortcut():
    block = ResidualBlock(4).eval()
    torch.nn.init.zeros_(block.block[-1].weight)
    maps = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(maps), maps.relu())


def test_initial_scale_leaves_what_the_network_computes(make_cfg):
    torch.manual_seed(0)
    whole = instantiate(make_cfg("embedder.initial_scale=1").embedder).double()
    torch.manual_seed(0)
    scaled = instantiate(make_cfg("embedder.initial_scale=0.1").embedder).double()
    assert torch.allclose(scaled.features[0][0].weight, whole.features[0][0].weight * 0.1)
    for layer in (*whole.modules(), *scaled.modules()):
        if hasattr(layer, "eps"):
            layer.eps = 1e-15  # what batch norm adds to the variance does not scale
    faces = torch.randn(8, 1, 48, 48, dtype=torch.float64)
    assert torch.allclose(scaled(faces), whole(faces), atol=1e-5)
