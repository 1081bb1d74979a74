"""Twins: faces that are in a table more than once, with identical pixels or as near twins.

A near twin is the same photograph again: compressed or retouched anew, mirrored, shifted, rescaled or slightly rotated.
Two pictures are near twins if an affine map aligns one with the other (or with its mirror image) so that both the
pictures and their details agree. The search has two steps. A tree over the first principal components of small pictures
gives candidates; it is asked once for each of a few transforms. Then each candidate is aligned by the map of G. D.
Evangelidis and E. Z. Psarakis, Parametric image alignment using enhanced correlation coefficient maximization, 2008.
"""

import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from fer_lightning.data.cache import load_arrays, save_arrays
from fer_lightning.progress import track

log = logging.getLogger(__name__)

CACHE_VERSION = 1  # raise it with every change to the results of the search, or to the cache's files

# The search for candidates.
SMALL = 24  # pixels, height and width of the pictures that are compared
COMPONENTS = 12
TREE_COMPONENTS = 8  # the tree uses only these: with all 12 a search takes twice as long and returns a third as many
LEAF = 80  # pictures in a leaf of the tree
RADIUS = 0.2  # unit vectors with a correlation above 0.98 are closer than this, in any number of components
CANDIDATE = 0.88  # least correlation of small pictures before alignment; a shift by one pixel costs about 0.05
CHUNK = 2**15  # pictures in one query of the tree

# The alignment of a candidate.
SIZE = 48  # pixels, height and width of the pictures that are aligned; others are resampled to it
CORRELATION = 0.95  # least correlation of twins after alignment
COVERED = 0.25  # least share of the picture that is compared
DETAIL = 0.85  # least correlation of what a blur removes: 0.1 to 0.6 for different faces, above 0.9 for most twins
BLUR = 2.0  # pixels, standard deviation
FAR = 4  # pixels; 2 % of FER2013's twins on both sides of its split are shifted further
CENTRE = np.full(2, (SIZE - 1) / 2)
MIRROR = np.array([[-1, 0, SIZE - 1], [0, 1, 0], [0, 0, 1]], dtype=float)  # about the vertical middle line

FLAT = 8  # a picture with fewer grey values between its darkest and brightest pixel shows nothing
COPIED = ("mirrored", "rotated", "shifted far")  # kinds that augmentation makes, and a second copy hardly ever has

Transform = tuple[bool, float, float, float, float]  # mirrored, shift right and down in pixels, scale, degrees
# (query, target, mirrored) -> correlation of the small pictures, and the affine map (2, 3) that gave it
Candidates = dict[tuple[int, int, bool], tuple[float, np.ndarray]]

# Either of two shifted pictures may be the query, so half of the directions is enough.
SECOND_COPY: tuple[Transform, ...] = (
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
# The changes of augmentation, which are larger than those between two copies of a photograph.
AUGMENTED: tuple[Transform, ...] = tuple(
    product((False, True), (-4, 0, 4), (-4, 0, 4), (0.9, 1, 1.12), (-20, -13, -6, 0, 6, 13, 20))
)


@dataclass(frozen=True)
class Twins:
    """Groups of faces in a table that are the same picture.

    Attributes:
        identical: (N,) int64, group of pixel-identical pictures: the row of the first picture in the group.
        groups: (N,) int64, group of identical and near twins together, numbered in the same way.
        pairs: (T, 2) int64, rows of near twins. Of identical pictures only the first is compared.
        kinds: (T,) str, difference of each pair: "mirrored", "rotated", "shifted far", "rescaled", "shifted" or
            "retouched".
    """

    identical: np.ndarray
    groups: np.ndarray
    pairs: np.ndarray
    kinds: np.ndarray


def find_twins(images: np.ndarray) -> Twins:
    """Return all twins among images (N, H, W) uint8; flat pictures only as identical twins."""
    identical = identical_groups(images)
    heads = np.flatnonzero((identical == np.arange(len(images))) & ~flat(images))
    unique = images[heads]
    queries, targets, kinds = search(unique, unique, SECOND_COPY)
    pairs = np.stack([heads[queries], heads[targets]], axis=1)
    pairs.sort(axis=1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)  # the search may return (a, b) and (b, a)
    return Twins(identical, connect(identical, pairs), pairs, kinds[first])


def load_twins(images: np.ndarray, cache_dir: str) -> Twins:
    """Return all twins among images; an earlier search in the same images is read from the cache."""
    key = hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()[:32]
    path = Path(cache_dir) / f"twins-v{CACHE_VERSION}-{images.shape[-1]}px-{key}.npz"
    arrays = load_arrays(path)
    if arrays is None:
        log.info("audit: searching for twins among %d faces; the result is cached", len(images))
        arrays = vars(find_twins(images))
        save_arrays(path, arrays)
    return Twins(**arrays)


def connect(groups: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return (N,) int64, the groups that remain if the two rows of each pair are in one group.

    Args:
        groups: (N,) int64, group of each row: the number of one of its rows.
        pairs: (T, 2) int64, rows.

    Returns:
        Group of each row: the number of its first row.
    """
    links = np.concatenate([pairs, np.stack([np.arange(len(groups)), groups], axis=1)])
    graph = coo_array((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(len(groups),) * 2)
    components = connected_components(graph, directed=False)[1]
    _, first_rows = np.unique(components, return_index=True)
    return first_rows[components].astype(np.int64)


def identical_groups(images: np.ndarray) -> np.ndarray:
    """Return the group of each picture, (N,) int64: the position of the first picture with the same pixels."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(image.tobytes(), row) for row, image in enumerate(images)], dtype=np.int64)


def flat(images: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether all pixels of a picture have nearly the same grey value (see ``FLAT``)."""
    return np.ptp(images.reshape(len(images), -1), axis=1) < FLAT


def search(
    queries: np.ndarray, targets: np.ndarray, transforms: Sequence[Transform]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of a query and a target that become equal by one of the transforms and then an affine map.

    Args:
        queries: (Q, H, W) uint8; the same array as ``targets`` to search a table in itself.
        targets: (N, H, W) uint8.
        transforms: Changes of the queries, tried one after the other.

    Returns:
        Positions of the queries (T,) and targets (T,), int64, and the kind of each pair (T,), as in ``Twins``.
    """
    if len(queries) == 0 or len(targets) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, "<U11")
    same_table = queries is targets
    queries, targets = _resize(queries), _resize(targets)
    candidates = _find_candidates(queries, targets, transforms, same_table)
    keys_of_pair: dict[tuple, list[tuple[int, int, bool]]] = {}  # in one table (a, b) and (b, a) are the same pair
    for key in candidates:
        keys_of_pair.setdefault(tuple(sorted(key[:2])) if same_table else key, []).append(key)

    def compare(keys: list[tuple[int, int, bool]]) -> tuple[int, int, str] | None:
        """Return the first candidate of a pair that can be aligned, and its kind."""
        for query, target, mirrored in keys:
            _, matrix = candidates[query, target, mirrored]
            if kind := align(queries[query], targets[target], mirrored, matrix):
                return query, target, kind
        return None

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = threads.map(compare, keys_of_pair.values())
        pairs = [pair for pair in track(results, "comparing candidates for twins", len(keys_of_pair)) if pair]
    positions = np.array([pair[:2] for pair in pairs], dtype=np.int64).reshape(-1, 2)
    return positions[:, 0], positions[:, 1], np.array([kind for *_, kind in pairs], dtype="<U11")


def align(query: np.ndarray, target: np.ndarray, mirrored: bool, matrix: np.ndarray) -> str:
    """Return the kind of difference between twins, or "" if the two pictures are none.

    Args:
        query: (SIZE, SIZE) uint8.
        target: (SIZE, SIZE) uint8.
        mirrored: Whether the query is mirrored.
        matrix: (2, 3), a rough affine map from the query to the target.
    """
    if mirrored:
        query = np.ascontiguousarray(query[:, ::-1])
        matrix = matrix @ MIRROR
    start = cv2.invertAffineTransform(matrix).astype(np.float32)  # from target to query
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    try:
        # OpenCV's stubs lack the call with a filter size and without a mask.
        correlation, matrix = cv2.findTransformECC(  # type: ignore[call-overload]
            target, query, start, cv2.MOTION_AFFINE, stop, None, 5
        )
    except cv2.error:  # did not converge: different pictures
        return ""
    if correlation < CORRELATION or detail_correlation(query, target, matrix) < DETAIL:
        return ""
    if mirrored:
        return "mirrored"
    if abs(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) > 2:
        return "rotated"
    shift = np.linalg.norm(matrix @ [*CENTRE, 1] - CENTRE)
    if shift > FAR:
        return "shifted far"
    if abs(np.sqrt(abs(np.linalg.det(matrix[:, :2]))) - 1) > 0.03:
        return "rescaled"
    return "shifted" if shift > 0.75 else "retouched"


def detail_correlation(query: np.ndarray, target: np.ndarray, matrix: np.ndarray) -> float:
    """Return the correlation of the details of a target and an aligned query; 0 if too little can be compared.

    Args:
        query: (H, W) uint8.
        target: (H, W) uint8.
        matrix: (2, 3), affine map from the target to the query.
    """
    size = target.shape[::-1]
    aligned = cv2.warpAffine(query, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    covered = cv2.warpAffine(np.ones_like(query), matrix, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    covered = cv2.erode(covered, np.ones((5, 5)), borderValue=0).astype(bool)  # the blur mixes the border in
    pair = np.stack([aligned, target]).astype(np.float32)
    details = [(image - cv2.GaussianBlur(image, (0, 0), BLUR))[covered] for image in pair]
    if covered.mean() < COVERED or not all(map(np.any, details)):
        return 0.0
    return float(np.corrcoef(*details)[0, 1])


def _resize(images: np.ndarray) -> np.ndarray:
    """Return (N, SIZE, SIZE) uint8."""
    if images.shape[1:] == (SIZE, SIZE):
        return images
    return np.stack([cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for image in images])


def _find_candidates(
    queries: np.ndarray, targets: np.ndarray, transforms: Sequence[Transform], same_table: bool
) -> Candidates:
    """Return the pairs that may be twins, by a tree over the principal components of small pictures."""
    small = _shrink(targets)
    sample = small[:: max(1, len(small) // 4000)]
    components = np.linalg.eigh(sample.T @ sample)[1][:, : -COMPONENTS - 1 : -1]  # (SMALL * SMALL, 12)
    points = (small @ components).astype(float)
    order = _leaf_order(points)
    tree = cKDTree(points[order, :TREE_COMPONENTS], LEAF)
    candidates: Candidates = {}
    step = max(1, CHUNK // len(queries))
    for start in track(range(0, len(transforms), step), "searching for twins"):
        chosen = transforms[start : start + step]
        matrices = [_matrix(transform) for transform in chosen]
        moved = _shrink(_warp(image, matrix) for matrix in matrices for image in queries)
        moved_points = (moved @ components).astype(float)
        moved_order = _leaf_order(moved_points)
        neighbours = tree.query_ball_point(
            moved_points[moved_order, :TREE_COMPONENTS], RADIUS, workers=-1, return_sorted=False
        )
        neighbours = neighbours[np.argsort(moved_order)]
        sources = np.repeat(np.arange(len(moved)), [len(rows) for rows in neighbours])
        hits = order[np.concatenate([np.array(rows, dtype=np.int64) for rows in neighbours])]
        for block in range(0, len(sources), CHUNK):
            source, hit = sources[block : block + CHUNK], hits[block : block + CHUNK]
            close = ((moved_points[source] - points[hit]) ** 2).sum(axis=1) <= RADIUS**2
            source, hit = source[close], hit[close]
            correlations = np.einsum("ij,ij->i", moved[source], small[hit])
            for index in np.flatnonzero(correlations > CANDIDATE):
                transform, query = divmod(int(source[index]), len(queries))
                target, mirrored = int(hit[index]), chosen[transform][0]
                if same_table and query == target:
                    continue
                best, _ = candidates.get((query, target, mirrored), (0.0, None))
                if correlations[index] > best:
                    candidates[query, target, mirrored] = (correlations[index], matrices[transform])
    return candidates


def _leaf_order(points: np.ndarray) -> np.ndarray:
    """Return the rows in the order of a tree's leaves, so that neighbours are close in memory too."""
    return cKDTree(points[:, :TREE_COMPONENTS], LEAF).indices


def _shrink(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return (N, SMALL * SMALL) float32: small pictures with mean 0 and norm 1."""
    small = np.stack([cv2.resize(image, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for image in images])
    small = small.reshape(-1, SMALL**2).astype(np.float32)
    small -= small.mean(axis=1, keepdims=True)
    return np.divide(small, np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6), out=small)


def _matrix(transform: Transform) -> np.ndarray:
    """Return the affine map (2, 3) from the pixels of a picture to those of the transformed picture."""
    mirrored, right, down, scale, degrees = transform
    matrix = cv2.getRotationMatrix2D(CENTRE.tolist(), degrees, scale)
    matrix[:, 2] += np.array([right, down])
    return matrix @ MIRROR if mirrored else matrix


def _warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
