"""The search in float32 against the search in float64, which test_classifiers.py compares with brute force."""

import pytest
import torch
from torch.nn.functional import normalize

from fer_lightning.models import neighbours
from fer_lightning.models.neighbours import nearest


def vectors(spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a gallery (5000, 16) and queries (30, 16) about one centre; the last 200 rows repeat the first."""
    torch.manual_seed(0)
    centre = torch.eye(16)[0]
    gallery, queries = (normalize(centre + spread * torch.randn(n, 16), dim=1) for n in (5000, 30))
    gallery[-200:] = gallery[:200]
    return gallery, queries


@pytest.mark.parametrize(("spread", "again"), [(1.0, False), (1e-3, True)])  # far apart; closer than float32 can tell
def test_the_search_in_float32_answers_as_the_one_in_float64(monkeypatch, spread, again):
    gallery, queries = vectors(spread)
    exact, repeated = neighbours._exact, []
    rows, similarities = exact(queries, gallery, 20)
    monkeypatch.setattr(neighbours, "_exact", lambda *arguments: repeated.append(arguments) or exact(*arguments))
    for block in (neighbours.BLOCK, 1200, 1666):  # one block; five; four, the last of two rows
        monkeypatch.setattr(neighbours, "BLOCK", block)
        answer = nearest(queries, gallery, 20)
        assert torch.equal(answer[0], rows)
        assert torch.equal(answer[1], similarities)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(nearest(queries, gallery, 20)[0], rows)
        with torch.no_grad():  # as a classifier asks: no product with out= takes a tensor that has a gradient
            alone = [nearest(query, gallery, 20) for query in queries.clone().requires_grad_().split(1)]
        assert torch.equal(torch.cat([indices for indices, _ in alone]), rows)
        assert torch.equal(torch.cat([values for _, values in alone]), similarities)
    assert bool(repeated) == again
