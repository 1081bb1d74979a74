"""One model from a checkpoint, a bundle and an ONNX file: equal answers, and one sentence for what is damaged."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fer_lightning import load_model
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.pictures import Batch, scale
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import KEY, Calibration
from fer_lightning.models.network import Network
from fer_lightning.runs.rebuilding import load_module
from fer_lightning.use.bundles import read_checkpoint, write_bundle
from fer_lightning.use.description import FORMAT, Description
from tests.conftest import command

CHOSEN = Calibration(2.0, 0.01, 0.9, 0.99, 0.4, 0.01)


@pytest.fixture(scope="module")
def calibrated(checkpoint, tmp_path_factory) -> Path:
    """The checkpoint as a training of today would write it: with a temperature and thresholds."""
    path = tmp_path_factory.mktemp("calibrated") / "best.ckpt"
    torch.save({**torch.load(checkpoint, weights_only=True), KEY: asdict(CHOSEN)}, path)
    return path


@pytest.fixture(scope="module")
def bundle(checkpoint, tmp_path_factory) -> Path:
    """The bundle of the checkpoint."""
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    write_bundle(folder, *read_checkpoint(checkpoint), card="# card\n")
    return folder


def test_every_kind_of_picture_is_the_same_face(checkpoint, drawn, tmp_path):
    model, face = load_model(checkpoint), drawn[0][3]
    Image.fromarray(face).save(tmp_path / "face.png")
    colour = np.repeat(face[:, :, None], 3, axis=2)
    kinds = [
        face,
        colour,
        Image.fromarray(face),
        Image.fromarray(colour),
        tmp_path / "face.png",
        str(tmp_path / "face.png"),
    ]
    first, *others = model.predict(kinds, batch_size=4)
    for other in others:
        assert (other.label, [*other.votes]) == (first.label, [*first.votes])
        assert [*other.votes.values()] == pytest.approx([*first.votes.values()], abs=1e-5)
    assert tuple(model.classes) == CLASSES == tuple(first.votes)
    assert (model.image_size, first.abstained) == (48, False)
    assert sum(first.votes.values()) == pytest.approx(1, abs=1e-6)
    assert first.confidence == first.votes[first.label] == max(first.votes.values())
    assert len(first.neighbours) == 9
    assert first.neighbours[0] == (
        3,
        "train/3.png",
        CLASSES[drawn[1][3]],
        pytest.approx(1, abs=1e-6),
    )  # the face is in the gallery
    assert first.distance == pytest.approx(0, abs=2e-3)
    assert [one.similarity for one in first.neighbours] == sorted(
        (n.similarity for n in first.neighbours), reverse=True
    )
    assert model.predict([]) == []


def test_lower_level_agrees(checkpoint, drawn):
    model, faces = load_model(checkpoint), drawn[0][:40]
    votes, embeddings = model.votes(faces), model.embed(faces)
    assert (votes.shape, embeddings.shape, votes.dtype) == ((40, 7), (40, 128), np.float32)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    said = model.predict(list(faces))
    np.testing.assert_allclose([[*one.votes.values()] for one in said], votes, atol=1e-4)


@pytest.mark.parametrize("bad", [np.zeros((48, 48)), np.zeros(5, np.uint8), "nowhere.png", b"bytes"])
def test_what_is_no_picture_is_said(checkpoint, bad):
    with pytest.raises(UserError, match="is no picture that can be read: "):
        load_model(checkpoint).predict([bad])


def test_one_picture_instead_of_a_list_is_refused(checkpoint):
    with pytest.raises(UserError, match=r"write predict\(\[picture\]\)"):
        load_model(checkpoint).predict("face.png")


def test_bundle_answers_as_the_checkpoint_without_unpickling(checkpoint, bundle, drawn, monkeypatch):
    expected = load_model(checkpoint).answer(drawn[0])
    monkeypatch.setattr(torch, "load", None)
    for found, wanted in zip(load_model(bundle).answer(drawn[0]), expected, strict=True):
        assert np.array_equal(found, wanted)


def test_every_format_calibrates_votes_and_abstains(checkpoint, calibrated, drawn, tmp_path):
    write_bundle(tmp_path / "bundle", *read_checkpoint(calibrated), card="")
    model, other = load_model(calibrated), load_model(tmp_path / "bundle")
    raw, faces = load_model(checkpoint).votes(drawn[0]), drawn[0]
    powers = np.sqrt(raw + 0.01)
    np.testing.assert_allclose(model.votes(faces), powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
    assert np.array_equal(model.votes(faces).argmax(axis=1), raw.argmax(axis=1))
    far = np.random.default_rng(0).integers(256, size=(9, 48, 48), dtype=np.uint8)  # no faces: none is near
    said = model.predict([*faces, *far])
    assert other.predict([*faces, *far]) == said
    assert [one.abstained for one in said] == [one.confidence < 0.4 or one.distance > 0.01 for one in said]
    assert {one.abstained for one in said[:100]} == {True, False}
    assert all(one.abstained for one in said[100:])
    assert not any(one.abstained for one in load_model(checkpoint).predict(list(faces)))  # from before: it never does
    module = load_module(calibrated)
    with torch.no_grad():
        found = module.predict_step(Batch(scale(torch.from_numpy(faces)), torch.zeros(100), torch.arange(100)), 0)
    np.testing.assert_allclose(found.votes, model.votes(faces), atol=1e-4)
    np.testing.assert_allclose(found.raw_votes, raw, atol=1e-4)
    assert [*map(bool, found.abstained)] == [one.abstained for one in said[:100]]


def test_bundle_needs_no_lightning(bundle, tmp_path):
    line = (
        "import sys, numpy as np; from fer_lightning import load_model; "
        f"said = load_model({str(bundle)!r}).predict([np.zeros((60, 50), np.uint8)]); "
        "print(len(said), sorted({'lightning', 'albumentations', 'timm', 'sklearn'} & set(sys.modules)))"
    )
    done = command(tmp_path, "-c", line)
    assert (done.stdout, done.returncode) == ("1 []\n", 0), done.stderr


def test_onnx_answers_as_the_checkpoint(calibrated, drawn, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    from fer_lightning.use.onnx_model import describe, to_onnx

    network, description = read_checkpoint(calibrated)
    (tmp_path / "model.onnx").write_bytes(describe(to_onnx(network, 48), description))
    other, model = load_model(tmp_path / "model.onnx"), load_model(calibrated)
    found, wanted = other.answer(drawn[0]), model.answer(drawn[0])
    assert np.array_equal(found.labels, wanted.labels)
    np.testing.assert_allclose(found.votes, wanted.votes, atol=1e-4)
    np.testing.assert_allclose(found.similarities, wanted.similarities, atol=1e-5)
    assert (found.neighbours[:, 0] == wanted.neighbours[:, 0]).mean() > 0.95  # others may be equally near
    assert other.description == model.description
    said = [[one.abstained for one in which.predict(list(drawn[0]))] for which in (other, model)]
    assert said[0] == said[1]
    for count in (1, 7, 100):  # any number of faces
        assert other.votes(drawn[0][:count]).shape == (count, 7)
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "model.onnx").read_bytes()[:5000])
    with pytest.raises(UserError, match=r"cut\.onnx \(5,000 bytes\) is no whole ONNX model: "):
        load_model(tmp_path / "cut.onnx")


@pytest.mark.parametrize(("k", "last"), [(60, 4.4), (5, 4.4), (5, 1.7999995)])  # all; some; some of equals
def test_onnx_finds_the_neighbours_that_torch_finds(tmp_path, k, last):
    """Similarities below 0 lie on the same grid in both."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    from fer_lightning.models.knn import KNNClassifier
    from fer_lightning.use.onnx_model import OnnxBackend

    knn = KNNClassifier(k, [], "similarity", 0.1, 3, 2)
    angle = torch.linspace(1.8, last, 50)
    knn.fit(torch.stack([angle.cos(), angle.sin()], dim=1), torch.arange(50) % 3)

    class Search(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.knn = knn

        def forward(self, queries):
            labels, votes, near = self.knn.classify(queries)
            return labels, votes, *near

    queries = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    shapes = {"queries": {0: torch.export.Dim("N", min=1, max=128)}}
    program = torch.onnx.export(Search().eval(), (queries,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    program.save(str(tmp_path / "search.onnx"))
    session = OnnxBackend(str(tmp_path / "search.onnx")).session
    for count in (1, 2):
        found = session.run(None, {session.get_inputs()[0].name: queries[:count].numpy()})
        for one, other in zip(found, Search()(queries[:count]), strict=True):
            np.testing.assert_array_equal(one, other.numpy())
    assert found[3].min() < -0.2


def test_onnx_without_onnxruntime_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(UserError, match=r"an ONNX model needs onnxruntime: pip install -e '\.\[onnx\]'$"):
        load_model(tmp_path / "model.onnx")


def test_classes_and_size_are_the_files_own(tmp_path):
    embedder = {
        "_target_": "fer_lightning.models.resnet.VGG48",
        "embedding_size": 8,
        "widths": [4, 8],
        "convolutions": [1, 1],
        "dropout": 0.0,
    }
    classifier = {
        "_target_": "fer_lightning.models.linear_classifiers.PrototypeClassifier",
        "temperature": 0.1,
        "num_classes": 3,
        "embedding_size": 8,
    }
    network = Network(embedder, classifier, mirrored=False).eval()
    network.classifier.fit(torch.nn.functional.normalize(torch.randn(9, 8), dim=1), torch.arange(9) % 3)
    description = Description(("calm", "contempt", "joy"), 32, embedder, classifier, False, {})
    write_bundle(tmp_path / "bundle", network, description, "")
    model = load_model(tmp_path / "bundle")
    (said,) = model.predict([np.zeros((100, 80), np.uint8)])
    assert (model.image_size, tuple(said.votes)) == (32, ("calm", "contempt", "joy"))
    assert (said.neighbours, said.distance) == (None, None)


def changed(**fields: object):
    def change(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**content, **fields}))

    return change


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def test_damaged_bundles_are_one_sentence(bundle, tmp_path):
    damages = {
        rf"has format {FORMAT + 1}, and this fer_lightning reads up to {FORMAT}: update it": changed(format=FORMAT + 1),
        "is damaged: model.safetensors is not the one that config.json describes": flip,
        r"holds no model\.safetensors": lambda folder: (folder / "model.safetensors").unlink(),
        r"is damaged or no model of fer_lightning": lambda folder: (folder / "config.json").write_text("{"),
        "holds a calibration that no training saves .*temperature": changed(calibration={"temperature": -1.0}),
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


@pytest.mark.parametrize(
    "faces", [np.zeros((0, 48, 48), np.uint8), np.zeros((2, 32, 32), np.uint8), np.zeros((2, 48, 48))]
)
def test_faces_of_another_shape_are_refused(checkpoint, faces):
    with pytest.raises(UserError, match=r"faces are .*, not uint8 of \(N, 48, 48\)"):
        load_model(checkpoint).votes(faces)


def test_what_is_no_model_is_one_sentence(checkpoint, tmp_path):
    with pytest.raises(UserError, match=r"holds no config\.json: give .*best\.ckpt$"):
        load_model(checkpoint.parent.parent)
    for name in ("none.ckpt", "none.onnx", "none"):
        with pytest.raises(UserError, match=rf"checkpoint=.*{name} does not exist: "):
            load_model(tmp_path / name)
