"""Faces that stand in a table more than once: identical pixels, and near twins.

A near twin is the same photograph again: compressed or retouched anew, mirrored, shifted, rescaled or slightly rotated.
Two pictures are near twins when an affine map lays one over the other (or its mirror image) so that both the pictures
and their details agree. The search is in two steps: candidates from a tree over the first principal components of small
pictures, asked once for each of a few transforms, then the alignment of each candidate (G. D. Evangelidis and E. Z.
Psarakis, Parametric image alignment using enhanced correlation coefficient maximization, 2008).
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

from fer_lightning.data.progress import track

SIZE = 48  # pixels, height and width of the pictures that are compared; others are resampled to it
SMALL = 24  # pixels, height and width of the pictures that candidates are searched among
COMPONENTS = 12
PLANTED = 8  # of them, that the tree is made of: with all, it takes twice as long to find a third as many
LEAF = 40  # pictures of a leaf of the tree
RADIUS = 0.2  # unit vectors with a correlation above 0.98 are nearer than this, in any number of components
CANDIDATE = 0.88  # correlation of the small pictures, not aligned yet; a shift by one pixel costs about 0.05
TWIN = 0.95  # correlation after alignment, and
DETAIL = 0.85  # correlation of what a blur takes away: 0.1 to 0.6 between different faces, above 0.9 between most twins
BLUR = 2.0  # pixels, standard deviation
ASKED = 2**15  # pictures that are looked for at once
MIDDLE = (SIZE - 1) / 2
MIRROR = np.array([[-1, 0, SIZE - 1], [0, 1, 0], [0, 0, 1]], dtype=float)  # about the vertical middle line
FAR = 4  # pixels; 2 % of FER2013's twins on both sides of its split are shifted further
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
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        aligned = threads.map(lambda key: _align(queries[key[0]], targets[key[1]], key[2], best[key][1]), best)
        kinds = list(track(aligned, "comparing what may be twins", len(best)))
    pairs = [(query, target) for (query, target, _), kind in zip(best, kinds, strict=True) if kind]
    positions = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return positions[:, 0], positions[:, 1], np.array([kind for kind in kinds if kind], dtype="<U11")


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
    tree = cKDTree(places[:, :PLANTED], LEAF)
    best: Candidates = {}
    at_once = max(1, ASKED // len(queries))
    for start in track(range(0, len(transforms), at_once), "looking for twins"):
        some = transforms[start : start + at_once]
        moved = _small([_warp(image, matrix) for matrix in map(_matrix, some) for image in queries])
        moved_places = (moved @ components).astype(float)
        found = tree.query_ball_point(moved_places[:, :PLANTED], RADIUS, workers=-1)
        asked = np.repeat(np.arange(len(moved)), [len(rows) for rows in found])
        target = np.concatenate([np.array(rows, dtype=np.int64) for rows in found])
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
                    best[key] = (correlations[at], _matrix(some[transform]))
    return best


def _small(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return (N, SMALL * SMALL) float32: small pictures without their mean, at length 1."""
    small = np.stack([cv2.resize(image, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for image in images])
    small = small.reshape(-1, SMALL**2).astype(np.float32)
    small -= small.mean(axis=1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)


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


def _align(query: np.ndarray, target: np.ndarray, mirrored: bool, matrix: np.ndarray) -> str:
    """Return what maps the query onto the target, or "" where nothing does."""
    if mirrored:
        query = np.ascontiguousarray(query[:, ::-1])
        matrix = matrix @ MIRROR
    start = cv2.invertAffineTransform(matrix).astype(np.float32)  # from target to query
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    try:
        # The stubs know no call with a filter size and without a mask.
        correlation, found = cv2.findTransformECC(  # type: ignore[call-overload]
            target, query, start, cv2.MOTION_AFFINE, stop, None, 5
        )
    except cv2.error:  # did not converge: not the same picture
        return ""
    if correlation < TWIN or _detail_correlation(query, target, found) < DETAIL:
        return ""
    if mirrored:
        return "mirrored"
    if abs(np.degrees(np.arctan2(found[1, 0], found[0, 0]))) > 2:
        return "rotated"
    shift = np.linalg.norm(found @ [MIDDLE, MIDDLE, 1] - np.array([MIDDLE, MIDDLE]))
    if shift > FAR:
        return "shifted far"
    if abs(np.sqrt(abs(np.linalg.det(found[:, :2]))) - 1) > 0.03:
        return "rescaled"
    return "shifted" if shift > 0.75 else "retouched"


def _detail_correlation(query: np.ndarray, target: np.ndarray, matrix: np.ndarray) -> float:
    """Return how far the details agree where the query, mapped by (2, 3) from target to query, covers the target."""
    size = target.shape[::-1]
    aligned = cv2.warpAffine(query, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    covered = cv2.warpAffine(np.ones_like(query), matrix, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    covered = cv2.erode(covered, np.ones((5, 5)), borderValue=0).astype(bool)  # the blur mixes the border in
    pair = np.stack([aligned, target]).astype(np.float32)
    details = [(image - cv2.GaussianBlur(image, (0, 0), BLUR))[covered] for image in pair]
    return float(np.corrcoef(*details)[0, 1])
