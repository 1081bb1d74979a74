"""Synthetic faces: shapes, seeds, wrong labels, and persons of one split alone."""

import numpy as np
import pytest

from fer_lightning.data.demo import CLASS_SHARES, EXPRESSIONS, UNITS, _cast, draw_faces
from fer_lightning.data.faces import CLASSES

COUNT, SHARE, SEED, SIZE = 1000, 0.13, 7, 48


@pytest.fixture(scope="module")
def faces():
    return draw_faces(COUNT, SHARE, SEED, SIZE)


@pytest.fixture(scope="module")
def cast():
    return _cast(COUNT, SHARE, np.random.default_rng(SEED))


def test_table_has_the_promised_shapes_and_names(faces):
    assert faces.images.shape == (COUNT, SIZE, SIZE)
    assert faces.images.dtype == np.uint8
    assert faces.labels.dtype == np.int64
    assert len(set(faces.names)) == COUNT
    for name, split, label in zip(faces.names, faces.splits, faces.labels, strict=True):
        assert name.startswith(f"{split}/{CLASSES[label]}/")
    assert {split: sum(counts) for split, counts in faces.counts().items()} == {"train": 750, "test": 250}
    assert (faces.unreadable, faces.remarks) == ((), ())


def test_the_seed_alone_decides_and_no_pixel_has_changed(faces):
    assert faces.fingerprint == "10ef49cfa8a09b11075f2314510dabe843cda286c172e8047110d6dd942ff9da"
    other = draw_faces(COUNT, SHARE, SEED + 1, SIZE)
    assert (other.images != faces.images).mean() > 0.9
    assert len(np.unique(faces.images, axis=0)) == COUNT


def test_default_faces_are_those_of_the_published_score():
    faces = draw_faces(2800, 0.1, 0, 48)
    assert faces.fingerprint == "3a3d5e7f212bd0b40f4226b8213ca0e021e82185c99f30db3b4b11084bfde8af"
    assert faces.best_possible == 0.9


def test_wrong_labels_are_counted_exactly(faces, cast):
    np.testing.assert_array_equal(cast.labels, faces.labels)
    wrong = cast.labels != cast.expressions
    assert wrong[cast.splits == "train"].sum() == 98  # round(0.13 * 750 = 97.5), half to even
    assert wrong[cast.splits == "test"].sum() == 32  # round(0.13 * 250 = 32.5), half to even
    assert faces.best_possible == 1 - 32 / 250


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_or_all_labels_are_wrong(share):
    cast = _cast(7000, share, np.random.default_rng(SEED))
    assert (cast.labels != cast.expressions).mean() == share
    steps = np.bincount((cast.labels - cast.expressions) % 7, minlength=7)
    if share:  # each of the six other classes is as likely
        np.testing.assert_allclose(steps[1:], 7000 / 6, rtol=0.1)


def test_splits_share_the_classes_but_no_person(cast):
    train, test = cast.splits == "train", cast.splits == "test"
    assert not set(cast.persons[train]) & set(cast.persons[test])
    shares = np.array([CLASS_SHARES[name] for name in CLASSES])
    for part in (train, test):
        assert np.abs(np.bincount(cast.expressions[part]) - shares * part.sum()).max() <= 1
    assert shares.sum() == pytest.approx(1)
    assert shares.min() == CLASS_SHARES["disgust"] >= 0.08


def test_expressions_use_only_units_that_are_drawn():
    assert tuple(EXPRESSIONS) == CLASSES
    assert {number for units in EXPRESSIONS.values() for number in units} <= set(UNITS.values())


def test_expressions_can_be_seen_but_not_by_pixels_alone(faces, cast):
    pixels = faces.images.reshape(COUNT, -1).astype(np.float32)
    pixels = (pixels - pixels.mean(1, keepdims=True)) / pixels.std(1, keepdims=True)
    train, test = faces.splits == "train", faces.splits == "test"
    means = np.stack([pixels[train & (cast.expressions == k)].mean(0) for k in range(len(CLASSES))])
    nearest = np.square(pixels[test][:, None] - means).sum(2).argmin(1)
    assert 0.35 < (nearest == cast.expressions[test]).mean() < 0.85  # chance is 0.14
