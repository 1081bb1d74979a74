"""Answers of two backends are compared: a tie is no fault."""

from types import SimpleNamespace

import numpy as np
import pytest

from fer_lightning.use.answers import Agreement, Answers, compare


def test_tie_at_the_last_neighbour_is_told_from_a_fault():
    labels, vectors = np.zeros(2, np.int64), np.zeros((2, 3), np.float32)
    votes, others = np.float32([[1, 0], [0.5, 0.5]]), np.float32([[1, 0], [0.6, 0.4]])
    last = 0.5 + 2**-20
    near = ([[0, 1], [0, 1]], [[0.9, 0.8], [0.9, last]]), ([[0, 1], [0, 2]], [[0.9, 0.8], [0.9, 0.5]])
    far = ([[0, 1], [0, 1]], [[0.9, 0.8], [0.9, last]]), ([[0, 1], [2, 1]], [[0.9, 0.8], [0.95, last]])

    def agree(one, other):
        answers = [
            Answers(labels, shares, vectors, *map(np.array, columns), np.zeros((2, 2), np.int64))
            for shares, columns in ((votes, one), (others, other))
        ]
        backends = [SimpleNamespace(answer=lambda *_, answer=answer: answer) for answer in answers]
        return compare(*backends, np.zeros((2, 48, 48), np.uint8))

    assert agree(*near) == Agreement(0, 0.0, 1)
    assert (agree(*far).tied, agree(*far).largest_difference) == (0, pytest.approx(0.1))
