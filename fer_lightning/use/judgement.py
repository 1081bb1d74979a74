"""Judgement of the labels of a training folder by the network that was trained on it.

The network embeds all faces. They are dealt into folds; twins share a fold. The run's own classifier is fitted on all
other folds and votes on the faces of one. Labels are ordered by ``suspicion``, a score of confident
learning, which is compared with others in docs/results/labels.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fer_lightning.data.audit import Audit
from fer_lightning.data.faces import Faces
from fer_lightning.data.partition import Partition, deal
from fer_lightning.data.pictures import Pictures
from fer_lightning.models.classifiers import Classifier
from fer_lightning.progress import track

FOLDS = 10
FACES_AT_ONCE = 256  # in a batch to embed


@dataclass(frozen=True)
class Judgement:
    """Votes on the labels of the training folder, the least believable label first; each (M,)."""

    rows: np.ndarray  # int64, rows of the table of faces
    labels: np.ndarray  # int64
    believed: np.ndarray  # int64, class with the most votes; the label itself if it ties with another class
    label_votes: np.ndarray  # float, share of the vote for the label
    believed_votes: np.ndarray  # float, share of the vote for the believed class
    trained_on: np.ndarray  # bool, whether the network was trained on the face

    @property
    def doubted(self) -> np.ndarray:
        """(M,) bool, whether another class has more votes than the label."""
        return self.believed != self.labels


def judge(
    embed_images: Callable[[Tensor], Tensor], classifier: Classifier, partition: Partition, audit: Audit
) -> Judgement:
    """Judge the label of every face in the training folder. The classifier is fitted anew.

    Args:
        embed_images: The run's network: (B, 1, H, W) float32 in [-1, 1] -> (B, D), unit vectors.
        classifier: The run's classifier.
        partition: The run's partition.
        audit: Audit of the same faces.
    """
    faces = audit.faces
    rows = np.flatnonzero(faces.splits == "train")
    labels, groups = faces.labels[rows], np.unique(audit.twins.groups[rows], return_inverse=True)[1]
    votes = fold_votes(classifier, embed(embed_images, faces, rows), labels, groups, FOLDS)
    believed, label_votes, believed_votes = weigh(votes, labels)
    trained_on = np.isin(rows, partition.origins[partition.train])
    order = np.lexsort((label_votes, -suspicion(labels, believed, label_votes, believed_votes)))
    columns = (rows, labels, believed, label_votes, believed_votes, trained_on)
    return Judgement(*(column[order] for column in columns))


@torch.inference_mode()
def embed(embed_images: Callable[[Tensor], Tensor], faces: Faces, rows: np.ndarray) -> Tensor:
    """Return the embeddings (M, D) of some rows of the faces, without augmentation."""
    pictures = Pictures(faces, rows)
    embeddings = []
    for start in track(range(0, len(rows), FACES_AT_ONCE), "embedding faces"):
        batch = list(range(start, min(start + FACES_AT_ONCE, len(rows))))
        embeddings.append(embed_images(pictures.__getitems__(batch).images))
    return torch.cat(embeddings)


def fold_votes(
    classifier: Classifier, embeddings: Tensor, labels: np.ndarray, groups: np.ndarray, folds: int
) -> np.ndarray:
    """Return the votes (M, C), as shares, of the other folds on each face.

    Args:
        classifier: Fitted anew for each fold.
        embeddings: (M, D) float32, norm 1.
        labels: (M,) int64.
        groups: (M,) int64 below M; faces of one group share a fold.
        folds: Number of folds, 2 or more, each stratified by class.
    """
    votes = np.zeros((len(labels), classifier.num_classes))
    parts = deal(np.arange(len(labels)), labels, groups, [1 / folds] * folds, seed=0)
    for part in track([part for part in parts if len(part)], "asking the other folds"):
        rest = np.setdiff1d(np.arange(len(labels)), part)
        classifier.fit(embeddings[rest], torch.from_numpy(labels[rest]))
        votes[part] = classifier.decide(embeddings[part]).votes.numpy()
    return votes


def weigh(votes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the believed class, the vote for the label and the vote for the believed class; each (M,).

    Args:
        votes: (M, C) shares.
        labels: (M,) int64; a label that ties with another class is believed.
    """
    label_votes, most = votes[np.arange(len(labels)), labels], votes.max(axis=1)
    return np.where(label_votes < most, votes.argmax(axis=1), labels), label_votes, most


def suspicion(
    labels: np.ndarray, believed: np.ndarray, label_votes: np.ndarray, believed_votes: np.ndarray
) -> np.ndarray:
    """Return (M,) the lead of the believed class over the label, plus 1 where the doubt is confident.

    Source: C. Northcutt et al., Confident learning, arXiv:1911.00068. The lead is their normalised margin. A doubt is
    confident if the believed class has its mean share of the votes on the faces that it labels, as in their confident
    joint. All columns are those of ``Judgement``.
    """
    number = 1 + max(labels.max(), believed.max())
    thresholds = np.bincount(labels, label_votes, number) / np.maximum(np.bincount(labels, minlength=number), 1)
    confident = (believed != labels) & (believed_votes >= thresholds[believed])
    return believed_votes - label_votes + confident
