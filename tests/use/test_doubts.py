"""The list of doubted labels: votes by hand, its files, and how many of the known wrong labels it finds."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from fer_lightning.data.audit import audit
from fer_lightning.data.corrections import read_corrections
from fer_lightning.data.faces import CLASSES
from fer_lightning.use.doubts import per_class, too_weak, write_labels
from fer_lightning.use.judgement import Judgement
from tests.conftest import ROOT


@pytest.fixture
def judged(faces, tmp_path):
    """The session's faces, the first two doubted; face 3 has a twin under another label."""
    labels = faces.labels.copy()
    labels[10] = 5  # its twin, face 3, is labelled 3
    names = faces.names.copy().astype(object)
    names[0] = "train/<script>alert(1)</script>.png"
    faces = replace(faces, labels=labels, names=names.astype(str), fingerprint="e" * 64)
    believed = labels[:70].copy()
    believed[:2] = [4, 4]
    own, other = np.full(70, 0.9), np.full(70, 0.9)
    own[:2], other[:2] = [0.0, 0.25], [1.0, 0.5]
    trained_on = np.arange(70) != 1
    return Judgement(np.arange(70), labels[:70], believed, own, other, trained_on), audit(
        faces, str(tmp_path / "cache")
    )


def test_corrections_hold_the_doubted_labels_in_order(judged, tmp_path):
    write_labels(tmp_path, "run", *judged)
    with (tmp_path / "corrections.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row.values()) for row in rows] == [
        ("train/<script>alert(1)</script>.png", "angry", "neutral", "1.000000", "0.000000", "0", "0", "1"),
        ("train/1.png", "disgust", "neutral", "0.500000", "0.250000", "1", "0", "0"),
    ]
    assert read_corrections(f"{tmp_path}/corrections.csv").faces == judged[1].faces.names[:2].tolist()


@pytest.mark.parametrize(
    ("faces", "believed", "weak"),
    [
        (700, 0.24, True),  # always the largest class has 20 %
        (700, 0.26, False),
        (50, 0.30, True),  # two standard errors are 11 points
        (50, 0.32, False),
        (28_000, 0.24, True),
    ],
)
def test_a_network_near_chance_doubts_nothing(faces, believed, weak):
    labels = np.arange(faces) % 5
    other = np.where(np.arange(faces) < round(faces * believed), labels, 5)
    votes = np.full(faces, 0.5)
    reason = too_weak(Judgement(np.arange(faces), labels, other, votes, votes, np.ones(faces, bool)), CLASSES)
    assert bool(reason) == weak
    assert not weak or f"believes {100 * believed:.1f} % of the {faces:,} labels" in reason
    assert not weak or "always answering angry has 20.0 %" in reason


def test_classes_are_counted(judged):
    table = per_class(judged[0], judged[1].faces)
    assert [(row["name"], row["doubted"]) for row in table if row["doubted"]] == [(CLASSES[0], 1), (CLASSES[1], 1)]
    assert table[0]["believed"] == [0, 0, 0, 0, 1, 0, 0]
    assert sum(row["faces"] for row in table) == 70


def test_page_is_escaped_and_needs_nothing_else(judged, tmp_path):
    write_labels(tmp_path, "<b>run</b>", *judged)
    page = (tmp_path / "labels.html").read_text()
    body = page.split("</head>")[1]
    assert body.count("<script") == 1  # the page's own: names are escaped
    assert "<script>alert" not in body
    assert "<b>run" not in body
    assert "&lt;b&gt;run&lt;/b&gt;" in body
    assert "http" not in body
    assert body.count("<figure>") == 2 + 2  # two doubted labels, two twins
    assert "1 of 69\nlabels of faces that trained the network are doubted (1.4 %)" in body
    assert "1 of 1\nlabels of other faces are doubted (100.0 %)" in body
    assert "What the list is worth" not in body  # nobody knows
    assert not (tmp_path / "figures").exists()


def test_people_call_labels_wrong(judged, tmp_path):
    """Everybody sees a third expression in the first face, and the label elsewhere; on the second they tie."""
    judgement, result = judged
    crowd = np.eye(9, dtype=int)[result.faces.labels] * 10
    crowd[0], crowd[1] = np.eye(9, dtype=int)[5] * 10, [5, 5, 0, 0, 0, 0, 0, 0, 0]
    result = replace(result, faces=replace(result.faces, crowd=crowd))
    assert write_labels(tmp_path, "run", judgement, result)[-1] == (
        "1 labels are wrong by people's most frequent answer: 100.0 % of the first 1, 50.0 % of all doubted labels (of "
        "a random list 1.4 %); the doubted are 100.0 % of the wrong ones"
    )
    assert (
        "1 labels of these faces are wrong by people&#39;s most frequent answer"
        in (tmp_path / "labels.html").read_text()
    )


def test_only_the_judge_of_lists_reads_the_truth():
    users = [
        path.relative_to(ROOT / "fer_lightning").as_posix()
        for path in sorted((ROOT / "fer_lightning").rglob("*.py"))
        if "true_labels" in path.read_text()
    ]
    assert users == [
        "data/demo.py",
        "data/faces.py",
        "data/mapping.py",
        "use/doubts.py",
    ]
