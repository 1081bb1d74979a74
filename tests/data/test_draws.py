"""The even draw that a limit of the Trainer leaves: every class keeps its share, wherever the faces stand."""

import numpy as np
import pytest

from fer_lightning.data.draws import even_draw_first, read_draw
from fer_lightning.errors import UserError

SHARES = [400, 40, 160, 200]  # faces of each class
SORTED = np.repeat(np.arange(4), SHARES)


@pytest.mark.parametrize("labels", [SORTED, SORTED[::-1], np.random.default_rng(0).permutation(SORTED)])
@pytest.mark.parametrize(("limit", "size"), [(2, 200), (0.25, 200), (0.1, 0), (8, 800), (9, 800), (1.0, 800), (0, 0)])
def test_the_first_batches_hold_every_class_in_its_share(labels, limit, size):
    positions = even_draw_first(labels, 100, limit)
    assert sorted(positions) == list(range(800))  # no face is lost or doubled
    drawn = positions[:size]
    assert np.bincount(labels[drawn], minlength=4).tolist() == [faces * size // 800 for faces in SHARES]
    assert (np.diff(drawn) > 0).all()


def test_classes_in_turn_are_drawn_evenly_too():
    """Every nth face of such a table would be of one class."""
    labels = np.arange(700) % 7
    counts = np.bincount(labels[even_draw_first(labels, 100, 1)[:100]])
    assert sorted(counts) == [14, 14, 14, 14, 14, 15, 15]


def test_a_draw_is_read_from_a_checkpoint():
    content = {"gallery": [3, 5], "training": 28709, "validated": 1024, "validation": 3589}
    text = "fitted on 2 of 28,709 training faces, and validated on 1,024 of 3,589 validation faces"
    assert text in str(read_draw({"draw": content}, "checkpoint=x"))
    assert read_draw({}, "checkpoint=x") is None
    for wrong in ({}, {**content, "gallery": ["a"]}, {**content, "more": 1}, [1]):
        with pytest.raises(UserError, match=r"^checkpoint=x holds a draw that no training saves"):
            read_draw({"draw": wrong}, "checkpoint=x")
