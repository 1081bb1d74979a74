"""Corrections of labels: which faces they change, which they pass over, and what cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from fer_lightning.data.augmentation import Chain
from fer_lightning.data.corrections import correct, read_corrections
from fer_lightning.data.protocols import folder, honest, paper
from fer_lightning.errors import UserError
from fer_lightning.files import write_csv
from tests.data.leaky import leaky_gallery, leaky_report


@pytest.fixture
def write(tmp_path):
    """Write lines below a header, and return the path."""

    def to_file(*lines, header="file,label,believed,certainty"):
        path = tmp_path / "corrections.csv"
        path.write_text("\n".join([header, *lines]), encoding="utf-8-sig")
        return str(path)

    return to_file


def same_parts(one, other):
    return [np.array_equal(getattr(one, part), getattr(other, part)) for part in ("validation", "test")] == [True, True]


def test_training_faces_get_their_labels_and_the_protocol_deals_as_before(faces, twins, write):
    before = honest(faces, twins, 0.2, 0)
    relabelled, left_out, unchanged = before.train[:3]
    others = (before.validation[0], before.test[0], 0)  # the last was left out by the protocol, for its twin
    label = {row: faces.classes[faces.labels[row]] for row in before.train[:3]}
    believed = faces.labels[relabelled] - 1
    path = write(
        f"{faces.names[relabelled]},{label[relabelled]},{faces.classes[believed].upper()},0.9",
        f"{faces.names[left_out]},,,",
        f"{faces.names[unchanged]},,{label[unchanged]},1",
        *(f"{faces.names[row]},,{faces.classes[faces.labels[row] - 1]},0.5" for row in others),
    )
    after = correct(before, faces, path)
    assert same_parts(before, after)
    assert after.train.tolist() == after.gallery.tolist() == np.setdiff1d(before.train, [left_out]).tolist()
    changed = np.flatnonzero(after.faces.labels != faces.labels)
    assert (changed.tolist(), after.faces.labels[changed].tolist()) == ([relabelled], [believed % 7])
    assert after.corrected[:4] == ("corrections.csv", 1, 1, 3)
    assert str(after.corrected).endswith(
        "): 1 training face relabelled, 1 left out, 3 corrections of other faces passed over"
    )
    assert after.fingerprint != before.fingerprint
    assert after.faces.fingerprint == faces.fingerprint


def test_fingerprint_knows_the_labels(faces, twins, write):
    parts = honest(faces, twins, 0.2, 0)
    name = faces.names[parts.train[0]]
    prints = {correct(parts, faces, write(f"{name},,{believed},")).fingerprint for believed in ("sad", "happy", "sad")}
    assert len(prints) == 2


def test_tested_labels_stay_under_every_protocol(faces, twins, write):
    """Each face is corrected, and still no label that is tested or that chooses changes."""
    path = write(
        *(f"{name},,{faces.classes[label - 6]}," for name, label in zip(faces.names, faces.labels, strict=True))
    )
    pictures = {"darker": Chain([], 0)}
    for before, relabelled in (
        (folder(faces, twins), 70),
        (leaky_gallery(faces, twins, 0.2, 0), None),
        (leaky_report(faces, twins, 0.2, 0), 0),
        (paper(faces, twins, pictures, 0.2, 0), None),
    ):
        after = correct(before, faces, path)
        assert same_parts(before, after)
        tested = np.union1d(before.validation, before.test)
        assert np.array_equal(after.faces.labels[tested], before.faces.labels[tested])
        training = np.setdiff1d(before.train, tested)
        assert np.array_equal(after.faces.labels[training], (before.faces.labels[training] + 1) % 7)
        origins = len(np.unique(before.origins[training]))
        assert after.corrected.relabelled == (origins if relabelled is None else relabelled)
        assert after.corrected.relabelled + after.corrected.passed_over == 140


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["train/1.png,disgust,calm,1"], "line 2: 'calm' is none of the classes angry, "),
        (["train/1.png,,happy,", "train/none.png,,,"], "line 3: random has no face 'train/none.png'"),
        (["train/1.png,sad,happy,1"], "line 2: the face is labelled disgust in random, and not 'sad'"),
    ],
)
def test_lines_that_do_not_fit_are_refused(faces, twins, write, lines, words):
    path = write(*lines)
    with pytest.raises(UserError) as refused:
        correct(honest(faces, twins, 0.2, 0), faces, path)
    assert str(refused.value).startswith(f"data.corrections={path}, {words}")
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(
        "; give the corrections.csv of `python -m fer_lightning labels RUN`, or data.corrections=null"
    )


def test_a_class_keeps_a_training_face(faces, twins, write):
    path = write(*(f"{name},,," for name, label in zip(faces.names, faces.labels, strict=True) if label == 1))
    with pytest.raises(UserError, match="leaves no training face of disgust: delete some of its lines"):
        correct(honest(faces, twins, 0.2, 0), faces, path)


def test_files_that_are_none_are_refused(tmp_path, write, refusal):
    other = write("train/1.png,happy", header="file,label")
    for path, words in (
        (tmp_path / "none.csv", "none.csv does not exist: give the corr"),
        (tmp_path, "is a folder: give"),
        (other, "has no column believed; give the corr"),
    ):
        with pytest.raises(UserError, match=words):
            read_corrections(str(path))
    assert refusal(f"data.corrections={other}").startswith(f"data.corrections={other} has no column believed")


def test_names_are_read_as_every_csv_writes_them(tmp_path, faces, twins):
    """A name may be a formula, hold a quote and bytes that are no UTF-8; the columns may stand in any order."""
    strange = ['=1+1,"a".png', r"\xff\x1b.png", "ann\u00e9e \\\\ 2.png"]
    parts = honest(faces, twins, 0.2, 0)
    names = faces.names.astype(object)
    names[parts.train[:3]] = strange
    faces = replace(faces, names=names.astype(str))
    rows = [["sad", name] for name in faces.names[parts.train[:3]]]
    write_csv(tmp_path / "c.csv", ["believed", "file"], rows)
    after = correct(replace(parts, faces=faces), faces, str(tmp_path / "c.csv"))
    assert after.faces.labels[parts.train[:3]].tolist() == [5, 5, 5]
