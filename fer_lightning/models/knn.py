"""The k-NN classifier, with its gallery of unit vectors."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fer_lightning.kinds import Candidates, ClassCount, Count, Dimension, Positive
from fer_lightning.models.classifiers import QUERIES, Classifier, Decision, Neighbours, join

log = logging.getLogger(__name__)

SMALL_K = (1, 3, 5, 9, 15, 30, 60, 120)  # candidates for k in a smaller gallery
HELD_IN = 1000  # gallery faces that ``held_in_accuracy`` classifies by the others
GRID = 2**20  # similarities closer than 1 / GRID count as equal: float32 rounds more finely, faces differ by more
ROWS = 2048  # gallery rows that are compared at once: 4 MiB of similarities for ``QUERIES`` queries


class KNNClassifier(Classifier):
    """Classifier by a vote of the ``k`` gallery faces that are most similar to the query.

    The search is exact and gives the same answer on every device. Ties: faces whose cosine similarities agree to 2**-20
    count as equally near, and the earlier one in the gallery goes first. Of classes with equal votes, the one with the
    nearest face wins.

    Args:
        k: Number of neighbours; a smaller gallery votes as a whole. None: the best of the candidates at the last
            validation, which is saved with the gallery; before the first validation, the middle candidate.
        candidates: Values of k that each validation tries.
        weights: "uniform" gives every neighbour one vote, "similarity" exp(similarity / temperature)
            (arXiv:1805.01978, section 3.4).
        temperature: Divisor of the cosine similarity; unused with "uniform".
        num_classes: Number of classes C.
        embedding_size: D, length of the unit vectors.
    """

    gallery: Tensor  # (N, D) float32
    gallery_labels: Tensor  # (N,) int64

    def __init__(
        self,
        k: Count | None,
        candidates: Candidates,
        weights: Literal["similarity", "uniform"],
        temperature: Positive,
        num_classes: ClassCount,
        embedding_size: Dimension,
    ) -> None:
        super().__init__(num_classes, embedding_size)
        self.fixed = k is not None
        self.k = sorted(candidates)[len(candidates) // 2] if k is None else k
        self.candidates = list(candidates)
        self.weights = weights
        self.temperature = temperature
        self.register_buffer("gallery", torch.empty(0, embedding_size))
        self.register_buffer("gallery_labels", torch.empty(0, dtype=torch.int64))

    @torch.no_grad()
    def choose(self, queries: Tensor, labels: Tensor) -> dict[str, float]:
        """Score every candidate, and take the best as k if no k is configured (of equals the smallest)."""
        accuracies = self._accuracies(queries, labels, self.candidates)
        if not self.fixed:
            self.k = _best(accuracies)
        return {**{f"accuracy_k{k}": accuracy for k, accuracy in accuracies.items()}, "k": float(self.k)}

    @torch.no_grad()
    def shrink(self, embeddings: Tensor, labels: Tensor, validation: tuple[Tensor, Tensor] | None) -> dict[str, Any]:
        """Fit a smaller gallery; choose k from ``SMALL_K`` on validation faces, else shrink it with the gallery."""
        self.k = max(1, round(self.k * len(labels) / len(self.gallery)))
        self.fit(embeddings, labels)
        if validation is not None:
            self.k = _best(self._accuracies(*validation, SMALL_K))
        return {"k": self.k}

    def get_extra_state(self) -> Tensor:
        """Return k for the checkpoint: ``choose`` may have changed it."""
        return torch.tensor(self.k)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the saved k if no k is configured."""
        if not self.fixed:
            self.k = int(state)

    def learn(self, embeddings: Tensor, labels: Tensor) -> None:
        """Store the faces as the gallery."""
        if self.k > len(labels) != len(self.gallery):  # warn once about galleries of the same size
            log.warning("classifier.k=%d exceeds the gallery of %d faces: all of them vote", self.k, len(labels))
        self.gallery, self.gallery_labels = embeddings, labels

    def known(self) -> tuple[Tensor, Tensor]:
        """Return the gallery: embeddings (N, D) and labels (N,)."""
        return self.gallery, self.gallery_labels

    def classify(self, queries: Tensor) -> Decision:
        """Return the decision by the vote of the neighbours."""
        neighbours = _search(queries, self.gallery, self.gallery_labels, self.k)
        return Decision(*self._vote(neighbours), neighbours)

    def flaw(self, state: Mapping[str, Tensor]) -> str | None:
        """Return a fault of the lengths, the labels or k, or None."""
        gallery, labels, k = state["gallery"], state["gallery_labels"], state["_extra_state"]
        if len(gallery) != len(labels):
            return f"gallery has {len(gallery)} faces and {len(labels)} labels"
        if labels.min() < 0 or labels.max() >= self.num_classes:
            return f"gallery_labels are outside 0 to {self.num_classes - 1}"
        if k.dtype != torch.int64 or k.numel() != 1 or int(k) < 1:
            return "k is no whole number above 0"
        return None

    @torch.no_grad()
    def held_in_accuracy(self) -> float:
        """Return the accuracy on up to ``HELD_IN`` gallery faces, classified by the rest of the gallery."""
        size = len(self.gallery)
        sample = torch.zeros(size, dtype=torch.bool, device=self.gallery.device)
        sample[torch.from_numpy(np.random.default_rng(0).permutation(size)[: min(HELD_IN, size // 4)])] = True
        rest, labels = self.gallery[~sample], self.gallery_labels[~sample]
        predictions, _ = self._vote(_search_all(self.gallery[sample], rest, labels, self.k))
        return (predictions == self.gallery_labels[sample]).float().mean().item()

    def _accuracies(self, queries: Tensor, labels: Tensor, candidates: Sequence[int]) -> dict[int, float]:
        """Return the accuracy with each candidate for k, from one search for the largest."""
        if not candidates:
            return {}
        nearest_faces = _search_all(queries, self.gallery, self.gallery_labels, max(candidates))
        accuracies = {}
        for k in candidates:
            neighbours = Neighbours(*(values[:, :k] for values in nearest_faces))
            accuracies[k] = (self._vote(neighbours)[0] == labels).double().mean().item()
        return accuracies

    def _vote(self, neighbours: Neighbours) -> tuple[Tensor, Tensor]:
        """Return labels (B,) int64 and shares of the vote (B, C) float32."""
        _, similarities, labels = neighbours  # (B, K)
        if self.weights == "uniform":
            weights = torch.ones_like(similarities)
        else:  # relative to the nearest face, so that no exponential overflows
            weights = ((similarities - similarities[:, :1]) / self.temperature).exp()
        votes = (one_hot(labels, self.num_classes) * weights.unsqueeze(2)).sum(dim=1)  # (B, C)
        # The nearest neighbour whose class has the most votes wins a tie.
        leads = votes.gather(1, labels) == votes.amax(dim=1, keepdim=True)  # (B, K)
        winner = labels.gather(1, leads.int().argmax(dim=1, keepdim=True)).squeeze(1)
        return winner, (votes / weights.sum(dim=1, keepdim=True)).float()


def _search(queries: Tensor, gallery: Tensor, labels: Tensor, k: int) -> Neighbours:
    """Return the k faces of a gallery (N, D) nearest to each of up to ``QUERIES`` queries (B, D).

    Each similarity and row become one integer: of two, the larger similarity is larger, then the earlier row. No two
    are equal, so no device can order ties in its own way. The sums of CPU and GPU in float64 agree far below 1 /
    ``GRID``.
    """
    count, size = queries.shape[0], len(gallery)  # len() would fix the number in an ONNX model
    if torch.compiler.is_exporting():  # onnxruntime's TopK divides by the queries: without any, the process would die
        queries = torch.cat([queries, gallery[:1].to(queries.dtype)])
    rows = torch.arange(size - 1, -1, -1, device=gallery.device)  # counted from the last
    best = rows.new_empty(queries.shape[0], 0)
    for block, block_rows in zip(gallery.split(ROWS), rows.split(ROWS), strict=True):
        similarities = queries.double() @ block.double().T  # (B, ROWS)
        keys = similarities.mul_(GRID).round_().long().mul_(size).add_(block_rows)
        best = torch.cat([best, keys], dim=1)
        best = best.topk(min(k, best.shape[1]), dim=1).values
    rows = best[:count].remainder(size)
    similarities = (best[:count] - rows).double() / (size * GRID)  # exact: a multiple of size, below 2**53
    indices = size - 1 - rows
    return Neighbours(indices, similarities, labels[indices])


def _search_all(queries: Tensor, gallery: Tensor, labels: Tensor, k: int) -> Neighbours:
    """Return the neighbours of any number of queries; see ``_search``."""
    return join([_search(batch, gallery, labels, k) for batch in queries.split(QUERIES)])


def _best(accuracies: Mapping[int, float]) -> int:
    """Return the k of the highest accuracy; of equals the smallest."""
    return min(accuracies, key=lambda k: (-accuracies[k], k))
