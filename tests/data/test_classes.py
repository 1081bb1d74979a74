"""Faces with other classes than FER2013's, in colour and of other sizes, from the folders to the exported model."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fer_lightning import load_model
from fer_lightning.config.values import check_values
from fer_lightning.data.classes import arrange, check_same, class_of, classes_of, wrong_names
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.layouts import find_classes
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError
from fer_lightning.report.statistics import confusion_of
from fer_lightning.runs.record import read_run
from tests.conftest import options, train

EIGHT = (*CLASSES, "contempt")
THREE = ("calm", "joy", "rage")
FOLDERS = ("Anger", "disgust", "fear", "happy", "neutral", "sadness", "surprise", "Contempt")


def write_faces(
    root: Path, folders: tuple[str, ...], faces: int = 4, splits: tuple[str, ...] = ("train", "test")
) -> Path:
    """Write colour pictures of 70 to 99 pixels, red where the class is an odd one."""
    random = np.random.default_rng(0)
    for split in splits:
        for label, name in enumerate(folders):
            (root / split / name).mkdir(parents=True)
            for number in range(faces):
                pixels = random.integers(
                    256, size=(random.integers(70, 100), random.integers(70, 100), 3), dtype=np.uint8
                )
                pixels[..., 1:] //= 1 + label % 2
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


def test_known_names_come_first_and_keep_their_spelling():
    assert arrange(FOLDERS) == EIGHT
    assert arrange(("Zeal", "2", "Sadness", "fear", "calm")) == ("fear", "sad", "2", "calm", "zeal")
    assert [class_of(name, EIGHT) for name in ("Anger", "CONTEMPT", "calm")] == ["angry", "contempt", None]
    assert class_of("Anger", ("anger", "joy")) == "anger"  # a given name before a known spelling


def test_classes_are_found_without_reading_pictures(tmp_path):
    root = write_faces(tmp_path / "faces", FOLDERS, 1)
    (root / "train" / "empty").mkdir()
    for path in root.glob("*/Contempt/*"):
        path.write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for path in root.rglob("*.png"):
            archive.write(path, f"data/{path.relative_to(root)}")
    (tmp_path / "faces.csv").touch()
    (tmp_path / "broken.zip").write_bytes(b"PK")
    assert find_classes(str(root)) == find_classes(str(tmp_path / "faces.zip")) == EIGHT
    for other in (None, "kaggle", str(tmp_path / "faces.csv"), str(tmp_path / "broken.zip"), str(tmp_path / "none")):
        assert find_classes(other) == CLASSES


def test_labels_follow_given_names_and_so_does_what_is_kept(tmp_path):
    root = str(write_faces(tmp_path / "faces", THREE, 1))
    found = read_faces(root, str(tmp_path / "cache"), {}, 48)
    given = read_faces(root, str(tmp_path / "cache"), {}, 48, ["rage", "calm", "joy"])
    assert (found.classes, given.classes) == (THREE, ("rage", "calm", "joy"))
    for faces in (found, given):
        assert [faces.classes[label] for label in faces.labels] == [name.split("/")[1] for name in faces.names]
    assert found.fingerprint != given.fingerprint
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert read_faces(root, str(tmp_path / "cache"), {}, 48).fingerprint == found.fingerprint


def test_numbers_of_a_csv_are_those_of_the_given_names(tmp_path):
    pixels = " ".join(["7"] * 48**2)
    rows = [f"{number},{pixels},{usage}" for usage in ("Training", "PrivateTest") for number in range(8)]
    path = tmp_path / "eight.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]))
    names = [str(number) for number in range(8)]
    faces = read_faces(str(path), str(tmp_path), {}, 48, names)
    assert (faces.classes, faces.labels[:8].tolist()) == (tuple(names), list(range(8)))
    with pytest.raises(UserError, match="row 8: emotion '7', allowed: 0, 1, 2, 3, 4, 5, 6"):
        read_faces(str(path), str(tmp_path), {}, 48)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["happy"], "1 class: 2 to 40 are needed"),
        (["happy", "a/b"], "the class 'a/b', which cannot name files, .* such as a_b$"),
        (["happy", "Very Sad"], "the class 'Very Sad', .* such as very_sad$"),
        (["happy", ",,"], "such as other$"),
        (["joy", "Joy"], "two classes of one name"),
        (["joy", "calm"], r"data\.classes=\[joy,calm\] lacks the class folders test/rage; train/rage; add their names"),
        ([*THREE, "awe"], "holds no face of test/awe; train/awe; each split needs all of calm, joy, rage, awe"),
    ],
)
def test_names_that_cannot_be_are_refused(tmp_path, names, words):
    root = write_faces(tmp_path / "faces", THREE, 1)
    with pytest.raises(UserError, match=words):
        read_faces(str(root), str(tmp_path), {}, 48, names)


def test_options_that_do_not_fit_the_classes_are_refused(tmp_path, make_cfg):
    root = write_faces(tmp_path / "faces", THREE, 1)
    mistakes = {
        ("sampler=balanced", "sampler.classes_per_batch=4"): "sampler.classes_per_batch=4 must be .* the 3 classes",
        ("classifier.num_classes=7",): r"classifier.num_classes=7 must be the number of classes, 3$",
        ("loss=softmax_triplet", "loss.losses.0.num_classes=7"): r"loss.losses.0.num_classes=7 must be .* 3$",
        ("objective=val/f1_happy",): "objective=val/f1_happy must be a metric",
        ("data.classes=[1,2,3]",): r"data.classes.*=1 must be|data.classes=\[1,2,3\] must be a list of names",
    }
    for given, words in mistakes.items():
        with pytest.raises(UserError, match=words):
            check_values(make_cfg(f"data.root={root}", *given), "train")
    (root / "train" / "joy").rename(root / "train" / "much joy")
    with pytest.raises(UserError, match=r"data\.root=.* has the class 'much joy', which cannot .* such as much_joy"):
        check_values(make_cfg(f"data.root={root}"), "train")
    with pytest.raises(UserError, match=r"data\.root=null draws faces of seven"):
        read_faces(None, str(tmp_path), {}, 48, ["joy", "calm"])


def test_three_classes_of_other_names_train(tmp_path, make_cfg):
    root = write_faces(tmp_path / "faces", ("joy", "Calm", "rage"), 8)
    tiny = [option for option in options("tiny") if not option.startswith(("data.batch", "sampler", "loss"))]
    given = (
        "sampler=balanced",
        "classifier=linear",
        "loss=softmax",
        "data.classes=[joy,calm,rage]",
        "~callbacks.media",
    )
    trainer = train(make_cfg(f"data.root={root}", *tiny, *given, "trainer.max_epochs=1"))
    logged = {name for name in trainer.callback_metrics if name.startswith("val/f1_")}
    assert logged == {"val/f1_joy", "val/f1_calm", "val/f1_rage"}
    assert trainer.lightning_module.classifier.weight.shape == (3, 128)
    saved = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=True)
    assert classes_of(saved["fer_lightning"], "it") == ("joy", "calm", "rage")
    assert saved["hyper_parameters"]["classes"] == ["joy", "calm", "rage"]


@pytest.mark.long
def test_eight_classes_in_colour_train_score_report_and_export(tmp_path, run_here):
    """At 64 pixels, from pictures of other sizes."""
    write_faces(tmp_path / "faces", FOLDERS)
    write_faces(tmp_path / "others", (*FOLDERS[:7], "Awe"))
    tiny = options("small", "tiny", "data.batch_size=16", "sampler.classes_per_batch=8", "trainer.max_epochs=1")
    done = run_here(
        "train.py", "data.root=faces", "data.image_size=64", *tiny, "callbacks.media.maps={}", "hydra.run.dir=run"
    )
    assert done.code == 0, done.text
    assert "Pictures resized to 64 x 64 pixels: 64." in done.text
    assert "guessing scores 12.5 %" in done.text
    run = read_run(tmp_path / "run")
    assert run.classes == EIGHT
    assert confusion_of(run).sum(axis=1).tolist() == [4] * 8
    assert {f"test/f1_{name}" for name in EIGHT} <= run.figures.keys()
    page = (tmp_path / "run/report.html").read_text()
    assert "contempt" in (tmp_path / "run/predictions.csv").read_text()
    assert "FER2013" not in page
    assert (tmp_path / "run/figures/confusion_matrix.png").is_file()
    checkpoint = "checkpoint=run/checkpoints/best.ckpt"
    done = run_here("eval.py", checkpoint, *options("plain"), "hydra.run.dir=eval", "trainer.accelerator=cpu")
    assert "figures are those of the run itself, to the last digit" in done.text
    words = (
        "was trained on the classes angry, disgust, fear, happy, neutral, sad, surprise, contempt, and the faces have"
    )
    for command in (("eval.py", "trainer.accelerator=cpu"), ("fer_lightning/__main__.py", "stress")):
        assert words in run_here(*command, checkpoint, "data.root=others").text.splitlines()[-1]
    assert run_here("fer_lightning/__main__.py", "export", checkpoint, "output=bundle").code == 0
    written = json.loads((tmp_path / "bundle/config.json").read_text())
    assert (tuple(written["classes"]), written["image_size"]) == (EIGHT, 64)
    assert (
        "expressions in faces of 64 x 64 grey pixels: angry, disgust, fear, happy, neutral, sad, surprise, contempt"
        in (tmp_path / "bundle/README.md").read_text()
    )
    pictures = sorted((tmp_path / "faces/test").rglob("*.png"))
    said = dict(zip(run.predictions["file"], run.predictions["prediction"], strict=True))
    for place in ("run/checkpoints/best.ckpt", "bundle"):
        predictions = load_model(tmp_path / place).predict(pictures)
        assert tuple(predictions[0].votes) == EIGHT
        assert [one.label for one in predictions] == [said["/".join(path.parts[-3:])] for path in pictures]


def test_model_that_names_other_numbers_of_classes_is_refused():
    for names in (None, 3, [1, 2], ["one"], ["a", "b\n"]):
        with pytest.raises(UserError, match="it is damaged: "):
            classes_of({"classes": names}, "it")
    assert wrong_names(EIGHT) is None


@pytest.mark.parametrize(
    ("faces", "joined", "remedy"),
    [
        (("joy", "rage"), None, "give data.root faces of its classes"),
        (("rage", "joy", "calm"), {}, "give data.root faces of its classes and data.classes=[calm,joy,rage]"),
        ((*THREE, "awe"), {}, "join or leave out what it does not know, such as 'data.map={awe:null}'"),
        (
            (*THREE, "awe"),
            {"joy": ["bliss", "fun"], "fear": None},
            "join or leave out what it does not know, such as 'data.map={joy:[bliss,fun],fear:null,awe:null}'",
        ),
        (("joy", "bad"), {"bad": ["calm", "rage"]}, "write data.map=null"),
    ],
)
def test_other_classes_than_the_networks_are_refused_with_a_map(faces, joined, remedy):
    check_same(THREE, THREE, "it")
    with pytest.raises(UserError) as refusal:
        check_same(THREE, faces, "it", joined)
    assert str(refusal.value).endswith(f"the faces have {', '.join(faces)}: {remedy}")
