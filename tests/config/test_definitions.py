"""Arguments of library classes, read from their source."""

import inspect
import re

import pytest
from hydra.utils import get_class

from fer_lightning.config import CONF
from fer_lightning.config.definitions import takes

LIBRARY = r"_target_: ((?:torch|lightning|pytorch_metric_learning|sklearn)\.[\w.]+)"
TARGETS = sorted(
    {
        target
        for path in CONF.rglob("*.yaml")
        for target in re.findall(
            r"_target_: ((?:torch|lightning|pytorch_metric_learning|sklearn)\.[\w.]+)", path.read_text()
        )
    }
)


@pytest.mark.parametrize("target", TARGETS)
def test_the_source_says_what_the_class_takes(target):
    arguments = takes(target)
    if arguments is None:  # its base hides them
        return
    listed = {
        name
        for name, parameter in inspect.signature(get_class(target)).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    assert listed <= arguments


def test_what_cannot_be_read_is_open():
    assert takes("torch.optim.Adam")
    assert "margin" in takes("pytorch_metric_learning.losses.TripletMarginLoss")
    assert "margin" not in takes("pytorch_metric_learning.losses.NormalizedSoftmaxLoss")
    for target in ("no_such_package.Thing", "torch.optim.NoSuchClass", "Thing", "torch.nothing.at.All"):
        assert takes(target) is None
