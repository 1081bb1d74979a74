"""Published data sets are recognised by their counts; contradictory labels limit the accuracy."""

from dataclasses import replace

import numpy as np
import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.data.published import PUBLISHED, ceiling, compare_with_published, contest_rows, no_contest


def test_published_counts_are_recognised_and_differences_named():
    kaggle = PUBLISHED["Kaggle's face expression recognition dataset"]
    name, differences = compare_with_published(CLASSES, kaggle)
    assert name == "Kaggle's face expression recognition dataset"
    assert differences == ["train/sad: the paper's table 1 prints 4,983 for these 4,938"]
    fewer = {**kaggle, "validation": [959, *kaggle["validation"][1:]]}
    assert compare_with_published(CLASSES, fewer)[1][-1] == "validation/angry: 959 faces, published are 960"
    assert compare_with_published(CLASSES, PUBLISHED["FER2013"]) == ("FER2013", [])
    assert compare_with_published(CLASSES, {"train": [1] * 7}) == (None, [])
    assert compare_with_published((*CLASSES[1:], "calm"), PUBLISHED["FER2013"]) == (None, [])
    assert sum(map(sum, kaggle.values())) == sum(map(sum, PUBLISHED["FER2013"].values())) == 35_887


def test_labels_of_identical_pictures_limit_the_accuracy(faces):
    limit, reason = ceiling(faces, np.array([0, 0, 0, 3, 4]), np.array([1, 1, 2, 5, 6]))
    assert limit == pytest.approx(0.8)  # of three identical pictures under two labels one must be wrong
    assert "different labels" in reason
    assert ceiling(replace(faces, best_possible=0.7), np.arange(5), np.arange(5))[0] == 0.7


def test_numbers_of_files_are_rows_if_the_contest_has_these_counts(contest, faces):
    assert no_contest(contest) == ""
    assert contest_rows(contest.names).tolist() == contest.rows.tolist()
    order = np.arange(7)[::-1]
    assert no_contest(replace(contest, classes=CLASSES[::-1], labels=order[contest.labels])) == ""

    def fault(**columns):
        return no_contest(replace(contest, **columns))

    first = np.flatnonzero(contest.rows == 0)[0]  # an angry face of Training
    labels, names = contest.labels.copy(), contest.names.copy()
    labels[first], names[first] = 1, names[first + 1]
    assert fault(labels=labels) == "by the numbers Training has 3,994 faces of angry, and in the contest 3,995"
    assert fault(names=names) == "35,887 files are not numbered from 0 to 35,886, each number once"
    names[first] = "train/angry/35887.jpg"
    assert fault(names=names) == "the numbers go up to 35,887, and that csv has 35,887 rows"
    names[first] = "train/angry/a.jpg"
    assert fault(names=names) == "the names of the faces have no numbers"
    assert fault(classes=(*CLASSES[:6], "calm")) == f"the classes are not {', '.join(CLASSES)}"
    assert no_contest(faces) == "140 files are not numbered from 0 to 35,886, each number once"
    rows = np.array(["train/happy/csv_00001", "test/sad/csv_00002"])
    assert contest_rows(rows).tolist() == [0, 1]
    assert no_contest(replace(faces.subset(np.arange(2)), names=rows)) == ""


@pytest.mark.parametrize(("count", "known"), [(35_887, True), (28_709, True), (34_000, False)])
def test_rows_of_a_csv_without_usage_count_if_none_is_missing(contest, count, known):
    names = np.array([f"angry/csv_{row + 1:05}" for row in range(count)])
    problem = no_contest(replace(contest.subset(np.arange(count)), names=names))
    assert problem == (
        "" if known else "a csv of 34,000 rows without Usage is neither fer2013.csv nor the contest's train.csv"
    )
