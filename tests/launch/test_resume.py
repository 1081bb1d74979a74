"""A command that resumes: its options, and what it refuses."""

import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import OmegaConf, open_dict

from fer_lightning.config.overrides import allowed
from fer_lightning.errors import UserError
from fer_lightning.launch.resume import resume_arguments, resumed
from fer_lightning.runs.checkpoints import KEY
from fer_lightning.runs.command import resume_command
from fer_lightning.runs.rebuilding import part_config
from tests.conftest import ROOT, SMALL, options

OPTIONS = options("tiny", "stopped")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """The checkpoint of one epoch of Adam, away from its run."""
    folder = tmp_path_factory.mktemp("adam")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        overrides = [*SMALL, *OPTIONS, "trainer.max_epochs=1", f"hydra.runtime.output_dir={folder}"]
        cfg = compose("train", overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    instantiate(cfg.trainer).fit(instantiate(cfg.model), instantiate(cfg.data))
    return (folder / "checkpoints" / "last.ckpt").rename(folder / "last.ckpt")


def resume(make_cfg, *options: str) -> str:
    """Return what an entry point would go on from."""
    cfg = make_cfg(*OPTIONS, *options)
    with open_dict(cfg):
        del cfg["hydra"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return resumed(cfg)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["optimizer=rmsprop"], "optimizer._target_ was torch.optim.Adam, is torch.optim.RMSprop.*init_from="),
        (["optimizer.lr=1e-2"], "optimizer.lr was 0.001, is 0.01"),
        (["scheduler=cosine"], "scheduler._target_ was .*CosineAnnealingLR"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0 is too low"),
        (["trainer.max_steps=3"], "has 4 steps behind it: trainer.max_steps=3 is too low"),
    ],
)
def test_what_a_checkpoint_cannot_take_over_is_refused(make_cfg, checkpoint, options, words):
    with pytest.raises(UserError, match=words):
        resume(make_cfg, *options, f"resume_from={checkpoint}")


@pytest.mark.parametrize(
    ("planned_by", "now", "refused"),
    [
        (["trainer.max_epochs=2"], ["trainer.max_epochs=3"], True),
        (["trainer.max_epochs=2"], ["trainer.max_epochs=3", "trainer.max_steps=8"], False),
        (["trainer.max_epochs=2"], ["trainer.max_epochs=1"], False),
        (["trainer.max_epochs=2"], ["trainer.max_epochs=2", "data.batch_size=14"], True),
        (["trainer.max_epochs=2"], ["trainer.max_epochs=1", "data.batch_size=14"], False),
        (["trainer.max_epochs=2"], ["trainer.max_epochs=2", "trainer.max_steps=8", "data.batch_size=14"], False),
        (["trainer.max_epochs=2"], ["trainer.max_epochs=4", "data.batch_size=56"], False),
        (["trainer.max_epochs=9", "trainer.max_steps=8"], ["trainer.max_epochs=9", "trainer.max_steps=9"], True),
        (["trainer.max_epochs=9", "trainer.max_steps=8"], ["trainer.max_epochs=9", "trainer.max_steps=-1"], True),
        (["trainer.max_epochs=9", "trainer.max_steps=8"], ["trainer.max_epochs=10", "trainer.max_steps=8"], False),
    ],
)
def test_a_schedule_of_steps_is_not_trained_beyond(make_cfg, checkpoint, tmp_path, planned_by, now, refused):
    content = torch.load(checkpoint, weights_only=True)
    content["lr_schedulers"][0]["total_steps"] = 8
    content[KEY]["overrides"] += planned_by
    torch.save(content, tmp_path / "planned.ckpt")
    with pytest.raises(UserError, match="schedule of 8 steps, which ends there") if refused else nullcontext():
        resume(make_cfg, *now, f"resume_from={tmp_path / 'planned.ckpt'}")


def test_changed_settings_are_listed(make_cfg, checkpoint, caplog):
    assert resume(make_cfg, f"resume_from={checkpoint}") == str(checkpoint)
    assert "other settings" not in caplog.text
    resume(make_cfg, "data.batch_size=56", "seed=3", f"resume_from={checkpoint}")
    assert "data.batch_size was 28, is 56" in caplog.text
    assert "seed was 0, is 3" in caplog.text


def test_nothing_left_to_train_is_said(make_cfg, checkpoint, caplog):
    resume(make_cfg, "trainer.max_epochs=1", f"resume_from={checkpoint}")
    assert "has all 1 epochs; raise trainer.max_epochs" in caplog.text
    resume(make_cfg, "trainer.max_steps=4", f"resume_from={checkpoint}")
    assert "nothing left to train: " in caplog.text
    assert "has all 4 steps; raise trainer.max_steps" in caplog.text
    assert "other settings" not in caplog.text


def test_resuming_command_line_repeats_the_options_of_the_run(tmp_path, checkpoint):
    folder = tmp_path / "a run"
    (folder / ".hydra").mkdir(parents=True)
    (folder / "config.yaml").touch()
    (folder / ".hydra" / "overrides.yaml").write_text("- optimizer=sgd\n- seed=3\n- resume_from=x.ckpt\n")
    found = resume_arguments([f"resume_from='{folder}'", "trainer.max_epochs=9", "seed=4"])
    place = f"'{folder}'"
    assert found == [
        *("optimizer=sgd", f"hydra.run.dir={place}", "hydra.mode=RUN"),
        *("trainer.max_epochs=9", "seed=4", f"resume_from={place}"),
    ]
    alone = resume_arguments([f"resume_from={checkpoint}"])
    assert "data.batch_size=28" in alone
    assert not any(option.startswith("hydra.run.dir") for option in alone)
    for arguments, words in (
        (["-m", f"resume_from='{folder}'"], "leave -m out"),
        (["resume_from=http://a/b.ckpt"], "is an address"),
        (["resume_from=/nowhere"], "does not exist"),
        ([f"resume_from={tmp_path}"], "holds no run"),
    ):
        with pytest.raises(UserError, match=words):
            resume_arguments(arguments)


@pytest.mark.parametrize("option", ["resume_from", "sweep.resume"])
@pytest.mark.parametrize(
    "text",
    [
        *("optimizer._target_=torch.optim.NAdam", "+callbacks.own={_target_:os.system}", "run_name=${oc.env:HOME}"),
        *("hydra.searchpath=[evil]", "--config-dir=evil", "embedder=../../evil", "hydra/launcher=../evil"),
    ],
)
def test_an_option_of_a_folder_that_could_run_code_is_typed_again(tmp_path, option, text):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text(
        f"['seed=3','{text}','data.root=../faces.zip','hydra.sweep.subdir=${{optimizer._target_}}']\n"
    )
    if option == "resume_from":
        (tmp_path / "config.yaml").touch()
    resuming = f"{option}={tmp_path}"
    with pytest.raises(UserError, match=f"could run code: give it again beside {option}="):
        resume_arguments([resuming])
    options = resume_arguments([resuming, text])
    assert options.count(text) == 1
    assert options[:3] == ["seed=3", "data.root=../faces.zip", "hydra.sweep.subdir=${optimizer._target_}"]
    assert resume_command(tmp_path).endswith(f" {resuming} {shlex.quote(text)}")


def test_a_run_with_a_typed_class_is_compared(make_cfg, checkpoint, tmp_path, caplog):
    content = torch.load(checkpoint, weights_only=True)
    content[KEY]["overrides"] += ["optimizer.weight_decay=${oc.decode:'0.0'}", "hydra.searchpath=[pkg://evil]"]
    torch.save(content, tmp_path / "own.ckpt")
    resume(make_cfg, f"resume_from={tmp_path / 'own.ckpt'}")
    assert "other settings" not in caplog.text


def test_the_folder_of_config_dir_is_asked_for_and_then_read(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    (mine / "embedder").mkdir(parents=True)
    (mine / "embedder" / "own.yaml").write_text("_target_: own.Net\n")
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    (run / "config.yaml").touch()
    (run / ".hydra" / "overrides.yaml").write_text("[embedder=own]\n")
    sources = [{"path": str(mine), "schema": "file", "provider": "command-line"}]
    OmegaConf.save({"hydra": {"runtime": {"config_sources": sources}}}, run / ".hydra" / "hydra.yaml")
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    monkeypatch.setattr("sys.argv", ["train.py"])
    with pytest.raises(UserError, match=f"began with --config-dir={mine}: add that"):
        resume_arguments([f"resume_from={run}"])
    with pytest.raises(UserError, match="chooses no file of conf/embedder: not loaded; mend"):
        allowed(["embedder=own"], "x", "; mend")
    monkeypatch.setattr("sys.argv", ["train.py", f"--config-dir={mine}"])
    assert "embedder=own" in resume_arguments([f"--config-dir={mine}", f"resume_from={run}"])
    assert allowed(["embedder=own"], "x") == ["embedder=own"]
    settings = {"embedder": {"_target_": "own.Net", "width": 3}}
    assert part_config("embedder", {"hyper_parameters": settings}, "x") == settings["embedder"]
    assert resume_command(run) == f"python train.py --config-dir={mine} resume_from={run}"
