"""The answers of people, counted by hand and a second time in plain Python."""

import csv
import math
import re
import zipfile
from collections import Counter

import numpy as np
import pytest

from fer_lightning.data.crowd import (
    agreement,
    agreement_bins,
    answers,
    contradicts,
    crowd_figures,
    describe,
    join_answers,
    ranks,
)
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.readers import read_faces
from fer_lightning.data.votes import count_votes
from tests.data.sources import ARCHIVE

CROWD = np.array([[8, 2, 0, 0], [5, 5, 0, 0], [0, 1, 0, 9], [3, 4, 3, 0], [0, 10, 0, 0]])  # two classes, two others


def test_answers_and_agreement_by_hand():
    assert answers(CROWD).tolist() == [0, -1, 3, 1, 1]
    assert contradicts(CROWD, np.array([1, 0, 1, 1, 1])).tolist() == [True, False, True, False, False]
    assert agreement(CROWD).tolist() == [0.8, 0.5, 0.9, 0.4, 1.0]
    assert agreement_bins(np.array([0.0, 0.4999, 0.5, 0.7, 7 / 9, 0.8, 0.9, 0.99, 1])).tolist() == [
        0,
        0,
        1,
        3,
        3,
        4,
        5,
        5,
        6,
    ]
    assert ranks(CROWD, np.array([1, 1, 1, 0, 0])).tolist() == [2, 1, 2, 2, 2]


def test_joined_answers_keep_those_that_are_no_class():
    assert join_answers(CROWD, [1, 0], 2).tolist() == CROWD[:, [1, 0, 2, 3]].tolist()
    assert join_answers(CROWD, [0, -1], 1)[0].tolist() == [8, 2, 0, 0]
    assert join_answers(CROWD, [2, 2], 3)[0].tolist() == [0, 0, 10, 0, 0]


def count(votes, labels, predictions):
    """Return the figures by loops over people: (majority is the label, one agrees with the others, network with it)."""
    clear = agreeing = asked = label = network = 0
    for face, counts in enumerate(votes):
        ballots = [answer for answer, number in enumerate(counts) for _ in range(number)]
        ranking = Counter(ballots).most_common(2)
        if len(ranking) > 1 and ranking[0][1] == ranking[1][1]:
            continue
        clear += 1
        label += ranking[0][0] == labels[face]
        network += ranking[0][0] == predictions[face]
        for person, answer in enumerate(ballots):
            others = Counter(ballots[:person] + ballots[person + 1 :]).most_common(2)
            if len(others) > 1 and others[0][1] == others[1][1]:
                continue
            asked += 1
            agreeing += others[0][0] == answer
    return clear, label / clear, agreeing / asked, network / clear


def test_figures_are_those_of_a_count_by_person():
    draw = np.random.default_rng(0)
    crowd = draw.multinomial(10, draw.dirichlet(np.full(5, 0.4), 200))
    labels, predictions = draw.integers(3, size=(2, 200))
    votes = draw.dirichlet(np.ones(3), 200)
    clear, gives_label, agreeing, network = count(crowd.tolist(), labels, predictions)
    description = describe(crowd, labels, ("a", "b", "c"))
    assert description["answered"] == clear
    assert description["give_label"] == pytest.approx(gives_label, abs=1e-6)
    assert description["one_with_others"] == pytest.approx(agreeing, abs=1e-6)
    assert sum(sum(row.values()) for row in description["answers"].values()) == clear
    assert list(description["answers"]["a"]) == ["a", "b", "c", "other"]
    figures = crowd_figures(crowd, labels, predictions, votes)
    assert figures["crowd_gives_label"] == pytest.approx(gives_label)
    assert figures["crowd_one_with_others"] == pytest.approx(agreeing)
    assert figures["accuracy_crowd"] == pytest.approx(network)
    voted = [face for face in range(200) if crowd[face, :3].any()]
    entropy = -sum(
        n / crowd[face, :3].sum() * math.log(votes[face, column])
        for face in voted
        for column, n in enumerate(crowd[face, :3])
    )
    assert figures["cross_entropy_crowd"] == pytest.approx(entropy / len(voted))
    assert figures["entropy_crowd"] < figures["cross_entropy_crowd"]


def test_figures_by_hand():
    labels, predictions = np.array([0, 0, 1, 0, 1]), np.array([0, 1, 1, 1, 0])
    figures = crowd_figures(CROWD, labels, predictions, np.full((5, 2), 0.5))
    assert figures["crowd_gives_label"] == 2 / 4
    assert figures["accuracy_crowd"] == 2 / 4  # the first and the fourth
    assert figures["accuracy_agreed"] == 2 / 3  # of the first, the third and the last
    assert figures["accuracy_crowd_agreed"] == pytest.approx(1 / 3)
    assert figures["rank_crowd"] == (1 + 2 + 1 + 2) / 4
    assert figures["cross_entropy_crowd"] == pytest.approx(math.log(2))
    assert crowd_figures(CROWD[[1]], labels[:1], predictions[:1], np.full((1, 2), 0.5)) == {}


@pytest.mark.real_faces
@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"the real faces are not at {ARCHIVE}")
def test_what_people_see_in_the_real_faces(tmp_path):
    """The file of votes counted by person, the labels from the names in the archive."""
    path = ARCHIVE.with_name("fer2013new.csv")
    faces = count_votes(read_faces(str(ARCHIVE), str(tmp_path), {}, 48), str(path))
    assert faces.classes == CLASSES
    with path.open() as file:
        rows = [[int(cell) for cell in list(row.values())[2:]] for row in csv.DictReader(file)]
    columns = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear")
    names = [re.search(r"/(\w+)/(\d+)\.jpg$", name) for name in zipfile.ZipFile(ARCHIVE).namelist()]
    label_of = {int(match[2]): columns.index(match[1]) for match in names if match}
    labels = [label_of[row] for row in range(len(rows))]
    clear, gives_label, agreeing, _ = count(rows, labels, labels)
    description = describe(faces.crowd, faces.labels, CLASSES)
    assert description["answered"] == clear == 34_111
    assert description["give_label"] == pytest.approx(gives_label, abs=1e-6) == pytest.approx(0.6453, abs=1e-4)
    assert description["one_with_others"] == pytest.approx(agreeing, abs=1e-6) == pytest.approx(0.7494, abs=1e-4)
    shares = {name: row[name] / sum(row.values()) for name, row in description["answers"].items()}
    assert shares["fear"] == pytest.approx(0.137, abs=1e-3)
    assert shares["sad"] == pytest.approx(0.427, abs=1e-3)
