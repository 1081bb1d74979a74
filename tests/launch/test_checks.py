"""Options that cannot work together are refused before torch is imported."""

import pytest
from omegaconf import open_dict

from fer_lightning.errors import UserError
from fer_lightning.launch.checks import check
from tests.conftest import SMALL

TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


def test_several_devices_in_a_sweep_are_refused(tmp_path, run_here, make_cfg, monkeypatch):
    """Fault 72: each process would run the sweep again."""

    def refusal(*own: str) -> str:
        cfg = make_cfg(*own)
        with open_dict(cfg):
            del cfg["hydra"]
        with pytest.raises(UserError) as refused:
            check(cfg, "train")
        return str(refused.value)

    done = run_here("train.py", "-m", "trainer=ddp", *SMALL)
    assert done.code == 1
    assert not (tmp_path / "logs").exists()
    sweeps = [refusal("hydra.mode=MULTIRUN", f"trainer.devices={devices}") for devices in ("2", "auto", "[0,1]")]
    for sentence in (done.text.splitlines()[-1], *sweeps):
        for words in ("with -m", "one run at a time", "torchrun", "hydra/launcher=joblib", "hydra/launcher=slurm"):
            assert words in sentence
    said = "data.batch_size=16 cannot be shared equally by 3 processes"
    assert said in refusal(*TWO, "data.batch_size=16", "trainer.devices=3")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "2 processes were started" in refusal()
