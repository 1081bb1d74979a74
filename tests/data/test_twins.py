"""The search for twins: what it must find, and what it must leave alone."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fer_lightning.data.twins import (
    AUGMENTED,
    detail_correlation,
    find_twins,
    flat,
    identical_groups,
    search,
)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """60 pictures of 96 pixels, as unlike each other as photographs, with details of every size."""
    random = np.random.default_rng(0)
    layers = sum(
        size * gaussian_filter(random.standard_normal((60, 96, 96)), (0, size, size)) for size in (1.5, 3, 6, 12)
    )
    layers -= layers.min((1, 2), keepdims=True)
    return np.round(255 * layers / layers.max((1, 2), keepdims=True)).astype(np.uint8)


def view(picture: np.ndarray, right=0.0, down=0.0, scale=1.0, degrees=0.0, mirrored=False) -> np.ndarray:
    """Return the 48 pixels around the middle, of a photograph taken again."""
    matrix = cv2.getRotationMatrix2D((47.5, 47.5), degrees, scale)
    matrix[:, 2] += np.array([right, down]) - 24
    seen = cv2.warpAffine(picture, matrix, (48, 48))
    return seen[:, ::-1] if mirrored else seen


CHANGES = {
    "retouched": {},
    "shifted": {"right": 2, "down": -1},
    "rescaled": {"scale": 1.08},
    "rotated": {"degrees": 3},
    "mirrored": {"mirrored": True, "right": 1},
}


@pytest.mark.parametrize("kind", CHANGES)
def test_near_twins_are_found_and_named(pictures, kind):
    first = np.stack([view(picture) for picture in pictures])
    again = np.stack([view(picture, **CHANGES[kind]) for picture in pictures[:20]])
    again = np.clip(again.astype(int) + 3, 0, 255).astype(np.uint8)  # never identical
    twins = find_twins(np.concatenate([first, again]))
    assert twins.groups[60:].tolist() == list(range(20))
    assert twins.groups[:60].tolist() == list(range(60))
    assert twins.identical.tolist() == list(range(80))
    assert set(twins.kinds) == {kind}
    assert twins.pairs.tolist() == [[row, 60 + row] for row in range(20)]


def test_near_twins_are_found_at_other_sizes(pictures):
    again = np.stack([view(picture, right=2, down=-1) for picture in pictures[:20]])
    images = np.concatenate([[view(picture) for picture in pictures], again])
    large = np.stack([cv2.resize(image, (64, 64), interpolation=cv2.INTER_CUBIC) for image in images])
    twins = find_twins(large)
    assert twins.pairs.tolist() == [[row, 60 + row] for row in range(20)]
    assert set(twins.kinds) == {"shifted"}


def test_different_pictures_and_flat_ones_are_no_near_twins(pictures):
    grey = np.full((5, 48, 48), 128, np.uint8)
    grey[1:, 0, 0] = [129, 130, 131, 132]
    images = np.concatenate([[view(picture) for picture in pictures], grey])
    twins = find_twins(images)
    assert twins.groups.tolist() == list(range(65))
    assert twins.pairs.shape == (0, 2)
    assert flat(images).tolist() == [False] * 60 + [True] * 5


@pytest.mark.parametrize(("right", "shown"), [(3, True), (40, False), (48, False)])
def test_alignment_ignores_pixels_moved_out_of_the_picture(pictures, right, shown):
    matrix = np.array([[1, 0, right], [0, 1, 0]], np.float32)
    correlation = detail_correlation(view(pictures[0]), view(pictures[0], right=-right), matrix)
    assert correlation > 0.99 if shown else correlation == 0
    assert detail_correlation(np.zeros((48, 48), np.uint8), view(pictures[0]), matrix) == 0


def test_a_chain_of_twins_is_one_group(pictures):
    images = np.stack([view(pictures[0], right=right) for right in (0, 2, 4, 6)] + [view(pictures[1])])
    assert find_twins(images).groups.tolist() == [0, 0, 0, 0, 4]


def test_identical_groups(faces):
    groups = identical_groups(faces.images)
    assert groups[70:73].tolist() == [0, 1, 2]
    assert groups[10] == 3
    assert np.bincount(groups).tolist().count(2) == 4
    assert len(np.unique(groups)) == len(groups) - 4


def test_augmented_copies_are_found(pictures):
    training = np.stack([view(picture) for picture in pictures[:30]])
    held_out = np.stack([view(picture, right=3, down=2, scale=1.1, degrees=-12) for picture in pictures[20:40]])
    queries, targets, _ = search(held_out, training, AUGMENTED)
    assert np.array_equal(targets, queries + 20)  # no wrong one
    assert len(set(queries)) >= 5  # of 10: between the transforms that are tried some are lost


def test_search_in_nothing_finds_nothing():
    queries, targets, kinds = search(np.empty((0, 48, 48), np.uint8), np.empty((0, 48, 48), np.uint8), AUGMENTED)
    assert len(queries) == len(targets) == len(kinds) == 0
