"""The nearest of known unit vectors, exactly: a plain search, and a quick one that answers as the plain one does."""

import torch
from torch import Tensor

GRID = 2**20  # similarities closer than 1 / GRID count as equal: float32 rounding is finer, faces differ by more
ROWS = 4096  # of the gallery that the plain search looks at once: 8 MiB of similarities for 256 queries
BLOCK = 2**15  # of the gallery that the quick one does: 32 MiB
PIECE = 2048  # of a block that it multiplies at once: as large as the processor's cache likes them
GROUP = 32  # neighbouring rows of the gallery, of which the quick search looks at the best first
SPARE = 16  # faces that the quick search finds beyond those that are asked for
SURE = 2.0**-23  # of the number of dimensions: more than float32 can be wrong by in the similarity of unit vectors


def nearest(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the rows and the similarities of the k vectors that are most similar to each query, nearest first.

    Similarities that agree to 1 / ``GRID`` count as equal, and the earlier row goes first. The plain search serves
    small galleries and other devices than the CPU; the others are searched in float32 and give the same answer: see
    ``quick`` and, for ONNX models, ``exported``.

    Args:
        queries: (B, D) floating, norm 1; their similarities to ``BLOCK`` rows are held at once.
        gallery: (N, D) float32, norm 1.
        k: Rows to find, or all where there are fewer.

    Returns:
        (B, K) int64 and (B, K) float64.
    """
    if torch.compiler.is_exporting():
        return exported(queries, gallery, k) if len(gallery) > k + SPARE else plain(queries, gallery, k)
    small = len(gallery) < 4 * GROUP * (k + SPARE)
    if small or gallery.device.type != "cpu" or torch.jit.is_tracing():
        return plain(queries, gallery, k)
    return quick(queries, gallery, k)


def plain(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return what ``nearest`` does, by float64 throughout."""
    # One integer holds (similarity on the grid, earlier row first): keys are distinct, so no device is free
    # to order ties in its own way. float64: the sums of CPU and GPU agree far below 1 / GRID.
    row_keys = torch.arange(len(gallery) - 1, -1, -1, device=gallery.device)
    best = row_keys.new_empty(queries.shape[0], 0)  # not len(), which would fix the number in an ONNX model
    for block, block_keys in zip(gallery.split(ROWS), row_keys.split(ROWS), strict=True):
        keys = _keys(queries.double() @ block.double().T, len(gallery), block_keys)  # (B, ROWS)
        best = torch.cat([best, keys], dim=1)
        best = best.topk(min(k, best.shape[1]), dim=1).values
    return _read(best, len(gallery))


def quick(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return what ``plain`` does, by float32 first and float64 for what that finds.

    A query's answer counts if no face that was passed over can be as near as its last one, whatever float32 has
    rounded; the other queries are asked again by ``plain``.

    Args:
        queries: As of ``nearest``.
        gallery: As of ``nearest``, N at least ``GROUP`` * (k + ``SPARE``).
        k: As of ``nearest``.
    """
    size, found = len(gallery), k + SPARE
    values, rows = queries.new_empty(len(queries), 0, dtype=torch.float32), torch.empty(len(queries), 0).long()
    for start in range(0, size, BLOCK):
        block_values, block_rows = _best(queries.float(), gallery[start : start + BLOCK], found)
        values, rows = torch.cat([values, block_values], dim=1), torch.cat([rows, block_rows + start], dim=1)
    values, places = values.topk(found, dim=1)
    indices, similarities, unsure = _look_again(queries, gallery, k, values, rows.gather(1, places))
    if unsure.any():
        indices[unsure], similarities[unsure] = plain(queries[unsure], gallery, k)
    return indices, similarities


def exported(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return what ``plain`` does as a graph that does what ``quick`` does, and asks all queries again if it asks one.

    Args:
        queries: As of ``nearest``.
        gallery: As of ``nearest``, N more than k + ``SPARE``.
        k: As of ``nearest``.
    """
    values, rows = (queries.float() @ gallery.T).topk(k + SPARE, dim=1)  # onnxruntime gains nothing by groups
    indices, similarities, unsure = _look_again(queries, gallery, k, values, rows)
    return torch.cond(
        unsure.any(),
        lambda queries, gallery, *found: plain(queries, gallery, k),
        lambda queries, gallery, *found: tuple(values.clone() for values in found),  # torch.cond takes no aliases
        (queries, gallery, indices, similarities),
    )


def _look_again(queries: Tensor, gallery: Tensor, k: int, values: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
    """Return what ``nearest`` does of the faces that float32 finds, and which queries (B,) are to be asked again.

    Args:
        queries: As of ``nearest``.
        gallery: As of ``nearest``.
        k: As of ``nearest``.
        values: (B, F) float32, the similarities of those faces, largest first.
        rows: (B, F) int64, their rows.
    """
    size = len(gallery)
    exact = torch.einsum("bd,bfd->bf", queries.double(), gallery[rows].double())
    best = _keys(exact, size, size - 1 - rows).topk(k, dim=1).values
    indices, similarities = _read(best, size)
    passed_over = values[:, -1].double() + SURE * gallery.shape[1]  # no other face is nearer
    return indices, similarities, (passed_over * GRID).round() >= (similarities[:, -1] * GRID).round()


def _best(queries: Tensor, block: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return float32 similarities (B, count), and rows of the block, of those that float32 finds the most similar.

    The best ``count`` faces lie in the ``count`` groups whose best faces are best, which are fewer to sort.
    """
    pieces, asked = -(-len(block) // PIECE), len(queries)
    similarities = queries.new_empty(pieces, asked, PIECE)
    similarities[-1] = -torch.inf  # where the last piece is shorter
    with torch.autocast(block.device.type, enabled=False):  # which would compute in half precision
        if asked == 1:  # in one piece; numpy is faster yet, but waits for milliseconds where torch has several threads
            similarities.view(-1)[: len(block)] = block @ queries[0]
        else:
            for piece, rows in zip(similarities, block.split(PIECE), strict=True):
                torch.mm(queries, rows.T, out=piece[:, : len(rows)])
    groups = PIECE // GROUP  # of a piece
    best = similarities.unflatten(2, (groups, GROUP)).amax(dim=3).transpose(0, 1).flatten(1)  # (B, P * groups)
    leading = best.topk(min(count, best.shape[1]), dim=1).indices  # (B, L)
    places = (leading // groups * asked + torch.arange(asked).unsqueeze(1)) * groups + leading % groups
    values, chosen = similarities.view(-1, GROUP)[places].flatten(1).topk(count, dim=1)
    return values, leading.gather(1, chosen // GROUP) * GROUP + chosen % GROUP


def _keys(similarities: Tensor, size: int, row_keys: Tensor) -> Tensor:
    """Return one integer for a similarity (B, N) float64 and the row that it belongs to."""
    return similarities.mul_(GRID).round_().long().mul_(size).add_(row_keys)


def _read(keys: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the rows and the similarities that ``_keys`` has put into integers."""
    earlier = keys.remainder(size)
    similarities = (keys - earlier).double() / (size * GRID)  # exact: a multiple of size, below 2**53
    return size - 1 - earlier, similarities
