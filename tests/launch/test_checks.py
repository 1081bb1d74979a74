"""Options that cannot work together are refused before torch is imported."""

import pytest
from omegaconf import open_dict

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError, install_command
from fer_lightning.launch import checks
from fer_lightning.launch.checks import check, check_secrets
from tests.conftest import SMALL, make_tree, raising

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


def test_only_an_option_is_a_secret():
    check_secrets(["photos/secret", "--config-dir", "my/token"])
    with pytest.raises(UserError, match="api_key would be written"):
        check_secrets(["logger.wandb.api_key=1"])


@pytest.mark.parametrize(
    ("option", "module"),
    [("logger=mlflow", "mlflow"), ("callbacks=umap", "umap"), ("data.root=kaggle", "kagglehub")],
)
def test_a_missing_extra_is_named_before_torch(make_cfg, monkeypatch, option, module):
    cfg = make_cfg(option)
    with open_dict(cfg):
        del cfg["hydra"]
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name == module else name)
    with pytest.raises(UserError) as refused:
        check(cfg, "train")
    assert str(refused.value) == f"{option} needs {module}: {install_command(option.partition('=')[2])}"


def test_faces_are_refused_by_their_names(tmp_path, refusal, monkeypatch):
    """No picture is opened, and torch is not imported for it."""
    monkeypatch.setattr("fer_lightning.data.readers.open_upright", raising(AssertionError()))
    tree, table = make_tree(tmp_path / "faces", faces=1), tmp_path / "labels.csv"
    assert refusal(f"data.root={tree}", f"data.classes=[{','.join(CLASSES)}]") is None
    assert "lacks the class folders test/angry" in refusal(f"data.root={tree}", "data.classes=[a,b]")
    assert "no face of test/x; train/x" in refusal(f"data.root={tree}", f"data.classes=[{','.join(CLASSES)},x]")
    assert "has 1 class: 2 to 40 are needed" in refusal(f"data.root={tree}", "data.classes=[angry]")
    assert "draws faces of seven classes: leave it out" in refusal("data.classes=[a,b]")
    (tree / "test/fear/0.png").unlink()
    assert "holds no face of test/fear" in refusal(f"data.root={tree}")
    for name in CLASSES:
        (tree / "test" / name / "PublicTest_0.png").touch()
        (tree / "test" / name / "PrivateTest_0.png").touch()
    assert refusal(f"data.root={tree}") is None  # two splits in each folder
    (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8bxx")
    assert "is no whole tar archive" in refusal(f"data.root={tmp_path}/cut.tar.gz")
    table.write_text("path,label\na.jpg,happy\n")
    assert "has the columns path, label" in refusal(f"data.root={table}")


def test_a_deleted_current_folder_is_named(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UserError, match="the current folder was deleted: change into one that exists"):
        checks.check_current_folder()
