"""The command that goes on with a run is one that works where the run was started."""

import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

import fer_lightning
from fer_lightning.runs.command import key, quoted, read_options, resume_command


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        ("train.py", "python train.py resume_from=/logs/run"),
        ("/somewhere/train.py", "python train.py resume_from=/logs/run"),
        (
            f"{Path(fer_lightning.__file__).parent}/__main__.py",
            "python -m fer_lightning train resume_from=/logs/run",
        ),
    ],
)
def test_the_way_that_a_run_was_started_is_repeated(monkeypatch, started, shown):
    monkeypatch.setattr(sys, "argv", [started])
    assert resume_command(Path("/logs/run")) == shown


def test_a_job_goes_on_with_its_sweep_and_names_are_quoted_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py"])
    sweep = tmp_path / "my sweep"
    (sweep / ".hydra").mkdir(parents=True)
    (sweep / ".hydra/overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(["seed=0,1", "+a.b=1"])))
    assert resume_command(sweep / "job") == f"python train.py \"sweep.resume='{sweep}'\""
    assert [key(option) for option in read_options(sweep)] == ["seed", "a.b"]
    assert [key(option) for option in ("~logger", "++a=b=c", "data@trainer=x")] == ["logger", "a", "data"]


@pytest.mark.parametrize("text", ["plain", "a b", r"(S\d+)_", "it's", r"\'", "a\\", r"\\", r"it\'s", "{a,b}"])
def test_quoted_text_is_read_back(text):
    assert OverridesParser.create().parse_override(f"a={quoted(text)}").value() == text
