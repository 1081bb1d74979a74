"""The jobs of a sweep are counted as Hydra's sweepers make them."""

import pytest
from omegaconf import OmegaConf

from fer_lightning.launch.search import count_jobs, swept


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
