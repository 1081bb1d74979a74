"""The jobs of a sweep are counted as Hydra's sweepers make them."""

import pytest
from omegaconf import OmegaConf

from fer_lightning.launch.environment import Build
from fer_lightning.launch.sweeps import count_jobs, side_by_side, sweep_counts


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
    assert sweep_counts(config) == expected
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
