"""The catalogue of faults: each is built, a command runs into it, and its exit code and words are asserted.

What each does here and where it is tested stands in docs/faults.md; a test below holds that table complete.
"""

import errno
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image

from fer_lightning.data.datamodule import TrainingPictures
from fer_lightning.errors import UserError
from fer_lightning.runs.checkpoints import load
from tests.conftest import ROOT, make_tree, options, raising

TINY = options("small", "brief", "plain")
FAST = options("small", "plain", "debug=fast")


@pytest.mark.parametrize(
    ("number", "arguments", "words"),
    [
        (4, ["trainer=gpu"], ["trainer=cpu", "trainer=auto", "torch 2"]),
        (
            15,
            ["data.root=nowhere"],
            ["data.root=nowhere", "/nowhere", "train,validation", "data.root=null"],
        ),
        (29, ["data.root=a=b.zip"], ["data.root=a=b.zip", "quote"]),
        (
            69,
            ["optimizer=adam,sgd"],
            ["optimizer=adam,sgd", "add -m", "(python train.py -m optimizer=adam,sgd)"],
        ),
        (69, ["optimizer=3"], ["optimizer=3", "adam, adamw, rmsprop, sgd"]),
        (69, ["data.bach_size=3"], ["did you mean data.batch_size"]),
        (69, ["++foo=1"], ["foo is no option"]),
        (69, ["seed=[[["], ["seed=[[[", "quote"]),
        (101, ["trainer.reload_dataloaders_every_n_epochs=2"], ["every_n_epochs=2", "other batches"]),
    ],
)
def test_option_is_refused_in_one_sentence(refusal, number, arguments, words):
    """Before any library is loaded. That a command ends with such a sentence is tried in test_entry."""
    sentence = refusal(*arguments) or ""
    assert "\n" not in sentence
    for word in words:
        assert word in sentence, f"fault {number}: {sentence}"


@pytest.mark.parametrize(
    ("number", "arguments", "words"),
    [
        (43, [*FAST, "data.batch_size=4000"], ["data.batch_size=4000", "268 training pictures", "smaller"]),
        (43, [*TINY, "trainer.val_check_interval=3000"], ["val_check_interval", "3000", "training batches"]),
        (69, ["+trainer.max_epoch=1"], ["max_epoch"]),
        (40, ["+augmentation.transforms.0.foo=1"], ["Rotate", "'foo'", "limit, interpolation, border_mode"]),
    ],
)
def test_option_is_refused_by_the_faces_or_a_library(run_here, number, arguments, words):
    done = run_here("train.py", *arguments)
    assert done.code == 1, done.text
    assert "Traceback" not in done.text
    *_, sentence = done.text.splitlines()
    assert sentence.startswith("error: ")
    for word in words:
        assert word in sentence, f"fault {number}: {sentence}"


def test_what_is_put_right_or_warned_of_is_counted(tmp_path, run_here):
    """Faults 18, 20, 21, 24, 25, 26, 27 and 28 in one folder; the run goes on and says each."""
    root = make_tree(tmp_path / "faces", faces=9)
    (root / "train" / "happy").rename(root / "train" / "Happiness")
    for k in range(1, 9):
        (root / "train" / "disgust" / f"{k}.png").unlink()
    cut = root / "train" / "sad" / "0.png"
    cut.write_bytes(cut.read_bytes()[:-800])
    (root / "train" / "sad" / "gone.png").symlink_to(tmp_path / "gone.png")
    Image.open(root / "train" / "fear" / "0.png").convert("RGBA").save(root / "train" / "fear" / "0.png")
    (root / "train" / "fear" / "Thumbs.db").write_bytes(b"x")
    (root / "test" / "sad" / "leak.png").write_bytes((root / "train" / "angry" / "1.png").read_bytes())
    done = run_here("train.py", "data.root=faces", *TINY, "hydra.run.dir=run", "protocol.validation_share=0.2")
    assert done.code == 0, done.text
    for words in (
        "Pictures of folder Happiness read as happy: 9",
        "disgust has 0 training face",  # its only one validates
        "2 unreadable: train/sad/0.png: ",
        "train/sad/gone.png: No such file",
        "Pictures converted from RGBA to 8-bit grey: 1",
        "Files that are hidden or no pictures ignored (train/fear/Thumbs.db): 1",
        "1 group of identical twins (2 pictures, 1 group with contradictory labels)",
        "1 training face removed because a copy is in the test set",
    ):
        assert words in done.text, words
    assert (tmp_path / "run" / "bad_images.csv").read_text().count("\n") == 3


@pytest.mark.parametrize("option", ["hydra.run.dir=in_the_way/run", "hydra.run.dir=in_the_way"])
def test_output_folder_that_cannot_be_made(tmp_path, run_here, option):
    """Fault 13."""
    (tmp_path / "in_the_way").write_text("a file")
    done = run_here("train.py", option, *FAST)
    assert done.code == 1, done.text
    for word in ("in_the_way", "hydra.run.dir", "paths.output_dir"):
        assert word in done.text.splitlines()[-1]


def test_output_folder_without_permission(run_here, monkeypatch):
    """Fault 13, for root too."""
    monkeypatch.setattr(Path, "mkdir", raising(PermissionError(errno.EACCES, "Permission denied", "/srv/run")))
    done = run_here("train.py", "hydra.run.dir=/srv/run")
    assert done.code == 1
    assert "/srv/run cannot be opened or written (Permission denied): choose another hydra.run.dir" in done.text


@pytest.mark.long
def test_killed_and_hanging_workers(run_here, monkeypatch):
    """Faults 6 and 7: a worker dies of a bus error as with a full /dev/shm; another never answers."""
    monkeypatch.setattr(TrainingPictures, "pixels", lambda *_: os.kill(os.getpid(), signal.SIGBUS))
    # A death that comes just as the training process begins to wait is seen when that wait is over.
    done = run_here("train.py", *TINY, "data.num_workers=1", "data.worker_timeout=20")
    assert done.code == 1, done.text
    assert "data.num_workers=0" in done.text.splitlines()[-1]
    assert "--shm-size" in done.text.splitlines()[-1]
    monkeypatch.setattr(TrainingPictures, "pixels", lambda *_: signal.pause())
    done = run_here("train.py", *TINY, "data.num_workers=1", "data.worker_timeout=1")
    assert done.code == 1, done.text
    assert "no batch came for 1 seconds" in done.text.splitlines()[-1]
    assert "data.worker_timeout" in done.text.splitlines()[-1]


def test_pretrained_weights_without_a_network(monkeypatch, run_here):
    """Fault 10."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    done = run_here("train.py", "embedder=timm", "embedder.pretrained=true", *FAST)
    assert done.code == 1, done.text
    for word in ("resnet10t", "embedder.pretrained=false", "embedder.checkpoint_path"):
        assert word in done.text.splitlines()[-1]


@pytest.mark.parametrize(
    "error",
    [AssertionError("Input height (48) doesn't match"), RuntimeError("Kernel size can't be greater"), ValueError("x")],
)
def test_backbone_that_is_too_deep(monkeypatch, run_here, error):
    """Fault 11; inception_v3 itself is tried in test_embedders."""
    import timm

    monkeypatch.setattr(timm.create_model("test_resnet").__class__, "forward", raising(error))
    done = run_here("train.py", "embedder=timm", "embedder.model_name=test_resnet", *FAST)
    assert done.code == 1, done.text
    assert "embedder.model_name=test_resnet does not fit 48 x 48 pixels: try resnet10t" in done.text.splitlines()[-1]


def test_overflow_of_half_precision_stays_out_of_the_distances(make_cfg):
    """Fault 48: miner and loss see float32 under any precision; the GradScaler's skips need CUDA to be seen."""
    from hydra.utils import instantiate

    cfg = make_cfg("debug=fast", "trainer.precision=bf16-mixed")
    trainer, model, datamodule = (instantiate(node) for node in (cfg.trainer, cfg.model, cfg.data))
    seen = []
    model.loss.register_forward_pre_hook(lambda loss, inputs: seen.append(inputs[0].dtype))
    trainer.fit(model, datamodule)
    assert seen == [torch.float32]
    assert torch.isfinite(trainer.callback_metrics["train/loss"])


def test_sanity_check_and_an_empty_gallery(run_here):
    """Fault 49: a sanity check does no harm; k beyond the gallery and an empty gallery are tried in test_knn."""
    done = run_here("train.py", *TINY, "trainer.num_sanity_val_steps=1", "classifier.k=100000")
    assert done.code == 0, done.text
    assert "exceeds the gallery of 134 faces" in done.text


def test_validation_metrics_are_never_nan(make_cfg):
    """Fault 52: not even with classes that nobody showed or predicted."""
    from hydra.utils import instantiate

    metrics = instantiate(make_cfg().model).val_metrics
    metrics.update(torch.zeros(5, dtype=torch.int64), torch.full((5,), 3))
    assert all(value.isfinite() for value in metrics.compute().values())


def test_damaged_checkpoint_is_named_with_its_neighbours(tmp_path, run_here):
    """Fault 59: empty, truncated, foreign, missing, an address."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save({"fer_lightning": {"overrides": [], "version": "0.1.0"}, "x": torch.zeros(9999)}, folder / "last.ckpt")
    (folder / "empty.ckpt").touch()
    (folder / "cut.ckpt").write_bytes((folder / "last.ckpt").read_bytes()[:9000])
    torch.save({"state_dict": {}}, folder / "foreign.ckpt")
    for name in ("empty", "cut", "foreign", "missing"):
        with pytest.raises(UserError, match=rf"checkpoint=.*{name}\.ckpt .*beside it are.* last\.ckpt") as refusal:
            load(str(folder / f"{name}.ckpt"), "checkpoint")
        assert ("bytes) is damaged or no fer_lightning checkpoint" in str(refusal.value)) == (name != "missing")
    for place in ("checkpoints/cut.ckpt", "http://127.0.0.1/best.ckpt"):
        done = run_here("eval.py", f"checkpoint='{place}'", *options("small"))
        assert done.code == 1
        assert f"error: checkpoint={place}" in done.text


def test_table_of_faults_names_tests_that_exist():
    rows = re.findall(r"^\| (\d[\d, ]*) \|(.*)\|(.*)\|$", (ROOT / "docs" / "faults.md").read_text(), re.MULTILINE)
    numbers = [number for cell, *_ in rows for number in cell.split(", ")]
    assert len(set(numbers)) == len(numbers) > 100  # a number is a name: rows may come and go
    files = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    for cell, _, tests in rows:
        for name in re.findall(r"`([\w/.]+)`", tests):
            found = ROOT / name in files or any(path.stem == name or f"def {name}(" in files[path] for path in files)
            assert found, f"fault {cell} names {name}"
