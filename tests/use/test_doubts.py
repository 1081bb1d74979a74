"""The list of doubted labels: votes by hand, its files, and how many of the known wrong labels it finds."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fer_lightning.__main__ import main
from fer_lightning.data.audit import audit
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.protocols import honest
from fer_lightning.models.knn import KNNClassifier
from fer_lightning.use.doubts import csv_rows, per_class, precision_recall, write_labels
from fer_lightning.use.judgement import Judgement, fold_votes, judge, weigh
from tests.conftest import ROOT, options

QUICK = (  # finds the wrong labels of the synthetic faces: each plain and changed in an epoch, 30 s of one core
    "experiment=quickstart",
    "embedder=resnet48",
    "embedder.stem_channels=16",
    "embedder.widths=[32,64,128]",
    "data.image_size=32",
    "data.batch_size=32",
    "augmentation.copies=2",
    "augmentation.keep_original=true",
    "optimizer.lr=2e-3",
    "trainer.max_epochs=4",
    "trainer.check_val_every_n_epoch=4",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "classifier.k=60",
    "logger=csv",
    "~callbacks.media",
    "~callbacks.quick_validation",
    "hydra.callbacks.jobs.report=false",
)


def on_circle(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float32).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_votes_by_hand_without_twins():
    """Two clusters; one face of each has the other's label, and its twin beside it agrees with it."""
    embeddings = on_circle(0, 1, 2, 3, 4, 180, 181, 182, 183, 184)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0])
    groups = np.array([0, 1, 2, 3, 3, 5, 6, 7, 8, 8])  # the last two of each cluster are twins
    classifier = KNNClassifier(2, [], "uniform", 0.1, 7, 2)
    votes = fold_votes(classifier, embeddings, labels, groups, folds=4)
    np.testing.assert_allclose(votes.sum(axis=1), 1, rtol=1e-6)
    # At least two of the three others are in other folds. The twin would have brought half of the vote.
    np.testing.assert_allclose(votes[[3, 4]][:, [0, 1]], [[1, 0]] * 2)
    np.testing.assert_allclose(votes[[8, 9]][:, [0, 1]], [[0, 1]] * 2)
    assert weigh(votes, labels)[0][[3, 4, 8, 9]].tolist() == [0, 0, 1, 1]
    with_twins = fold_votes(classifier, embeddings, labels, np.arange(10), folds=5)
    assert with_twins[3, 1] == pytest.approx(1 / 2)


def test_labels_are_judged_where_the_training_folder_comes_last(faces, tmp_path):
    """As in every folder or zip that holds a test and a train folder."""
    faces = replace(faces, splits=faces.splits[::-1].copy())
    found = audit(faces, str(tmp_path))
    partition = honest(faces, found.twins, validation_share=0.2, seed=0)
    classifier = KNNClassifier(5, [], "uniform", 0.1, 7, 48)
    said = judge(lambda images: normalize(images[:, 0, 0], dim=1), classifier, partition, found)
    assert sorted(said.rows) == list(range(70, 140))
    assert said.trained_on.sum() == len(partition.train)


def test_belief_by_hand():
    votes = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2]])
    believed, own, other = weigh(votes, np.array([0, 1, 1]))
    assert believed.tolist() == [0, 2, 1]  # the label keeps a tie
    assert own.tolist() == [0.5, 0.2, 0.4]
    assert other.tolist() == [0.5, 0.6, 0.4]


def test_precision_and_recall_by_hand():
    precision, recall = precision_recall(np.array([True, False, True, False]))
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(recall, [1 / 2, 1 / 2, 1, 1])


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


def test_csv_holds_every_face_in_order(judged, tmp_path):
    write_labels(tmp_path, "run", *judged)
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 70
    expected = ("train/1.png", "train", CLASSES[1], CLASSES[4], "0.250000", "0.500000", "1", "0", "0")
    assert tuple(rows[1].values()) == expected
    assert [row["file"] for row in rows if row["contradictory_twins"] == "1"] == ["train/3.png", "train/10.png"]
    assert rows[3]["twins"] == rows[10]["twins"] == "3"
    assert [len(row) for row in csv_rows(*judged)] == [9] * 70


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


def test_only_the_judge_of_lists_reads_the_truth():
    users = [
        path.relative_to(ROOT / "fer_lightning").as_posix()
        for path in sorted((ROOT / "fer_lightning").rglob("*.py"))
        if "true_labels" in path.read_text()
    ]
    assert users == ["data/demo.py", "data/faces.py", "data/protocols.py", "data/readers.py", "use/doubts.py"]


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"holds no checkpoints/best\.ckpt: give the folder of a run"):
        main(["labels", str(tmp_path)])


@pytest.mark.parametrize(
    ("own", "wrong", "faces", "least"),
    [
        (options("small", "tiny", "brief", "plain"), 15, 150, 0),
        pytest.param(QUICK, 210, 2100, 80, marks=pytest.mark.long),  # four in five of the first 210
    ],
    ids=["brief", "trained"],
)
def test_wrong_labels_of_the_drawn_faces_are_found(run_here, tmp_path, capfd, own, wrong, faces, least):
    """The drawn faces know which labels are wrong; only a trained network finds most of them."""
    done = run_here("train.py", *own, "hydra.run.dir=run", "paths.cache_dir=cache")
    assert done.code == 0, done.text
    main(["labels", "run", "--output", "out"])
    said = capfd.readouterr().out
    found = re.search(rf"{wrong} labels are known to be wrong: ([\d.]+) % of the first {wrong}", said)
    assert found, said
    assert float(found[1]) >= least
    with (tmp_path / "out/labels.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == faces
    assert f"list {found[1]} % are wrong" in (tmp_path / "out/labels.html").read_text()
    assert (tmp_path / "out/figures/labels.png").is_file()
    assert not (tmp_path / "run/labels.csv").exists()
