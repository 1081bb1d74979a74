"""One model from a checkpoint, a bundle and an ONNX file: equal answers, and one sentence for what is damaged."""

import re
from itertools import count

import numpy as np
import pytest
import torch
from PIL import Image

from fer_lightning import load_model
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.pictures import Batch, scale
from fer_lightning.errors import UserError
from fer_lightning.runs.checkpoints import KEY
from fer_lightning.runs.rebuilding import load_module
from fer_lightning.runs.record import read_record
from fer_lightning.use.bundles import in_words, read_checkpoint, write_bundle
from fer_lightning.use.detectors import cut
from tests.data.sources import ARCHIVE
from tests.use.photos import PLACES, Eyes


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


def test_photo_is_analyzed_face_by_face(checkpoint, drawn, onto, tmp_path):
    model = load_model(checkpoint, detector=Eyes())
    photo = onto((220, 120), PLACES[0][:3], PLACES[1][:3])
    photo.save(tmp_path / "photo.png")
    faces = model.analyze(tmp_path / "photo.png")
    assert [face.box for face in faces] == list(PLACES)
    assert faces == model.analyze(photo) == model.analyze(np.asarray(photo))
    assert [face.label for face in faces] == [face.label for face in model.predict([cut(photo, box) for box in PLACES])]
    assert (faces[0].face.shape, faces[0].embedding.shape) == ((48, 48), (128,))
    assert model.analyze(onto((90, 90))) == []
    whole = load_model(checkpoint)
    assert whole.analyze(drawn[0][3]) == whole.predict([drawn[0][3]])
    with pytest.raises(UserError, match=r"nowhere\.png is no picture that can be read: No such file"):
        model.analyze("nowhere.png")


def test_model_introduces_itself(checkpoint, tmp_path):
    model, size = load_model(checkpoint), checkpoint.stat().st_size / 1e6
    classes = "7 classes (angry, disgust, fear, happy, neutral, sad, surprise)"
    faces = (
        "accuracy 42.5 % of 8 test faces, honest; faces of 48 x 48 pixels; "
        "each picture is taken as one face (detector=none)"
    )
    assert repr(model) == f"Model({checkpoint}, {size:.1f} MB; {classes}; {faces})"
    network, description = read_checkpoint(checkpoint)
    write_bundle(tmp_path / "bundle", network, description, card="")
    text = repr(load_model(tmp_path / "bundle", Eyes()))
    assert "bundle, 0." in text or "bundle, 1." in text
    assert text.endswith("8 test faces, honest; faces of 48 x 48 pixels; faces found by Eyes)")
    torch.save({**torch.load(checkpoint, weights_only=True)}, tmp_path / "moved.ckpt")  # its run is not there
    assert "; accuracy not known; " in repr(load_model(tmp_path / "moved.ckpt"))


def test_lower_level_agrees(checkpoint, drawn):
    model, faces = load_model(checkpoint), drawn[0][:40]
    votes, embeddings = model.votes(faces), model.embed(faces)
    assert (votes.shape, embeddings.shape, votes.dtype) == ((40, 7), (40, 128), np.float32)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    said = model.predict(list(faces))
    np.testing.assert_allclose([[*one.votes.values()] for one in said], votes, atol=1e-4)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((48, 48)),
        np.zeros(5, np.uint8),
        np.zeros((0, 9), np.uint8),
        Image.new("L", (5, 0)),
        "nowhere.png",
        b"bytes",
    ],
)
def test_what_is_no_picture_is_said(checkpoint, bad):
    with pytest.raises(UserError, match="is no picture that can be read: "):
        load_model(checkpoint).predict([bad])


@pytest.mark.parametrize("picture", ["face.png", np.zeros((48, 48), np.uint8), np.zeros((48, 48, 3), np.uint8)])
def test_one_picture_instead_of_a_list_is_refused(checkpoint, picture):
    with pytest.raises(UserError, match=r"write predict\(\[picture\]\)"):
        load_model(checkpoint).predict(picture)


def test_iterator_of_frames_is_read_one_batch_ahead(checkpoint, drawn):
    model, read = load_model(checkpoint), []

    def film():  # it never ends
        for number in count():
            read.append(number)
            face = drawn[0][number % 5]
            yield face if number % 2 else np.repeat(face[:, :, None], 3, axis=2)

    predictions = model.predict(film(), batch_size=3)
    assert read == []
    ahead = [(next(predictions), len(read)) for _ in range(7)]
    assert [number for _, number in ahead] == [3, 3, 3, 6, 6, 6, 9]
    expected = model.predict(drawn[0][:5])
    assert [prediction.label for prediction, _ in ahead] == [expected[number % 5].label for number in range(7)]
    assert ahead[1][0].votes == pytest.approx(expected[1].votes, abs=1e-5)


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


def test_no_faces_give_empty_answers(checkpoint):
    answers = load_model(checkpoint).answer(np.zeros((0, 48, 48), np.uint8))
    assert [values.shape for values in answers] == [(0,), (0, 7), (0, 128), (0, 9), (0, 9), (0, 9)]


def test_network_that_gives_no_numbers_is_refused(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    for name, tensor in content["state_dict"].items():
        if name.endswith("running_var"):
            tensor.fill_(-1)
    torch.save(content, tmp_path / "negative.ckpt")
    with pytest.raises(UserError, match=r"negative\.ckpt is damaged or no model of fer_lightning: its .* are outside"):
        load_model(tmp_path / "negative.ckpt")


@pytest.mark.parametrize(
    "faces", [np.zeros((0, 32, 32), np.uint8), np.zeros((2, 32, 32), np.uint8), np.zeros((2, 48, 48))]
)
def test_faces_of_another_shape_are_refused(checkpoint, faces):
    with pytest.raises(UserError, match=r"faces are .*, not uint8 of \(N, 48, 48\)"):
        load_model(checkpoint).votes(faces)


def test_what_is_no_model_is_one_sentence(checkpoint, tmp_path):
    with pytest.raises(UserError, match=r"is a folder: in it are checkpoints/best\.ckpt$"):
        load_model(checkpoint.parent.parent)
    for name in ("none.ckpt", "none.onnx", "none"):
        with pytest.raises(UserError, match=rf"checkpoint=.*{name} does not exist: "):
            load_model(tmp_path / name)


def test_a_classifier_of_a_part_of_the_faces_says_so(checkpoint, tmp_path, caplog):
    content = torch.load(checkpoint, weights_only=True)
    content[KEY]["draw"] = "the classifier is fitted on 8 of 100 training faces"
    torch.save(content, tmp_path / "part.ckpt")
    load_model(checkpoint)
    assert not caplog.records
    load_model(tmp_path / "part.ckpt")
    assert caplog.messages == [f"checkpoint={tmp_path / 'part.ckpt'}: {content[KEY]['draw']}"]


def test_the_packages_own_network_answers(drawn):
    model = load_model()
    files = {file.name: file.stat().st_size for file in model.path.iterdir()}
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    assert sum(files.values()) <= 5_000_000
    assert (model.source, tuple(model.classes), model.image_size) == ("checkpoint=pretrained", CLASSES, 48)
    assert re.fullmatch(r"accuracy \d\d\.\d % of [\d,]+ test faces, honest", model.tested)
    assert not any("/" in option for option in model.description.overrides)
    votes = model.votes(drawn[0][:8])
    assert np.allclose(votes.sum(axis=1), 1, atol=1e-5)
    assert len({prediction.label for prediction in model.predict(list(drawn[0]))}) > 1
    card = (model.path / "README.md").read_text()
    for words in ("| happy |", "## Under stress", "gallery=kmeans", "half=true", "Not for decisions about people"):
        assert words in card, words
    assert "Not known" not in card


@pytest.mark.real_faces
@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"needs {ARCHIVE}")
def test_the_packages_own_network_scores_what_it_says(run_here, tmp_path):
    done = run_here("eval.py", "checkpoint=pretrained", f"data.root={ARCHIVE}", "~callbacks.media", "hydra.run.dir=out")
    assert done.code == 0, done.text
    record = read_record(tmp_path / "out")
    assert load_model().tested == in_words(record.figures["test/accuracy"], record.test_faces, record.leaks)
