"""Options and arguments are read from signatures and docstrings, without an import."""

import inspect
import re

import pytest
from hydra.utils import get_class

from fer_lightning.config import CONF
from fer_lightning.config.signatures import flaw, resolve, signature, takes

LIBRARY = re.compile(r"_target_: ((?:torch|lightning|pytorch_metric_learning|sklearn)\.[\w.]+)")
TARGETS = sorted({target for path in CONF.rglob("*.yaml") for target in LIBRARY.findall(path.read_text())})


def test_options_of_a_class_have_kind_meaning_and_default():
    described = signature("fer_lightning.models.knn.KNNClassifier")
    assert described.closed
    assert {"k", "candidates", "weights", "temperature", "num_classes", "embedding_size"} == set(described.options)
    assert all(option.meaning and option.required for option in described.options.values())
    assert described.summary.endswith(".")


def test_names_outside_the_package_have_no_signature():
    assert signature("torch.optim.Adam") is None
    assert signature("fer_lightning.models.knn.Nothing") is None


def test_nullable_kinds_are_recognised():
    option = signature("fer_lightning.models.knn.KNNClassifier").options["k"]
    assert resolve(option.kind, option.module).nullable
    option = signature("fer_lightning.models.knn.KNNClassifier").options["candidates"]
    assert resolve(option.kind, option.module).form in ("list", "value")


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


def test_a_class_that_is_not_there_is_named():
    assert flaw("torch.optim.Adamm") == "torch.optim has no Adamm (did you mean Adam?)"
    assert "there is no module no_such_package (its folder is named by PYTHONPATH" in flaw("no_such_package.Thing")
    for target in (*TARGETS, "torch.optim.adam", "torch.nn.Modul", "torch.nothing.at.All", "math.sqrt", "os.system"):
        assert flaw(target) is None  # the third is a name among stars, the fifth is compiled
