"""Exact search for the nearest of many unit vectors. Other modules call ``nearest`` only."""

import torch
from torch import Tensor

GRID = 2**20  # similarities closer than 1 / GRID count as equal: float32 rounds more finely, faces differ by more
ROWS = 4096  # gallery rows of a float64 block: 8 MiB of similarities for 256 queries
BLOCK = 2**15  # gallery rows of a float32 block: 32 MiB
GROUP = 32  # neighbouring gallery rows; the float32 search sorts the groups first
SPARE = 16  # candidates of the float32 search beyond the k neighbours
SURE = 2.0**-23  # times the dimensions: more than the float32 error of a similarity of unit vectors


def nearest(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the rows and the similarities of the k gallery vectors that are most similar to each query.

    Nearest first. Similarities that agree to 1 / ``GRID`` count as equal, and the earlier row goes first. So every
    device gives the same answer.

    A large gallery is searched in float32 first, and the candidates are compared in float64. If a vector outside the
    candidates could be as near as the last neighbour, the query is searched again in float64. An ONNX model, whose
    graph is fixed, then repeats all queries.

    Args:
        queries: (B, D) floating, norm 1. Memory grows with B.
        gallery: (N, D) float32, norm 1.
        k: Number of neighbours; a smaller gallery is returned as a whole.

    Returns:
        (B, K) int64 and (B, K) float64.
    """
    if not torch.compiler.is_exporting():
        return _nearest(queries, gallery, k)
    # onnxruntime's TopK divides by the number of rows: with no face the process would die.
    one_more = torch.cat([queries, gallery[:1].to(queries.dtype)])
    indices, similarities = _nearest(one_more, gallery, k)
    return indices[:-1], similarities[:-1]


def _nearest(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the answer of ``nearest`` for at least one query; in an ONNX model the last query does not count."""
    exporting, count = torch.compiler.is_exporting(), k + SPARE
    if exporting and len(gallery) > count:
        values, rows = (queries.float() @ gallery.T).topk(count, dim=1)  # groups gain nothing in onnxruntime
    elif not exporting and gallery.device.type == "cpu" and len(gallery) >= 4 * GROUP * count:
        values, rows = _candidates(queries.float(), gallery, count)
    else:
        return _exact(queries, gallery, k)
    similarities = torch.einsum("bd,bfd->bf", queries.double(), gallery[rows].double())
    keys = _keys(similarities, len(gallery), len(gallery) - 1 - rows)
    indices, similarities = _read(keys.topk(k, dim=1).values, len(gallery))
    bound = values[:, -1].double() + SURE * gallery.shape[1]  # no vector outside the candidates is more similar
    unsure = (bound * GRID).round() >= (similarities[:, -1] * GRID).round()
    if exporting:
        return torch.cond(
            unsure[:-1].any(),
            lambda queries, gallery, *_: _exact(queries, gallery, k),
            lambda queries, gallery, *answer: tuple(values.clone() for values in answer),  # torch.cond takes no aliases
            (queries, gallery, indices, similarities),
        )
    if unsure.any():
        indices[unsure], similarities[unsure] = _exact(queries[unsure], gallery, k)
    return indices, similarities


def _exact(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the answer of ``nearest``, computed in float64 throughout."""
    row_keys = torch.arange(len(gallery) - 1, -1, -1, device=gallery.device)
    best = row_keys.new_empty(queries.shape[0], 0)  # len() would fix the number in an ONNX model
    for block, block_keys in zip(gallery.split(ROWS), row_keys.split(ROWS), strict=True):
        keys = _keys(queries.double() @ block.double().T, len(gallery), block_keys)  # (B, ROWS)
        best = torch.cat([best, keys], dim=1)
        best = best.topk(min(k, best.shape[1]), dim=1).values
    return _read(best, len(gallery))


def _candidates(queries: Tensor, gallery: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return similarities (B, count) float32, largest first, and rows (B, count) of the most similar vectors.

    The best ``count`` vectors of a block lie in the ``count`` groups with the best maxima. To sort the groups first is
    faster than to sort all vectors.
    """
    values, rows = queries.new_empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64)
    for start in range(0, len(gallery), BLOCK):
        block = gallery[start : start + BLOCK]
        number = -(-len(block) // GROUP)  # of groups, G
        similarities = queries.new_empty(len(queries), number * GROUP)
        torch.mm(queries, block.T, out=similarities[:, : len(block)])  # with out=, autocast leaves it in float32
        similarities[:, len(block) :] = -torch.inf
        groups = similarities.view(-1, GROUP)  # (B * G, GROUP)
        leading = groups.amax(dim=1).view(-1, number).topk(min(count, number), dim=1).indices  # (B, L)
        members = groups[leading + number * torch.arange(len(queries)).unsqueeze(1)].flatten(1)  # (B, L * GROUP)
        best, position = members.topk(min(count, members.shape[1]), dim=1)
        block_rows = start + leading.gather(1, position // GROUP) * GROUP + position % GROUP
        values, rows = torch.cat([values, best], dim=1), torch.cat([rows, block_rows], dim=1)
    values, position = values.topk(count, dim=1)
    return values, rows.gather(1, position)


def _keys(similarities: Tensor, size: int, row_keys: Tensor) -> Tensor:
    """Return one integer per similarity (B, N) float64 and row: a larger similarity, then an earlier row, is larger.

    The keys are distinct, so no device can order ties in its own way. The sums of CPU and GPU in float64 agree far
    below 1 / ``GRID``.
    """
    return similarities.mul_(GRID).round_().long().mul_(size).add_(row_keys)


def _read(keys: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the rows and the similarities of the keys."""
    row_keys = keys.remainder(size)
    similarities = (keys - row_keys).double() / (size * GRID)  # exact: a multiple of size, below 2**53
    return size - 1 - row_keys, similarities
