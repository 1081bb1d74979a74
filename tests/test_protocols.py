from dataclasses import replace

import numpy as np
import pytest

from fer_lightning.data.protocols import folder, honest, official
from fer_lightning.data.twins import count_twins, identical_groups
from fer_lightning.errors import UserError


def test_identical_groups(faces):
    groups = identical_groups(faces.images)
    assert groups[70:73].tolist() == [0, 1, 2]
    assert groups[10] == 3
    assert count_twins(faces.images) == (4, 8)


@pytest.mark.parametrize("seed", range(5))
def test_honest_is_disjoint_covers_and_keeps_twins_together(faces, seed):
    parts = honest(faces, validation_share=0.2, seed=seed)
    groups = identical_groups(faces.images)
    assert parts.test.tolist() == list(range(70, 140))
    assert parts.left_out == 3
    together = np.concatenate([parts.train, parts.validation, parts.test, [0, 1, 2]])
    assert sorted(together) == list(range(140))
    for one, other in ((parts.train, parts.validation), (parts.train, parts.test), (parts.validation, parts.test)):
        assert not np.intersect1d(groups[one], groups[other]).size
    assert set(np.bincount(faces.labels[parts.validation], minlength=7)) <= {1, 2, 3}
    assert not parts.leaks


def test_honest_cut_follows_its_seed(faces):
    assert np.array_equal(honest(faces, 0.2, 1).validation, honest(faces, 0.2, 1).validation)
    assert not np.array_equal(honest(faces, 0.2, 1).validation, honest(faces, 0.2, 2).validation)


def test_folder_reports_where_it_selects_and_says_so(faces):
    parts = folder(faces)
    assert np.array_equal(parts.validation, parts.test)
    assert "4.3%" in parts.leaks  # 3 of 70 have a twin in training


def test_official_needs_three_parts(faces):
    with pytest.raises(UserError, match="PrivateTest"):
        official(faces)
    splits = faces.splits.astype("<U10")
    splits[70:100] = "validation"
    parts = official(replace(faces, splits=splits))
    assert [len(rows) for rows in (parts.train, parts.validation, parts.test)] == [70, 30, 40]


def test_a_source_without_held_out_faces_is_refused(faces):
    with pytest.raises(UserError, match="held-out"):
        honest(replace(faces, splits=np.full(140, "train")), 0.1, 0)
