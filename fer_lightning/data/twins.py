"""Identical pictures in a table of faces."""

import numpy as np


def identical_groups(images: np.ndarray) -> np.ndarray:
    """Return one group number per picture, (N,) int64: the position of the first picture with the same pixels."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(image.tobytes(), row) for row, image in enumerate(images)], dtype=np.int64)


def count_twins(images: np.ndarray) -> tuple[int, int]:
    """Return how many groups of two or more identical pictures there are, and how many pictures they hold."""
    sizes = np.bincount(identical_groups(images), minlength=1)
    sizes = sizes[sizes > 1]
    return len(sizes), int(sizes.sum())
