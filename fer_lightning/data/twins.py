"""Faces that stand in a table more than once: identical pixels, and near twins.

A near twin is the same photograph again: compressed or retouched anew, mirrored, shifted, rescaled or slightly rotated.
Two pictures are near twins when an affine map lays one over the other (or its mirror image) so that both the pictures
and their details agree. The search is in two steps: candidates from a tree over the first principal components of small
pictures, asked once for each of a few transforms, then the alignment of each candidate.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from fer_lightning.data.alignment import MIDDLE, MIRROR, SIZE, align
from fer_lightning.data.progress import track

SMALL = 24  # pixels, height and width of the pictures that candidates are searched among
COMPONENTS = 12
PLANTED = 8  # of them, that the tree is made of: with all, it takes twice as long to find a third as many
LEAF = 80  # pictures of a leaf of the tree
RADIUS = 0.2  # unit vectors with a correlation above 0.98 are nearer than this, in any number of components
CANDIDATE = 0.88  # correlation of the small pictures, not aligned yet; a shift by one pixel costs about 0.05
ASKED = 2**15  # pictures that are looked for at once
COPIED = ("mirrored", "rotated", "shifted far")  # the kinds that augmentation makes, and a second copy hardly ever is
FLAT = 8  # grey values between the darkest and the brightest pixel, below which a picture shows nothing

Transform = tuple[bool, float, float, float, float]  # mirrored, shift right and down in pixels, scale, degrees
# (query, target, mirrored) -> correlation of the small pictures, and the affine map (2, 3) that gave it
Candidates = dict[tuple[int, int, bool], tuple[float, np.ndarray]]

# Of two pictures shifted against each other either may be asked for, so half of the directions is enough.
NEAR: tuple[Transform, ...] = (
    (False, 0, 0, 1, 0),
    (False, 2, 0, 1, 0),
    (False, 0, 2, 1, 0),
    (False, 2, 2, 1, 0),
    (False, 2, -2, 1, 0),
    (False, 0, 4, 1, 0),
    (False, 0, 0, 1.09, 0),
    (False, 0, 3, 1.09, 0),
    (False, 0, -3, 1.09, 0),
    (False, 0, 0, 1.18, 0),
    (True, 0, 0, 1, 0),
    (True, 2, 0, 1, 0),
    (True, 0, 2, 1, 0),
    (True, 0, 0, 1.09, 0),
)
# What augmentation does to a face, and more than a second copy of a photograph would show.
AUGMENTED: tuple[Transform, ...] = tuple(
    product((False, True), (-4, 0, 4), (-4, 0, 4), (0.9, 1, 1.12), (-20, -13, -6, 0, 6, 13, 20))
)


@dataclass(frozen=True)
class Twins:
    """Which faces of a table are the same picture.

    Attributes:
        identical: (N,) int64, a number per group of pixel-identical pictures: the row of its first one.
        near: (N,) int64, the same for identical and near twins together.
        pairs: (T, 2) int64, rows of the near twins that were found; of identical pictures only the first is compared.
        kinds: (T,) str, what maps one onto the other: "mirrored", "rotated", "shifted far", "rescaled", "shifted" or
            "retouched".
    """

    identical: np.ndarray
    near: np.ndarray
    pairs: np.ndarray
    kinds: np.ndarray


def find_twins(images: np.ndarray) -> Twins:
    """Return all twins among images (N, H, W) uint8; flat pictures only as identical twins."""
    identical = identical_groups(images)
    heads = np.flatnonzero((identical == np.arange(len(images))) & ~flat(images))
    candidates = images[heads]
    queries, targets, kinds = search(candidates, candidates, NEAR)
    pairs = np.stack([heads[queries], heads[targets]], axis=1)
    pairs.sort(axis=1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)  # each pair is found from both its sides
    links = np.concatenate([pairs, np.stack([np.arange(len(images)), identical], axis=1)])
    graph = coo_array((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(len(images),) * 2)
    components = connected_components(graph, directed=False)[1]
    _, heads_of_components = np.unique(components, return_index=True)
    return Twins(identical, heads_of_components[components].astype(np.int64), pairs, kinds[first])


def identical_groups(images: np.ndarray) -> np.ndarray:
    """Return one group number per picture, (N,) int64: the position of the first picture with the same pixels."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(image.tobytes(), row) for row, image in enumerate(images)], dtype=np.int64)


def flat(images: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether a picture has one tone, give or take ``FLAT``."""
    return np.ptp(images.reshape(len(images), -1), axis=1) < FLAT


def count_twins(groups: np.ndarray) -> tuple[int, int]:
    """Return how many groups of two or more pictures there are, and how many pictures they hold."""
    sizes = np.bincount(groups, minlength=1)
    sizes = sizes[sizes > 1]
    return len(sizes), int(sizes.sum())


def search(
    queries: np.ndarray, targets: np.ndarray, transforms: Sequence[Transform]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs (query, target) that one of the transforms, then an affine map, makes the same.

    Args:
        queries: (Q, H, W) uint8; the same array as ``targets`` to search a table in itself.
        targets: (N, H, W) uint8.
        transforms: Each is done to the queries before they are looked for.

    Returns:
        Positions of the queries (T,) and targets (T,), int64, and the kind of each pair (T,), as in ``Twins``.
    """
    if len(queries) == 0 or len(targets) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, "<U11")
    itself = queries is targets
    queries, targets = _at_size(queries), _at_size(targets)
    best = _candidates(queries, targets, transforms, itself)
    sides: dict[tuple, list[tuple[int, int, bool]]] = {}  # in itself, a pair may be found from both its sides
    for key in best:
        sides.setdefault(tuple(sorted(key[:2])) if itself else key, []).append(key)

    def compare(keys: list[tuple[int, int, bool]]) -> tuple[int, int, str] | None:
        """Return the pair and its kind from the first side that shows one."""
        for query, target, mirrored in keys:
            matrix = best[query, target, mirrored][1]
            if kind := align(queries[query], targets[target], mirrored, matrix):
                return query, target, kind
        return None

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        compared = track(threads.map(compare, sides.values()), "comparing what may be twins", len(sides))
        found = list(filter(None, compared))
    positions = np.array([pair[:2] for pair in found], dtype=np.int64).reshape(-1, 2)
    return positions[:, 0], positions[:, 1], np.array([kind for *_, kind in found], dtype="<U11")


def _at_size(images: np.ndarray) -> np.ndarray:
    """Return (N, SIZE, SIZE) uint8."""
    if images.shape[1:] == (SIZE, SIZE):
        return images
    return np.stack([cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for image in images])


def _candidates(queries: np.ndarray, targets: np.ndarray, transforms: Sequence[Transform], itself: bool) -> Candidates:
    """Return what may be twins, from a tree over the principal components of small pictures."""
    small = _small(targets)
    sample = small[:: max(1, len(small) // 4000)]
    components = np.linalg.eigh(sample.T @ sample)[1][:, : -COMPONENTS - 1 : -1]  # (SMALL * SMALL, 12)
    places = (small @ components).astype(float)
    rows = _in_leaves(places)
    tree = cKDTree(places[rows, :PLANTED], LEAF)
    best: Candidates = {}
    at_once = max(1, ASKED // len(queries))
    for start in track(range(0, len(transforms), at_once), "looking for twins"):
        some = transforms[start : start + at_once]
        matrices = [_matrix(transform) for transform in some]
        moved = _small(_warp(image, matrix) for matrix in matrices for image in queries)
        moved_places = (moved @ components).astype(float)
        in_turn = _in_leaves(moved_places)
        found = tree.query_ball_point(moved_places[in_turn, :PLANTED], RADIUS, workers=-1, return_sorted=False)
        found = found[np.argsort(in_turn)]
        asked = np.repeat(np.arange(len(moved)), [len(near) for near in found])
        target = rows[np.concatenate([np.array(near, dtype=np.int64) for near in found])]
        for block in range(0, len(asked), ASKED):
            some_asked, some_target = asked[block : block + ASKED], target[block : block + ASKED]
            near = ((moved_places[some_asked] - places[some_target]) ** 2).sum(axis=1) <= RADIUS**2
            some_asked, some_target = some_asked[near], some_target[near]
            correlations = np.einsum("ij,ij->i", moved[some_asked], small[some_target])
            for at in np.flatnonzero(correlations > CANDIDATE):
                transform, query = divmod(int(some_asked[at]), len(queries))
                key = (query, int(some_target[at]), some[transform][0])
                if itself and key[0] == key[1]:
                    continue
                if key not in best or best[key][0] < correlations[at]:
                    best[key] = (correlations[at], matrices[transform])
    return best


def _in_leaves(places: np.ndarray) -> np.ndarray:
    """Return the rows in the order of a tree's leaves: what is looked at together then lies together in memory."""
    return cKDTree(places[:, :PLANTED], LEAF).indices


def _small(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return (N, SMALL * SMALL) float32: small pictures without their mean, at length 1."""
    small = np.stack([cv2.resize(image, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for image in images])
    small = small.reshape(-1, SMALL**2).astype(np.float32)
    small -= small.mean(axis=1, keepdims=True)
    return np.divide(small, np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6), out=small)


def _matrix(transform: Transform) -> np.ndarray:
    """Return the affine map (2, 3) from a picture's coordinates to those of the transformed one."""
    mirrored, right, down, scale, degrees = transform
    matrix = cv2.getRotationMatrix2D((MIDDLE, MIDDLE), degrees, scale)
    matrix[:, 2] += np.array([right, down])
    if mirrored:
        matrix = matrix @ MIRROR
    return matrix


def _warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
