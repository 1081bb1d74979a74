"""The pen draws a face at every size."""

import numpy as np
import pytest

from fer_lightning.data.demo import draw_faces

COUNT, SHARE, SEED, SIZE = 100, 0.13, 7, 48


@pytest.fixture(scope="module")
def faces():
    return draw_faces(COUNT, SHARE, SEED, SIZE)


def test_the_same_faces_are_drawn_at_every_size(faces):
    """Squares of 2 x 2 pixels at twice the size are the same pixels, but for edges and noise."""
    large = draw_faces(COUNT, SHARE, SEED, 2 * SIZE)
    np.testing.assert_array_equal(large.names, faces.names)
    halved = large.images.reshape(COUNT, SIZE, 2, SIZE, 2).mean((2, 4))
    assert np.abs(halved - faces.images).mean() < 5  # 60 between two faces
