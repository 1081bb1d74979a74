"""Published data sets are recognised by their counts; contradictory labels limit the accuracy."""

from dataclasses import replace

import numpy as np
import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.data.published import PUBLISHED, ceiling, compare_with_published


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
