"""The contract of the classifiers of embeddings."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

FULL = (torch.float32, torch.float64)  # types of the numbers of a fitted classifier
QUERIES = 256  # queries that are classified at once


class Neighbours(NamedTuple):
    """The K gallery faces nearest to each of B queries, nearest first."""

    indices: Tensor  # (B, K) int64, rows of the gallery
    similarities: Tensor  # (B, K) float64, cosine
    labels: Tensor  # (B, K) int64, their classes


class Decision(NamedTuple):
    """The answer of a classifier for B queries."""

    labels: Tensor  # (B,) int64, the winning class
    votes: Tensor  # (B, C) float32, share of the vote per class
    neighbours: Neighbours | None  # the fitted faces that decided; None if the classifier keeps no faces


class Classifier(nn.Module, ABC):
    """A classifier that is fitted on embeddings and decides about others by ``fit, decide, known, held_in_accuracy``.

    All that it learns is in buffers, which are empty before ``fit``. Their first dimension depends on the data, so it
    is taken from the state dict. A new classifier is a subclass with ``learn``, ``classify`` and ``held_in_accuracy``,
    and a YAML in conf/classifier.

    Args:
        num_classes: Number of classes C.
        embedding_size: D, length of the unit vectors.
    """

    def __init__(self, num_classes: int, embedding_size: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.register_load_state_dict_pre_hook(_take_saved_lengths)

    def fit(self, embeddings: Tensor, labels: Tensor) -> None:
        """Learn from embeddings (N, D) floating, norm 1, and labels (N,) int64; forget those of an earlier fit.

        Raises:
            ValueError: If the shapes are wrong or N is 0.
        """
        self._check(embeddings)
        if labels.shape != embeddings.shape[:1] or not len(labels):
            raise ValueError(f"{tuple(labels.shape)} labels do not go with {tuple(embeddings.shape)} embeddings")
        self.learn(embeddings.detach().float(), labels.detach())

    @torch.no_grad()
    def decide(self, queries: Tensor) -> Decision:
        """Return the decision about queries (B, D) floating, norm 1, computed in the precision of what was learnt.

        Raises:
            RuntimeError: If the classifier is not fitted.
            ValueError: If the shape is wrong.
        """
        self._check(queries)
        if not all(len(buffer) for buffer in self.buffers()):
            raise RuntimeError(f"{type(self).__name__} knows no face: call fit(embeddings, labels) first")
        with torch.autocast(queries.device.type, enabled=False):
            labels, votes, neighbours = zip(*map(self.classify, queries.split(QUERIES)), strict=True)
        return Decision(torch.cat(labels), torch.cat(votes), None if neighbours[0] is None else join(neighbours))

    def choose(self, queries: Tensor, labels: Tensor) -> dict[str, float]:
        """Choose settings on faces that were not fitted, (B, D) and (B,); return the scores by their names."""
        return {}

    def known(self) -> tuple[Tensor, Tensor] | None:
        """Return embeddings (N, D) and labels (N,) of the fitted faces, or None if the classifier keeps no faces."""
        return None

    def shrink(self, embeddings: Tensor, labels: Tensor, validation: tuple[Tensor, Tensor] | None) -> dict[str, Any]:
        """Fit a smaller gallery. Return the options that change with it, by their names in conf/classifier.

        Args:
            embeddings: (N, D) float32, norm 1, which replace those of ``known``.
            labels: (N,) int64.
            validation: Embeddings (B, D) and labels (B,) to choose the options; None if there are none.
        """
        self.fit(embeddings, labels)
        return {}

    @abstractmethod
    def learn(self, embeddings: Tensor, labels: Tensor) -> None:
        """Fill the buffers from embeddings (N, D) float32 and labels (N,), which ``fit`` has checked."""

    @abstractmethod
    def classify(self, queries: Tensor) -> Decision:
        """Return the decision about up to ``QUERIES`` queries, which ``decide`` has checked. ONNX models contain it."""

    @abstractmethod
    def held_in_accuracy(self) -> float:
        """Return the accuracy on the fitted faces, from 0 to 1."""

    def flaw(self, state: Mapping[str, Tensor]) -> str | None:
        """Return why the numbers of a fitted state would break ``classify``, or None; types and widths are right."""
        return None

    def defect(self, state: Mapping[str, Tensor], fitted: bool) -> str | None:
        """Return why this classifier cannot use a saved state with all of its buffers, or None.

        Args:
            state: The saved state dict.
            fitted: Whether the classifier has to be ready to classify.
        """
        for name, buffer in self.named_buffers():
            saved = state[name]
            if saved.dim() != buffer.dim() or saved.shape[1:] != buffer.shape[1:]:
                return f"{name} is {tuple(saved.shape)}, not (N{''.join(f', {size}' for size in buffer.shape[1:])})"
            if buffer.is_floating_point():  # a resumed run of half precision holds halves until it validates
                right = saved.dtype in FULL if fitted else saved.is_floating_point()
            else:
                right = saved.dtype == buffer.dtype
            if not right:
                return f"{name} is {saved.dtype}"
            if not saved.isfinite().all():
                return f"{name} is not finite"
        filled = {len(state[name]) > 0 for name, _ in self.named_buffers()}
        if filled == {True}:
            return self.flaw(state)
        if filled == {True, False}:
            return "a part is empty"
        return "no face is known, as no validation had ended when it was written" if fitted else None

    def _check(self, embeddings: Tensor) -> None:
        if embeddings.dim() != 2 or embeddings.shape[1] != self.embedding_size:
            raise ValueError(f"embeddings are {tuple(embeddings.shape)}, not (N, {self.embedding_size})")


def join(batches: Sequence[Neighbours]) -> Neighbours:
    """Return the neighbours of several batches of queries in one."""
    return Neighbours(*map(torch.cat, zip(*batches, strict=True)))


def _take_saved_lengths(classifier: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Give each buffer the length and the type of the saved one."""
    for name, buffer in list(classifier.named_buffers()):
        tensor = state_dict.get(prefix + name)
        if tensor is not None and tensor.shape[1:] == buffer.shape[1:] and tensor.dim() == buffer.dim():
            setattr(classifier, name, torch.empty_like(tensor, device=buffer.device))
