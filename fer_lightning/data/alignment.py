"""Whether an affine map lays one picture over another so that both the pictures and their details agree.

The map is that of G. D. Evangelidis and E. Z. Psarakis, Parametric image alignment using enhanced correlation
coefficient maximization, 2008.
"""

import cv2
import numpy as np

SIZE = 48  # pixels, height and width of the pictures that are compared; others are resampled to it
TWIN = 0.95  # correlation after alignment, and
COVERED = 0.25  # of the picture, at least; and
DETAIL = 0.85  # correlation of what a blur takes away: 0.1 to 0.6 between different faces, above 0.9 between most twins
BLUR = 2.0  # pixels, standard deviation
FAR = 4  # pixels; 2 % of FER2013's twins on both sides of its split are shifted further
MIDDLE = (SIZE - 1) / 2
MIRROR = np.array([[-1, 0, SIZE - 1], [0, 1, 0], [0, 0, 1]], dtype=float)  # about the vertical middle line


def align(query: np.ndarray, target: np.ndarray, mirrored: bool, matrix: np.ndarray) -> str:
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
    if correlation < TWIN or detail_correlation(query, target, found) < DETAIL:
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


def detail_correlation(query: np.ndarray, target: np.ndarray, matrix: np.ndarray) -> float:
    """Return how far the details agree where the query, mapped by (2, 3) from target to query, covers the target.

    Where it covers less than ``COVERED``, or one tone, that shows nothing and counts as 0.
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
