"""Predictions in the words of other programs."""

import numpy as np
import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError
from fer_lightning.report.peers import has_seen, read_peer

NAMES = ["train/sad/1.png", "train/sad/2.png", "test/sad/1.png"]
SAD, HAPPY = CLASSES.index("sad"), CLASSES.index("happy")


def read(path, text):
    path.write_text(text)
    return read_peer(str(path), CLASSES, NAMES, np.array([5, 7, 9]))


@pytest.mark.parametrize(
    ("text", "positions", "predictions", "votes"),
    [
        ("row,prediction\n9,Sadness\n5,happy\n6,sad\n", [0, 2], [HAPPY, SAD], None),
        ("file;emotion;vote\ntest/sad/1.png;sad;0.75\n", [2], [SAD], [0.75]),
        ("row,prob_happiness,prob_sad\n5,0.1,0.3\n7,,\n9,1,0\n", [0, 2], [SAD, HAPPY], [0.75, 1]),
        ("row,class,vote_happy,vote_sad\n7,happy,0.25,0.75\n5,,,\n", [1], [HAPPY], [0.25]),
    ],
)
def test_columns_are_understood(tmp_path, text, positions, predictions, votes):
    peer = read(tmp_path / "a.csv", text)
    assert peer.answered(np.arange(3)).tolist() == positions
    assert peer.predictions[positions].tolist() == predictions
    assert (None if peer.votes is None else peer.votes[positions].tolist()) == pytest.approx(votes)
    assert (peer.shares is not None) == ("_sad" in text)
    assert peer.unknown == text.count("\n6,")


def test_a_part_of_the_faces(tmp_path):
    peer = read(tmp_path / "a.csv", "row,happy,sad\n9,1,0\n5,0,1\n")
    rows = peer.answered(np.array([0, 1]))
    assert (rows.tolist(), peer.predictions[rows].tolist(), peer.votes[rows].tolist()) == ([0], [SAD], [1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,prediction\n2.png,bored\n", "line 2: 'bored' is none of the classes angry, disgust"),
        ("file,age\n2.png,5\n", "has the columns age: call that of the class prediction, or give"),
        ("file,sad,happy\n2.png,-3,2\n", "line 2: '-3' is no probability from 0 to 1: correct it, or"),
        ("file,prediction\n2.png,\n", "predicts no class of a face: fill its column of classes"),
    ],
)
def test_mistake_is_one_sentence(tmp_path, text, words):
    with pytest.raises(UserError, match=f"^predictions={tmp_path}/a.csv.*{words}"):
        read(tmp_path / "a.csv", text)


def test_training_faces_that_score_no_better_give_an_alarm():
    shares = np.arange(1000) % 10 < 7  # 70 % are right
    assert has_seen(shares, shares) == (
        "has probably trained on the held-out faces too: right on 70.0 % of 1,000 held-out and 70.0 % of 1,000 "
        "training faces. Or it was trained on neither"
    )
    assert has_seen(np.ones(1000, bool), shares) is None  # learnt by heart
    assert has_seen(shares[:29], shares) is None  # too few
