"""Objects of a configuration: Hydra 1.4 is given the packages that the configuration names."""

import pytest
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from fer_lightning.config import PACKAGE
from fer_lightning.config.instantiation import LISTS, instantiate, targets


def test_targets_are_named_behind_their_options():
    node = {"loss": {"_target_": "a.B", "parts": [{"_target_": "c.D"}]}, "seed": 1}
    assert list(targets(node)) == [("loss._target_", "a.B"), ("loss.parts.0._target_", "c.D")]


def test_packages_that_a_configuration_names_may_be_called():
    config = OmegaConf.create(
        {"where": {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}, "same": "${where}"}
    )
    assert instantiate(config.same).out_features == 3
    assert instantiate({"_target_": "torch.nn.Linear"}, in_features=2, out_features=4).out_features == 4
    assert instantiate(None) is None


@pytest.mark.skipif(not LISTS, reason="Hydra 1.3 has no list of what may be called")
def test_packages_of_python_are_not_called():
    with pytest.raises(InstantiationException, match="not in the Hydra execution whitelist"):
        instantiate({"_target_": "shutil.rmtree", "path": "/nowhere"})


def test_no_other_module_makes_objects_by_hydra():
    makers = {path.name for path in PACKAGE.rglob("*.py") if "hydra.utils" in path.read_text()}
    assert makers == {"instantiation.py"}
