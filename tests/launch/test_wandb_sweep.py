"""What W&B's agent makes of conf/wandb_sweep.yaml is a command that train.py takes."""

import itertools

import pytest
import yaml
from omegaconf import open_dict
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from fer_lightning.launch.checks import check
from tests.conftest import ROOT

SWEEP = yaml.safe_load((ROOT / "conf/wandb_sweep.yaml").read_text())


def ends(parameter):
    """Return the values of a parameter, or the ends of its range."""
    return parameter.get("values") or [parameter["min"], parameter["max"]]


CORNERS = list(itertools.product(*map(ends, SWEEP["parameters"].values())))


@pytest.mark.parametrize("values", CORNERS, ids=str)
def test_command_of_the_agent_composes(make_cfg, values):
    chosen = dict(zip(SWEEP["parameters"], values, strict=True))
    parts = create_sweep_command_args({"args": {name: {"value": value} for name, value in chosen.items()}})
    parts |= {"env": ["/usr/bin/env"], "program": [SWEEP["program"]]}
    words = [
        parts.get(word[2:-1], [word]) if word.startswith("${") else [word]
        for word in create_sweep_command(SWEEP["command"])
    ]
    command = list(itertools.chain(*words))
    assert command[:3] == ["/usr/bin/env", "python", "train.py"]
    cfg = make_cfg(*command[3:])
    with open_dict(cfg):
        del cfg["hydra"]
    check(cfg, "train")
    assert cfg.optimizer._target_.rpartition(".")[2].lower() == chosen["optimizer"]
    assert (cfg.optimizer.lr, cfg.data.batch_size) == (chosen["optimizer.lr"], chosen["data.batch_size"])
    assert (cfg.objective, "maximize") == (SWEEP["metric"]["name"], SWEEP["metric"]["goal"])
