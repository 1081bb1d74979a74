"""Exact k-nearest-neighbour classifier on unit vectors, with its gallery inside."""

import logging
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

log = logging.getLogger(__name__)

GRID = 2**20  # similarities closer than 1 / GRID count as equal: float32 rounding is finer, faces differ by more
QUERIES, ROWS = 128, 4096  # of one block of similarities: 4 MiB, whatever the size of the gallery


class Neighbours(NamedTuple):
    """The K gallery faces nearest to each of B queries, nearest first."""

    indices: Tensor  # (B, K) int64, rows of the gallery
    similarities: Tensor  # (B, K) float64, cosine


class KNNClassifier(nn.Module):
    """Vote among the ``k`` gallery faces that are most similar to the query.

    Search is exact and gives the same answer on every device. Its rules for ties: faces whose cosine
    similarities agree to 2**-20 count as equally near, and the one earlier in the gallery goes first; classes
    with equal votes are ranked by their nearest face.

    Args:
        k: Number of neighbours, of which a smaller gallery has fewer; or None: the one that ``choose`` finds best,
            which is saved with the gallery, and before that the middle one of the candidates.
        candidates: Values of k that ``choose`` tries.
        weights: "uniform" gives every neighbour one vote, "similarity" exp(similarity / temperature)
            (arXiv:1805.01978, section 3.4).
        temperature: Divisor of the cosine similarity; unused with "uniform".
        num_classes: Number of classes C.
        embedding_size: D, length of the unit vectors.
    """

    gallery: Tensor
    gallery_labels: Tensor

    def __init__(
        self,
        k: int | None,
        candidates: Sequence[int],
        weights: Literal["uniform", "similarity"],
        temperature: float,
        num_classes: int,
        embedding_size: int,
    ) -> None:
        super().__init__()
        if weights not in ("uniform", "similarity"):
            raise ValueError(f"classifier.weights={weights} is unknown: use uniform or similarity")
        self.fixed = k is not None
        if k is None:
            k = sorted(candidates)[len(candidates) // 2]
        if k < 1 or temperature <= 0:
            raise ValueError(f"classifier.k={k} and classifier.temperature={temperature} must be positive")
        self.k = k
        self.candidates = list(candidates)
        self.scores = [*(f"accuracy_k{candidate}" for candidate in self.candidates), "k"]  # what ``choose`` returns
        self.weights = weights
        self.temperature = temperature
        self.num_classes = num_classes
        self.register_buffer("gallery", torch.empty(0, embedding_size))
        self.register_buffer("gallery_labels", torch.empty(0, dtype=torch.int64))

    def fit(self, embeddings: Tensor, labels: Tensor) -> None:
        """Take embeddings (N, D) float32 of norm 1 and labels (N,) int64 as the gallery."""
        self.gallery = embeddings.detach().float()
        self.gallery_labels = labels.detach()
        if self.k > len(labels):
            log.warning("classifier.k=%d exceeds the gallery of %d faces: all of them vote", self.k, len(labels))

    @torch.no_grad()
    def choose(self, queries: Tensor, labels: Tensor) -> dict[str, float]:
        """Search once for the largest candidate, vote with each, and keep the best where k is not given.

        Args:
            queries: (B, D) float32, norm 1, of faces that are not in the gallery.
            labels: (B,) int64.

        Returns:
            The accuracy of each candidate, and the k that is used from here on. Of equal ones the smallest is kept.
        """
        found = self._search(queries, max(self.candidates, default=1))
        scores = {k: (self._vote(found, k)[0] == labels).double().mean().item() for k in self.candidates}
        if not self.fixed:
            self.k = min(scores, key=lambda k: (-scores[k], k))
        return dict(zip(self.scores, [*scores.values(), float(self.k)], strict=True))

    @torch.no_grad()
    def neighbours(self, queries: Tensor) -> Neighbours:
        """Return the nearest gallery faces of queries (B, D) float32 of norm 1.

        Raises:
            RuntimeError: If the gallery is empty.
        """
        return self._search(queries, self.k)

    def _search(self, queries: Tensor, k: int) -> Neighbours:
        size = len(self.gallery)
        if size == 0:
            raise RuntimeError("the k-NN gallery is empty: call fit(embeddings, labels) first")
        k = min(k, size)
        # One integer holds (similarity on the grid, earlier row first): keys are distinct, so no device is free
        # to order ties in its own way. float64: the sums of CPU and GPU agree far below 1 / GRID.
        row_keys = torch.arange(size - 1, -1, -1, device=self.gallery.device)
        keys = []
        for chunk in queries.split(QUERIES):
            best = row_keys.new_empty(len(chunk), 0)
            for block, block_keys in zip(self.gallery.split(ROWS), row_keys.split(ROWS), strict=True):
                grid = (chunk.double() @ block.double().T).mul_(GRID).round_().long()  # (b, ROWS)
                best = torch.cat([best, grid.mul_(size).add_(block_keys)], dim=1)
                best = best.topk(min(k, best.shape[1]), dim=1).values
            keys.append(best)
        key = torch.cat(keys)  # (B, K)
        similarities = key.div(size, rounding_mode="floor").double() / GRID
        return Neighbours(size - 1 - key.remainder(size), similarities)

    @torch.no_grad()
    def forward(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the winning class (B,) int64 and the share of the vote per class (B, C) float32.

        Args:
            queries: (B, D) float32, norm 1.

        Raises:
            RuntimeError: If the gallery is empty.
        """
        return self._vote(self.neighbours(queries), self.k)

    def _vote(self, found: Neighbours, k: int) -> tuple[Tensor, Tensor]:
        """Return what ``forward`` does, of the ``k`` nearest among those that were found."""
        indices, similarities = found.indices[:, :k], found.similarities[:, :k]
        labels = self.gallery_labels[indices]  # (B, K)
        if self.weights == "uniform":
            weights = torch.ones_like(similarities)
        else:  # relative to the nearest face, so that no exponential overflows
            weights = ((similarities - similarities[:, :1]) / self.temperature).exp()
        votes = (one_hot(labels, self.num_classes) * weights.unsqueeze(2)).sum(dim=1)  # (B, C)
        # Neighbours come nearest first, so the first whose class has the most votes decides a tie.
        leads = votes.gather(1, labels) == votes.amax(dim=1, keepdim=True)  # (B, K)
        winner = labels.gather(1, leads.int().argmax(dim=1, keepdim=True)).squeeze(1)
        return winner, (votes / weights.sum(dim=1, keepdim=True)).float()

    def get_extra_state(self) -> Tensor:
        """Return k, which may have been chosen, for the checkpoint."""
        return torch.tensor(self.k)

    def set_extra_state(self, state: Tensor) -> None:
        """Take a k that was chosen; one that was given stays."""
        if not self.fixed:
            self.k = int(state)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object) -> None:
        state_dict.setdefault(f"{prefix}_extra_state", torch.tensor(self.k))  # of checkpoints from before it was saved
        # The gallery's length is data, not architecture: take the saved one, whatever this one's is.
        for name in ("gallery", "gallery_labels"):
            saved = state_dict.get(prefix + name)
            if saved is not None and saved.shape[1:] == getattr(self, name).shape[1:]:
                setattr(self, name, torch.empty_like(saved, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *args)
