"""Classifiers with a linear score per class: nearest class mean and logistic regression."""

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import linear, normalize

from fer_lightning.kinds import ClassCount, Count, Dimension, Positive
from fer_lightning.models.classifiers import Classifier, Decision

LOWEST = torch.finfo(torch.float32).min  # score of a class without a face: finite, as saved numbers have to be


class ScoringClassifier(Classifier):
    """Classifier by one linear score per class. The votes are the softmax of the scores."""

    weight: Tensor  # (C, D) float32
    bias: Tensor  # (C,) float32
    held_in: Tensor  # (1,) float32, accuracy on the fitted faces

    def __init__(self, num_classes: int, embedding_size: int) -> None:
        super().__init__(num_classes, embedding_size)
        self.register_buffer("weight", torch.empty(0, embedding_size))
        self.register_buffer("bias", torch.empty(0))
        self.register_buffer("held_in", torch.empty(0))

    @abstractmethod
    def solve(self, embeddings: Tensor, labels: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights (P, D) and biases (P,) for the P classes with a face, ``present`` (P,) in rising order."""

    def learn(self, embeddings: Tensor, labels: Tensor) -> None:
        """Store the weights of the scores and the accuracy on these faces."""
        present = labels.unique()
        weight, bias = self.solve(embeddings, labels, present)
        self.weight = embeddings.new_zeros(self.num_classes, self.embedding_size)
        self.bias = embeddings.new_full((self.num_classes,), LOWEST)
        self.weight[present], self.bias[present] = weight.to(embeddings), bias.to(embeddings)
        self.held_in = (self.classify(embeddings).labels == labels).float().mean().reshape(1)

    def classify(self, queries: Tensor) -> Decision:
        """Return the class with the highest score and the softmax of the scores."""
        scores = linear(queries.to(self.weight), self.weight, self.bias)  # (B, C)
        return Decision(scores.argmax(dim=1), scores.softmax(dim=1), None)

    def flaw(self, state: Mapping[str, Tensor]) -> str | None:
        """Return a fault of the lengths, or None."""
        lengths = [len(state[name]) for name in ("weight", "bias", "held_in")]
        if lengths != [self.num_classes, self.num_classes, 1]:
            return f"weight, bias and held_in are not of {self.num_classes} classes"
        return None

    def held_in_accuracy(self) -> float:
        """Return the accuracy on the fitted faces, measured by ``learn``."""
        return self.held_in.item()


class PrototypeClassifier(ScoringClassifier):
    """Classifier by the class whose mean embedding is most similar (cosine).

    Args:
        temperature: Divisor of the cosine similarity in the votes.
        num_classes: Number of classes C.
        embedding_size: D, length of the unit vectors.
    """

    def __init__(self, temperature: Positive, num_classes: ClassCount, embedding_size: Dimension) -> None:
        super().__init__(num_classes, embedding_size)
        self.temperature = temperature

    def solve(self, embeddings: Tensor, labels: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalised class means over the temperature, and biases of 0."""
        means = torch.stack([embeddings[labels == label].mean(dim=0) for label in present])  # (P, D)
        return normalize(means, dim=1) / self.temperature, means.new_zeros(len(present))


class LinearClassifier(ScoringClassifier):
    """Classifier by scikit-learn's multinomial logistic regression on the embeddings.

    Args:
        inverse_regularization: scikit-learn's ``C``; smaller means smaller weights.
        max_iter: Steps of its solver, at most.
        num_classes: Number of classes C.
        embedding_size: D, length of the unit vectors.
    """

    def __init__(
        self, inverse_regularization: Positive, max_iter: Count, num_classes: ClassCount, embedding_size: Dimension
    ) -> None:
        super().__init__(num_classes, embedding_size)
        self.inverse_regularization = inverse_regularization
        self.max_iter = max_iter

    def solve(self, embeddings: Tensor, labels: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights and biases of the regression."""
        from sklearn.linear_model import LogisticRegression  # slow to import

        weight, bias = embeddings.new_zeros(len(present), self.embedding_size), embeddings.new_zeros(len(present))
        if len(present) == 1:  # nothing to learn
            return weight, bias
        regression = LogisticRegression(C=self.inverse_regularization, max_iter=self.max_iter)
        regression.fit(embeddings.double().cpu().numpy(), labels.cpu().numpy())
        first = len(present) - len(regression.coef_)  # of two classes it has the weights of the second only
        weight[first:] = torch.from_numpy(regression.coef_)
        bias[first:] = torch.from_numpy(regression.intercept_)
        return weight, bias
