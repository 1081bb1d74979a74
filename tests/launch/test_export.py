"""The command export: a bundle with its card, smaller galleries, and what is refused."""

import shutil
import sys
from functools import partial

import numpy as np
import pytest
import torch

from fer_lightning import load_model
from fer_lightning.runs.checkpoints import KEY


@pytest.fixture
def export(run_here, checkpoint):
    """Run the command."""
    return partial(run_here, "fer_lightning/__main__.py", "export", f"checkpoint={checkpoint}")


def test_command_writes_a_bundle_with_its_card(export, checkpoint, drawn, tmp_path):
    done = export("format=bundle", "output=bundle", "hydra.run.dir=log")
    assert done.code == 0, done.text
    assert done.text.endswith("written: bundle\n")
    lines = done.text.splitlines()
    assert f"reading {checkpoint}" in lines
    assert "writing the bundle, and reading it again to check it" in lines
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert np.array_equal(load_model(tmp_path / "bundle").votes(drawn[0]), load_model(checkpoint).votes(drawn[0]))
    assert load_model(tmp_path / "bundle").description.gallery == tuple(f"train/{number}.png" for number in range(100))
    card = (tmp_path / "bundle/README.md").read_text()
    for words in (
        "| accuracy | 42.5 | 40.0 to 45.0 |",
        "| fear | unknown | 37.5 | unknown |",
        "protocol: honest; its score shows much",
        "what leaks: nothing that was found",
        "The faces were drawn by fer_lightning itself",
        "Article 5(1)(f) of Regulation (EU) 2024/1689",
        'load_model("bundle")',
    ):
        assert words in card, words
    done = export("format=bundle", "output=bundle", "hydra.run.dir=again")
    assert (done.code, "bundle exists already: give another output=" in done.text) == (1, True)


def test_card_has_no_scores_of_another_checkpoint(run_here, checkpoint, tmp_path):
    """Neither of a foreign checkpoint in a run's folder, nor of one that lies two folders above nothing."""
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["classifier.gallery_labels"][0] += 1
    run = shutil.copytree(checkpoint.parents[1], tmp_path / "run")
    torch.save(content, run / "checkpoints" / "last.ckpt")
    for name, known in (("best", True), ("last", False)):
        arguments = (f"checkpoint=run/checkpoints/{name}.ckpt", f"output={name}", "hydra.run.dir=log")
        done = run_here("fer_lightning/__main__.py", "export", "format=bundle", *arguments)
        assert done.code == 0, done.text
        card = (tmp_path / name / "README.md").read_text()
        assert ("| accuracy | 42.5 |" in card, "protocol: honest" in card) == (known, known)
        assert ("Not known: the checkpoint does not lie in the folder of a run that tested it" in card) == (not known)


def test_smaller_gallery_comes_with_its_cost(export, tmp_path):
    done = export("gallery=kmeans", "gallery.size=14", "output=small", "hydra.run.dir=log", "paths.cache_dir=cache")
    assert done.code == 0, done.text
    assert "gallery=kmeans: 14 vectors in place of 100, k=" in done.text
    card = (tmp_path / "small/README.md").read_text()
    assert "Of the network before its export changed it; what that cost stands below.\n\n| on the test faces" in card
    cost = next(line for line in card.splitlines() if "gallery=kmeans" in line)
    assert " % of 50 test faces" in cost
    small = load_model(tmp_path / "small")
    assert small.description.changes[0] in cost
    assert small.description.gallery == ()  # means are no faces
    done = export("checkpoint=small", "half=true", "output=half", "hydra.run.dir=again", "paths.cache_dir=cache")
    assert done.code == 0, done.text
    for model in (small, load_model(tmp_path / "half")):
        assert model.tested.endswith(" % of 50 test faces, honest")
    done = export("protocol=kfold", "half=true", "output=other", "hydra.run.dir=third", "paths.cache_dir=cache")
    assert done.code == 0, done.text
    assert load_model(tmp_path / "other").tested.endswith(" test faces, leaky")  # some of another split trained it


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["format=tflite"], "format=tflite must be one of bundle, onnx"),
        (["int8=true"], "int8=true needs format=onnx"),
        (["half=true", "format=onnx"], "half=true needs format=bundle"),
        (["format=onnx", "output=net"], "output=net must end in .onnx with format=onnx"),
        (["output=x.ONNX"], "output=x.ONNX must end in .onnx with format=onnx, and must not with format=bundle"),
        (["format=onnx", "output=notes.onnx"], "notes.md exists already: give another output=, or delete it"),
        (["gallery=random"], "gallery=random does not exist: use one of full, kmeans"),
    ],
)
def test_mistake_is_one_sentence(export, tmp_path, arguments, words):
    (tmp_path / "notes.md").touch()
    done = export(*arguments, "hydra.run.dir=log")
    assert (done.code, "Traceback" in done.text) == (1, False)
    assert words in done.text.splitlines()[-1]


def test_options_of_a_checkpoint_are_checked(run_here, checkpoint, tmp_path):
    """Refuse those of the checkpoint itself; draw no faces by those of an earlier training."""
    content = torch.load(checkpoint, weights_only=True)
    huge, brings = ["data.drawn.count=1000000000"], "brings options that cannot be: data.drawn.count=1000000000 must be"
    content[KEY]["past"] = [{"name": "init_from=old.ckpt", "overrides": huge, "data_fingerprint": "f" * 64}]
    torch.save(content, tmp_path / "past.ckpt")
    content[KEY]["overrides"] += huge
    torch.save(content, tmp_path / "bad.ckpt")
    arguments = ("fer_lightning/__main__.py", "export", "gallery=kmeans", "gallery.size=14", "output=out")
    done = run_here(*arguments, "checkpoint=bad.ckpt", "hydra.run.dir=log")
    assert done.code == 1
    assert f"error: checkpoint=bad.ckpt {brings}" in done.text.splitlines()[-1]
    done = run_here(*arguments, "checkpoint=past.ckpt", "hydra.run.dir=again", "paths.cache_dir=cache")
    assert done.code == 0, done.text
    assert f"they are not at hand: init_from=old.ckpt {brings}" in done.text


def test_missing_extra_is_named(export, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = export("format=onnx", "hydra.run.dir=log")
    assert (done.code, done.text.splitlines()[-1]) == (1, "error: format=onnx needs onnx: pip install -e '.[onnx]'")
