"""data.map: classes that are joined or left out, from the option to the record."""

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from fer_lightning.config.agreement import check_agreement
from fer_lightning.config.values import check_values
from fer_lightning.data.demo import draw_faces
from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.data.mapping import map_faces, mapped_classes
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError

NEGATIVE = {"negative": ["angry", "disgust", "fear", "sad"]}
FOUR = ("happy", "neutral", "surprise", "negative")


def table(true_labels: np.ndarray | None = None) -> Faces:
    """Return three faces of each of the seven classes, the last of each in the test part."""
    labels = np.repeat(np.arange(7), 3)
    images = np.arange(21, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    splits = np.tile(["train", "train", "test"], 7)
    names = np.array([f"{splits[row]}/{CLASSES[label]}/{row}" for row, label in enumerate(labels)])
    return Faces(images, labels, names, splits, "made", fingerprint(images, labels, splits), true_labels=true_labels)


def test_classes_that_stay_keep_their_order_and_new_ones_follow():
    assert mapped_classes(CLASSES, None) == CLASSES
    assert mapped_classes(CLASSES, NEGATIVE) == FOUR
    assert mapped_classes(("sad", "happy", "fear"), {"zeal": ["happy"], "bad": ["fear"]}) == ("sad", "bad", "zeal")
    assert mapped_classes(CLASSES, {"disgust": None}) == (*CLASSES[:1], *CLASSES[2:])
    assert mapped_classes((*CLASSES, "contempt"), {"disgust": ["contempt"]}) == CLASSES  # an old class takes one in
    assert mapped_classes(CLASSES, {"low": ["Sadness", "fearful"]})[-1] == "low"  # other spellings, as of folders


def test_faces_are_relabelled_and_others_left_out():
    faces = table()
    joined = map_faces(faces, NEGATIVE)
    assert joined.classes == FOUR
    assert joined.counts() == {"train": [2, 2, 2, 8], "test": [1, 1, 1, 4]}
    assert joined.names.tolist() == faces.names.tolist()
    assert [FOUR[label] for label in joined.labels[[0, 9, 15]]] == ["negative", "happy", "negative"]
    assert joined.remarks == ("Faces of angry, disgust, fear, sad read as negative by data.map.",)
    rest = map_faces(faces, {"disgust": None})
    assert (len(rest), "disgust" in rest.classes) == (18, False)
    assert rest.names.tolist() == [name for name in faces.names if "disgust" not in name]
    assert [rest.classes[label] for label in rest.labels] == [name.split("/")[1] for name in rest.names]
    assert np.array_equal(rest.images[:, 0, 0], [row for row in range(21) if row // 3 != 1])
    assert rest.remarks == ("Faces of disgust left out by data.map: 3.",)
    assert len({faces.fingerprint, joined.fingerprint, rest.fingerprint}) == 3


def test_what_the_labels_allow_grows_where_confused_classes_are_joined():
    faces = draw_faces(700, 0.3, 0, 16)
    joined = map_faces(faces, NEGATIVE)
    test = joined.splits == "test"
    assert faces.best_possible == pytest.approx(0.7, abs=0.01)
    assert joined.best_possible == np.mean(joined.labels[test] == joined.true_labels[test]) > faces.best_possible
    rest = map_faces(faces, {"disgust": None})  # some that remain show disgust: no answer is right for these
    assert (rest.true_labels == -1).any()
    assert map_faces(table(), NEGATIVE).best_possible is None


@pytest.mark.parametrize(
    ("joined", "words"),
    [
        ({"cold": ["calm"]}, "data.map names calm, and the classes of the faces are angry, disgust, .*: name some of"),
        ({"calm": None}, "data.map names calm, and"),
        ({"low": ["sad"], "bad": ["sadness"]}, "data.map names sad more than once: a class can be joined to one class"),
        ({"sad": None, "bad": ["sad", "fear"]}, "data.map names sad more than once"),
        ({"all": list(CLASSES)}, "data.map leaves 1 class: 2 to 40 are needed"),
        ({"very sad": ["sad"]}, "data.map leaves the class 'very sad', which cannot name files.* such as very_sad$"),
        ({"Happy": ["sad"]}, "data.map leaves two classes of one name"),
    ],
)
def test_wrong_maps_are_refused_before_anything_is_read(joined, words, make_cfg):
    with pytest.raises(UserError, match=words):
        map_faces(table(), joined)
    cfg = make_cfg()
    cfg.data.map = joined
    with pytest.raises(UserError, match=words):
        check_values(cfg, "train")


def values(cfg: DictConfig) -> dict[str, object]:
    """Return the plain values of every node."""
    return {name: value for name, value in OmegaConf.to_container(cfg, resolve=True).items() if name != "hydra"}


def test_every_node_knows_the_new_classes(make_cfg, tmp_path):
    given = ("data.map={negative:[angry,disgust,fear,sad],happy:null}", "loss=softmax_triplet", "classifier=linear")
    cfg = make_cfg(*given, "data.batch_size=12", "sampler=balanced", "objective=val/f1_negative")
    check_agreement(values(cfg))
    assert cfg.model.classes == ["neutral", "surprise", "negative"]
    assert (cfg.classifier.num_classes, cfg.loss.losses[0].num_classes, cfg.sampler.classes_per_batch) == (3, 3, 3)
    assert cfg.data.classes == list(CLASSES)
    with pytest.raises(UserError, match="objective=val/f1_happy must be a metric"):
        check_values(make_cfg(*given, "data.batch_size=12", "sampler=balanced", "objective=val/f1_happy"), "train")
    with pytest.raises(UserError, match=r"model\.classes=\[joy,calm\] must be \[angry,.*\], the classes of the faces"):
        check_values(make_cfg("model.classes=[joy,calm]"), "train")
    faces = map_faces(read_faces(None, str(tmp_path), dict(cfg.data.drawn), 48), cfg.data.map)
    assert (faces.classes, faces.remarks[1][:26]) == (("neutral", "surprise", "negative"), "Faces of happy left out by")
    unknown = values(make_cfg("data.map={joy:[calm],low:[rage]}"))
    check_agreement(unknown | {"checkpoint": "best.ckpt"})  # which says later what the faces are
