"""Command lines as people type them."""

import os
from pathlib import Path

import pytest

from fer_lightning.errors import UserError
from fer_lightning.launch.arguments import translate

HOME = Path.home()


@pytest.mark.parametrize(
    ("verb", "typed", "options"),
    [
        ("predict", ["best.ckpt", "my photos"], ["checkpoint=best.ckpt", "input='my photos'"]),
        ("predict", ["input=a", "best.ckpt"], ["input=a", "checkpoint=best.ckpt"]),
        ("predict", ["photo.jpg", "limit=3"], ["input=photo.jpg", "limit=3"]),
        ("predict", ["checkpoint=best.ckpt", "photo.jpg"], ["checkpoint=best.ckpt", "input=photo.jpg"]),
        ("audit", ["faces"], ["data.root=faces"]),
        ("score", ["a.csv", "seed=1", "my b.csv"], ["seed=1", "predictions=[a.csv,'my b.csv']"]),
        ("app", ["model.onnx"], ["checkpoint=model.onnx"]),
        ("eval", ["a.ckpt", "--cfg", "job", "-p", "data"], ["checkpoint=a.ckpt", "--cfg=job", "-p=data"]),
        ("train", ["--config-dir", "mine", "seed=1"], ["--config-dir=mine", "seed=1"]),
        ("train", ["data.root=~/faces"], [f"data.root={HOME}/faces"]),
        ("train", ["+data.root=~"], [f"+data.root={HOME}"]),
        ("train", ["~callbacks.media", "-m"], ["~callbacks.media", "-m"]),
        ("train", ["classifier.k=None", "miner=None", "-m"], ["classifier.k=null", "miner=None", "-m"]),
        ("train", ["data.root='a=b'"], ["data.root='a=b'"]),
        ("train", [r"data.person=(S\d+)_"], [r"data.person='(S\d+)_'"]),
        ("train", ["data.person='(S)_'", "data.person=None"], ["data.person='(S)_'", "data.person=null"]),
    ],
)
def test_what_is_typed_gets_hydras_words(verb, typed, options):
    assert translate(typed, verb) == options


def test_a_value_too_many_is_refused():
    with pytest.raises(UserError, match=r"^c has no name: .* such as checkpoint=\.\.\. input=\.\.\.$"):
        translate(["a", "b", "c"], "predict")
    with pytest.raises(UserError, match=r"^faces has no name: .* such as data.root=\.\.\.$"):
        translate(["faces"], "train")


def test_a_run_stands_for_its_best_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^latest names the newest run in logs/train, which holds no checkpoint"):
        translate(["checkpoint=latest"], "eval")
    for age, run in enumerate(["logs/train/runs/a", "logs/train/multiruns/s/b", "logs/train/runs/c"]):
        (best := Path(run, "checkpoints/best.ckpt")).parent.mkdir(parents=True)
        best.touch()
        os.utime(best, (100 + age % 2, 100 + age % 2))
    assert translate(["logs/train/runs/a", "x"], "predict")[0] == "checkpoint=logs/train/runs/a/checkpoints/best.ckpt"
    newest = "logs/train/multiruns/s/b/checkpoints/best.ckpt"
    assert translate(["init_from=latest"], "train") == [f"init_from={newest}"]
    assert translate(["latest"], "app") == [f"checkpoint={newest}"]
    assert translate(["checkpoint=logs", "checkpoint=a=b"], "eval") == ["checkpoint=logs", "checkpoint=a=b"]
