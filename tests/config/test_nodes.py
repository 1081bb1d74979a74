"""The table of nodes is complete, and says what changed."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from fer_lightning.config import CONF
from fer_lightning.config.nodes import NODES, Role, differences, role

CHOICES = {
    "train": ["embedder=timm"],
    "eval": ["checkpoint=x"],
    "audit": [],
    "predict": ["checkpoint=x", "input=x"],
    "export": ["checkpoint=x"],
    "stress": ["checkpoint=x"],
    "labels": ["checkpoint=x"],
    "score": ["predictions=[x]"],
    "app": ["checkpoint=x"],
}


def test_table_has_exactly_the_nodes_of_the_configuration():
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        configs = [compose(name, overrides, return_hydra_config=True) for name, overrides in CHOICES.items()]
    nodes = {str(node) for config in configs for node in config}
    nodes |= {path.name for path in CONF.iterdir() if path.is_dir()}
    assert {node for node in NODES if "." not in node} == nodes
    for node in NODES:
        names = node.split(".")
        inner = [OmegaConf.select(config, ".".join(names[:-1]), default=config) for config in configs]
        assert any(names[-1] in node for node in inner) or (CONF / node).is_dir(), f"{node} is no node any more"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("optimizer", Role.STATE),
        ("optimizer.lr", Role.STATE),
        ("data.root", Role.RESULT),
        ("data.cache_dir", Role.PLACE),
        ("augmentation.transforms.0.limit", Role.RESULT),
        ("embedder.pretrained", Role.RUN),
        ("trainer.max_epochs", Role.RUN),
        ("trainer.logger.0.name", Role.PLACE),
        ("data.num_workers", Role.MACHINE),
        ("hydra/launcher", Role.PLACE),
        ("run_id", Role.NAME),
        ("no_such_node", Role.RESULT),
    ],
)
def test_kind_is_that_of_the_nearest_node_around(key, expected):
    assert role(key) == expected


def test_differences_name_each_option_once(make_cfg):
    before = make_cfg()
    same = make_cfg("data.num_workers=2", "data.cache_dir=x", "run_name=x", "callbacks.media.mistakes=1", "logger=none")
    assert differences(before, same) == {}
    after = make_cfg("optimizer.lr=1e-2", "seed=3", "trainer.precision=64-true", "+augmentation.note=[1]")
    assert differences(before, after) == {
        "seed": "seed was 0, is 3",
        "optimizer.lr": "optimizer.lr was 0.0001, is 0.01",
        "trainer.precision": "trainer.precision was 32-true, is 64-true",
        "augmentation.note": "augmentation.note was None, is [1]",
    }
