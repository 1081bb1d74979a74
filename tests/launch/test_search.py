"""A search draws options, prunes trials and tells its study how they ended."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

from hydra_plugins.fer_lightning_search import distribution, outcome


def drawn_from(text):
    (override,) = OverridesParser.create().parse_overrides([f"x={text}"])
    return distribution(override)


def test_what_options_are_drawn_from():
    distributions = pytest.importorskip("optuna.distributions", reason="needs the extra optuna")
    assert drawn_from("interval(0.1,2.0)") == distributions.FloatDistribution(0.1, 2.0)
    assert drawn_from("tag(log,interval(1e-5,1e-2))") == distributions.FloatDistribution(1e-5, 1e-2, log=True)
    assert drawn_from("int(interval(1,8))") == distributions.IntDistribution(1, 8)
    assert drawn_from("range(1,8,2)") == distributions.IntDistribution(1, 7, step=2)  # 1, 3, 5, 7
    assert drawn_from("range(0.5,2)") == distributions.CategoricalDistribution([0.5, 1.5])
    assert (
        drawn_from("choice(adam,sgd)")
        == drawn_from("adam,sgd")
        == distributions.CategoricalDistribution(["adam", "sgd"])
    )


def test_a_failed_trial_is_told_as_failed():
    pytest.importorskip("optuna", reason="needs the extra optuna")
    assert outcome({}, JobReturn(status=JobStatus.FAILED))["state"].name == "FAIL"
