"""A bundle answers as its checkpoint, without Lightning or pickle; a damaged one is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_lightning import load_model
from fer_lightning.errors import UserError
from fer_lightning.runs.checkpoints import KEY
from fer_lightning.runs.description import FORMAT
from fer_lightning.runs.rebuilding import _draft
from fer_lightning.use.bundles import read_checkpoint, write_bundle
from tests.conftest import command


@pytest.fixture(scope="module")
def bundle(checkpoint, tmp_path_factory) -> Path:
    """The bundle of the checkpoint."""
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    write_bundle(folder, *read_checkpoint(checkpoint), card="# card\n")
    return folder


def test_bundle_answers_as_the_checkpoint_without_unpickling(checkpoint, bundle, drawn, monkeypatch):
    expected = load_model(checkpoint).answer(drawn[0])
    monkeypatch.setattr(torch, "load", None)
    for found, wanted in zip(load_model(bundle).answer(drawn[0]), expected, strict=True):
        assert np.array_equal(found, wanted)


def test_bundle_needs_no_lightning(bundle, tmp_path):
    line = (
        "import sys, numpy as np; from fer_lightning import load_model; "
        f"said = load_model({str(bundle)!r}).predict([np.zeros((60, 50), np.uint8)]); "
        "print(len(said), sorted({'lightning', 'albumentations', 'timm', 'sklearn'} & set(sys.modules)))"
    )
    done = command(tmp_path, "-c", line)
    assert (done.stdout, done.returncode) == ("1 []\n", 0), done.stderr


def changed(**fields: object):
    def change(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        del content["origin"]["model"]  # as in a bundle from before it
        (folder / "config.json").write_text(json.dumps({**content, **fields}))

    return change


def test_shapes_are_compared_before_memory_is_taken(checkpoint):
    _, description = read_checkpoint(checkpoint)
    draft = _draft({"embedder": description.embedder, "classifier": description.classifier}, mirrored=True)
    assert all(tensor.is_meta for tensor in draft.parameters())


def test_a_checkpoint_without_the_size_of_its_faces_is_refused(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    del content[KEY]["image_size"]
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=r"checkpoint=.*a\.ckpt is damaged: it names no image_size"):
        read_checkpoint(tmp_path / "a.ckpt")


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def test_a_flipped_bit_of_the_description_is_refused(bundle, tmp_path):
    text = (bundle / "config.json").read_bytes()
    (tmp_path / "model.safetensors").symlink_to(bundle / "model.safetensors")
    (tmp_path / "config.json").write_bytes(text.replace(b"\n", b"\r\n"))
    assert load_model(tmp_path).description == load_model(bundle).description
    for place in range(0, len(text), len(text) // 40):
        (tmp_path / "config.json").write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        with pytest.raises(UserError, match="is damaged"):
            load_model(tmp_path)


def test_damaged_bundles_are_one_sentence(bundle, tmp_path):
    damages = {
        rf"has format {FORMAT + 1}, and this fer_lightning reads up to {FORMAT}: update it": changed(format=FORMAT + 1),
        r"is damaged: the hash in config\.json does not fit the two files; export it again": flip,
        "is damaged: model.safetensors is not the one that config.json describes": lambda folder: (
            changed()(folder),
            flip(folder),
        ),
        "is damaged .*mirrored is no bool": changed(mirrored="x"),
        "is damaged .*overrides are no list of texts": changed(overrides="seed=1"),
        "is damaged .*classes, changes, origin and gallery are texts": changed(gallery=5),
        r"holds no model\.safetensors": lambda folder: (folder / "model.safetensors").unlink(),
        r"is damaged or no model of fer_lightning": lambda folder: (folder / "config.json").write_text("{"),
        "holds a calibration that no training saves .*temperature": changed(calibration={"temperature": -1.0}),
        "temperature and smoothing belong together": changed(calibration={"temperature": 1.0}),
        "accuracy_reachable is missing": changed(calibration={"temperature": 1.0, "smoothing": 0.2, "accuracy": 0.9}),
        "answered is missing": changed(
            calibration={"temperature": 1.0, "smoothing": 0.2, "accuracy": 0.9, "confidence": 0.5}
        ),
        "image_size is 47 pixels, and 48 of the embedder": changed(image_size=47),
        "image_size is no int": changed(image_size=True),
        "image_size is 1 to 1024 pixels": changed(image_size=0),
        "is damaged .*classes are different names": changed(classes=["a", "a"]),
        "is damaged: it names 3 classes, and its classifier votes for 7": changed(classes=["a", "b", "c"]),
        "says of its embedder what could run code": changed(embedder={"_target_": "os.system", "command": "false"}),
        "makes no network": changed(mirrored=False, classifier={"_target_": "fer_lightning.models.knn.KNNClassifier"}),
    }
    for number, (words, damage) in enumerate(damages.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in bundle.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        damage(folder)
        with pytest.raises(UserError, match=words):
            load_model(folder)
