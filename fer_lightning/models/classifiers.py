"""Classifiers: embeddings (B, D) become classes and votes. Their contract."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fer_lightning.errors import UserError

log = logging.getLogger(__name__)

FULL = (torch.float32, torch.float64)  # precision in which a classifier is fitted
FLOATS = (torch.float16, torch.bfloat16, *FULL)  # the halves: what it has learnt, between a resume and a validation
NORM = 0.02  # by which a vector of norm 1 may be longer or shorter: half precision normalises no better than to 0.004
QUERIES = 256  # that are classified at once, whatever the number that is asked about


class Neighbours(NamedTuple):
    """The K gallery faces nearest to each of B queries, nearest first."""

    indices: Tensor  # (B, K) int64, rows of the gallery
    similarities: Tensor  # (B, K) float64, cosine
    labels: Tensor  # (B, K) int64, their classes


class Decision(NamedTuple):
    """What a classifier says of B queries."""

    labels: Tensor  # (B,) int64, the winning class
    votes: Tensor  # (B, C) float32, share of the vote per class
    neighbours: Neighbours | None  # the fitted faces that decided; None where no single faces do


class Classifier(nn.Module, ABC):
    """What stands behind the embedder: fitted on embeddings of known faces, asked about others.

    A classifier keeps all that it has learnt in buffers that are empty until it is fitted; their first dimension is
    the data's, so a state dict brings its own, which ``unsound`` looks at first. A new head is a class here that has
    ``learn``, ``classify``, ``flaw`` and ``held_in_accuracy``, and a YAML in conf/classifier.

    Args:
        num_classes: Number of classes C.
        embedding_size: D, length of the unit vectors.
    """

    def __init__(self, num_classes: int, embedding_size: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.scores: list[str] = []  # names of what ``choose`` returns
        self.register_load_state_dict_pre_hook(_take_saved_lengths)

    def fit(self, embeddings: Tensor, labels: Tensor) -> None:
        """Learn from known faces, and forget what was learnt before.

        Args:
            embeddings: (N, D) floating, norm 1.
            labels: (N,) int64.

        Raises:
            ValueError: If the shapes are others, or N is 0.
        """
        self._check(embeddings)
        if labels.shape != embeddings.shape[:1] or not len(labels):
            raise ValueError(f"{tuple(labels.shape)} labels do not go with {tuple(embeddings.shape)} embeddings")
        self.learn(embeddings.detach().float(), labels.detach())

    def forward(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the winning class (B,) int64 and the share of the vote per class (B, C) float32; see ``decide``."""
        labels, votes, _ = self.decide(queries)
        return labels, votes

    def explain(self, queries: Tensor) -> Neighbours | None:
        """Return the fitted faces, by their rows, that decided about queries (B, D); None where no single faces do."""
        return self.decide(queries).neighbours

    @torch.no_grad()
    def decide(self, queries: Tensor) -> Decision:
        """Return classes, votes and what decided them.

        Args:
            queries: (B, D) floating, norm 1.

        Raises:
            RuntimeError: If nothing was fitted.
            ValueError: If the shape is another.
        """
        self._check(queries)
        if not all(len(buffer) for buffer in self.buffers()):
            raise RuntimeError(f"{type(self).__name__} knows no face: call fit(embeddings, labels) first")
        labels, votes, neighbours = zip(*map(self.classify, queries.split(QUERIES)), strict=True)
        return Decision(torch.cat(labels), torch.cat(votes), join(neighbours))

    def choose(self, queries: Tensor, labels: Tensor) -> dict[str, float]:
        """Settle what can be settled on validation faces; return the accuracy of each choice by the names ``scores``.

        Args:
            queries: (B, D) floating, norm 1, of faces that were not fitted.
            labels: (B,) int64.
        """
        return {}

    def known(self) -> tuple[Tensor, Tensor] | None:
        """Return embeddings (N, D) and labels (N,) of the fitted faces; None where they are not kept."""
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
        """Fill the buffers from checked embeddings (N, D) float32 and labels (N,)."""

    @abstractmethod
    def classify(self, queries: Tensor) -> Decision:
        """Return what ``decide`` does, for up to ``QUERIES`` checked queries; an ONNX model is made of it."""

    @abstractmethod
    def flaw(self, state: Mapping[str, Tensor]) -> str | None:
        """Return what is wrong with the numbers of a fitted state whose names, types and widths are right, or None."""

    @abstractmethod
    def held_in_accuracy(self) -> float:
        """Return the accuracy on the fitted faces themselves, for the gap between training and test."""

    def unsound(self, state: Mapping[str, Tensor], fitted: bool) -> str | None:
        """Return what is wrong with a saved state, as words after "of which"; None where it could be this classifier's.

        Args:
            state: Its state dict.
            fitted: Whether it is asked about faces next, so that it must know some, as exactly as it was fitted.
        """
        for name, buffer in self.named_buffers():
            saved = state[name]
            if saved.dim() != buffer.dim() or saved.shape[1:] != buffer.shape[1:]:
                return f"{name} is {tuple(saved.shape)}, not (N{''.join(f', {size}' for size in buffer.shape[1:])})"
            kinds = (FULL if fitted else FLOATS) if buffer.is_floating_point() else (buffer.dtype,)
            if saved.dtype not in kinds:
                return f"{name} is {saved.dtype}"
            if not saved.isfinite().all():
                return f"{name} is not finite"
        known = {len(state[name]) > 0 for name, _ in self.named_buffers()}
        if known == {True}:
            return self.flaw(state)
        if known == {True, False}:
            return "a part is empty"
        return "no face is known, as no validation had ended when it was written" if fitted else None

    def _check(self, embeddings: Tensor) -> None:
        if embeddings.dim() != 2 or embeddings.shape[1] != self.embedding_size:
            raise ValueError(f"embeddings are {tuple(embeddings.shape)}, not (N, {self.embedding_size})")


def join(parts: Sequence[Neighbours | None]) -> Neighbours | None:
    """Return the neighbours of several batches as those of one."""
    found = [part for part in parts if part is not None]
    return Neighbours(*map(torch.cat, zip(*found, strict=True))) if found else None


def _take_saved_lengths(classifier: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Give each buffer the length of the saved one: it is data, not architecture."""
    saved = {name for name in state_dict if name.startswith(prefix) and not name.endswith("_extra_state")}
    own = {prefix + name for name, _ in classifier.named_buffers()}
    if saved and saved != own:
        raise UserError(
            f"the checkpoint's classifier is no {type(classifier).__name__}: give the classifier= that it was trained "
            "with"
        )
    for name, buffer in list(classifier.named_buffers()):
        tensor = state_dict.get(prefix + name)
        if tensor is not None and tensor.shape[1:] == buffer.shape[1:] and tensor.dim() == buffer.dim():
            setattr(classifier, name, torch.empty_like(tensor, device=buffer.device))
