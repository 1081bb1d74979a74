"""The jobs of a sweep are counted as Hydra's sweepers make them; a search draws, prunes and tells its study."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from fer_lightning.launch.environment import Build
from fer_lightning.launch.sweeps import count_jobs, side_by_side, swept
from hydra_plugins.fer_lightning_search import distribution, outcome


@pytest.mark.parametrize(
    ("params", "overrides", "expected", "jobs"),
    [
        ({}, ["optimizer=adam,sgd,rmsprop", "seed=0,1", "data.root=null"], {"optimizer": 3, "seed": 2}, 6),
        ({}, ["protocol.fold=range(5)", "+optimizer.eps=1e-6,1e-8"], {"protocol.fold": 5, "optimizer.eps": 2}, 10),
        ({}, ["data.drawn={count:[1,2]}", "embedder.stages=[[8,8]]"], {}, 1),  # commas that sweep over nothing
        ({"optimizer": "adam,sgd", "protocol": "honest,paper"}, ["seed=3"], {"optimizer": 2, "protocol": 2}, 4),
        ({"optimizer": "adam,sgd"}, ["optimizer=sgd"], {}, 1),  # the command line counts, not the sweep's file
        ({"optimizer": "adam,sgd"}, ["optimizer=adam,sgd,adamw"], {"optimizer": 3}, 3),
        ({"optimizer.lr": "interval(1e-5,1e-2)", "seed": "choice(5,15)"}, [], {"optimizer.lr": 1, "seed": 2}, 2),
    ],
)
def test_options_and_jobs_of_a_sweep(params, overrides, expected, jobs):
    config = OmegaConf.create({"hydra": {"sweeper": {"params": params}, "overrides": {"task": overrides}}})
    assert swept(config) == expected
    assert count_jobs(config) == jobs
    config.hydra.sweeper.n_trials = 20
    assert count_jobs(config) == 20


@pytest.mark.parametrize(
    ("cores", "accelerator", "build", "launcher", "sweeper", "expected"),
    [
        (2, "cpu", None, "basic", {}, 2),
        (8, "cpu", None, "basic", {}, 3),  # as many as there are jobs
        (1, "cpu", None, "basic", {}, None),
        (2, "auto", Build("2.15.0", None, None), "basic", {}, 2),
        (2, "auto", Build("2.15.0", None, "6.4"), "basic", {}, None),  # there may be a GPU
        (2, "gpu", None, "basic", {}, None),
        (2, "cpu", None, "slurm", {}, None),
        (2, "cpu", None, "basic", {"n_trials": 20}, None),  # a search learns from one trial for the next
        (2, None, None, "basic", {}, None),  # a command without a Trainer
    ],
)
def test_a_sweep_says_when_jobs_side_by_side_would_help(
    monkeypatch, cores, accelerator, build, launcher, sweeper, expected
):
    monkeypatch.setattr("fer_lightning.launch.sweeps.cores", lambda: cores)
    monkeypatch.setattr("fer_lightning.launch.sweeps.torch_build", lambda: build)
    hydra = {"runtime": {"choices": {"hydra/launcher": launcher}}, "overrides": {"task": ["seed=0,1,2"]}}
    config = OmegaConf.create({"hydra": {**hydra, "sweeper": sweeper}, "trainer": {"accelerator": accelerator}})
    advice = side_by_side(config)
    assert (advice is None) if expected is None else (f"n_jobs={expected} runs {expected} at a time" in advice)


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
