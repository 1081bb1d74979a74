"""The quick search against the plain one, which test_classifiers.py holds against brute force."""

import pytest
import torch
from torch.nn.functional import normalize

from fer_lightning.models import search


def vectors(spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a gallery (2500, 16) and queries (30, 16) about one centre; the last 200 rows repeat the first."""
    torch.manual_seed(0)
    centre = torch.eye(16)[0]
    gallery, queries = (normalize(centre + spread * torch.randn(n, 16), dim=1) for n in (2500, 30))
    gallery[-200:] = gallery[:200]
    return gallery, queries


@pytest.mark.parametrize(("spread", "again"), [(1.0, False), (1e-3, True)])  # far apart; closer than float32 can tell
def test_quick_search_answers_as_the_plain_one(monkeypatch, spread, again):
    gallery, queries = vectors(spread)
    rows, similarities = search.plain(queries, gallery, 20)
    asked, plain = [], search.plain
    monkeypatch.setattr(search, "plain", lambda *arguments: asked.append(arguments) or plain(*arguments))
    for block in (search.BLOCK, 1100):  # one block; three, the last smaller than what is looked for
        monkeypatch.setattr(search, "BLOCK", block)
        found = search.quick(queries, gallery, 20)
        assert torch.equal(found[0], rows)
        assert torch.equal(found[1], similarities)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(search.quick(queries, gallery, 20)[0], rows)
        with torch.no_grad():  # numpy takes no tensor that has a gradient
            alone = [search.quick(query, gallery, 20) for query in queries.clone().requires_grad_().split(1)]
        assert torch.equal(torch.cat([found for found, _ in alone]), rows)
        assert torch.equal(torch.cat([found for _, found in alone]), similarities)
    assert bool(asked) == again
