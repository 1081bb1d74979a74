"""What a run's network thinks of the labels of the training folder.

All faces are embedded by the network and dealt into folds, twins into one. The run's own classifier is fitted on the
faces of all other folds and asked about those of one. The score of a label is its share of that vote: the
self-confidence of C. Northcutt et al., Confident learning, arXiv:1911.00068, with votes in place of probabilities. The
lead of another class (their normalised margin) finds fewer wrong labels of synthetic faces (docs/results/labels.md).
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
from fer_lightning.data.progress import track
from fer_lightning.models.classifiers import Classifier

FOLDS = 10
BATCH = 256  # faces that are embedded at once


@dataclass(frozen=True)
class Judgement:
    """What is thought of the labels of the training folder, the one with the least of the vote first; each (M,).

    Attributes:
        rows: int64, rows of the table of faces.
        believed: int64, the class with most votes; the label itself where it ties with another.
        own: float, share of the vote for the label.
        other: float, share of the vote for the class that is believed.
        trained_on: bool, whether the network was trained on the face.
    """

    rows: np.ndarray
    believed: np.ndarray
    own: np.ndarray
    other: np.ndarray
    trained_on: np.ndarray


def judge(
    embed_images: Callable[[Tensor], Tensor], classifier: Classifier, partition: Partition, audit: Audit
) -> Judgement:
    """Judge the labels of every face of the training folder, and fit the classifier anew for it.

    Args:
        embed_images: A network (B, 1, H, W) float32 in [-1, 1] -> (B, D), unit vectors.
        classifier: The run's.
        partition: The run's.
        audit: Audit of the same faces.
    """
    faces = audit.faces
    rows = np.flatnonzero(faces.splits == "train")
    labels, groups = faces.labels[rows], np.unique(audit.twins.groups[rows], return_inverse=True)[1]
    votes = fold_votes(classifier, embeddings(embed_images, faces, rows), labels, groups, FOLDS)
    believed, own, other = weigh(votes, labels)
    order = np.lexsort((-other, own))
    return Judgement(
        rows=rows[order],
        believed=believed[order],
        own=own[order],
        other=other[order],
        trained_on=np.isin(rows, partition.origins[partition.train])[order],
    )


@torch.inference_mode()
def embeddings(embed_images: Callable[[Tensor], Tensor], faces: Faces, rows: np.ndarray) -> Tensor:
    """Return the embeddings (M, D) of some rows, not augmented."""
    pictures = Pictures(faces, rows)
    starts = track(range(0, len(rows), BATCH), "embedding faces")
    batches = (list(range(start, min(start + BATCH, len(rows)))) for start in starts)
    return torch.cat([embed_images(pictures.__getitems__(batch).images) for batch in batches])


def fold_votes(
    classifier: Classifier, embeddings: Tensor, labels: np.ndarray, groups: np.ndarray, folds: int
) -> np.ndarray:
    """Return the shares of the vote (M, C) that each face gets of the faces in the other folds.

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
        votes[part] = classifier(embeddings[part])[1].numpy()
    return votes


def weigh(votes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the class that is believed, the share of the vote for the label, and that for the class; each (M,).

    A label that ties with another class is believed.

    Args:
        votes: (M, C) shares.
        labels: (M,) int64.
    """
    own = votes[np.arange(len(labels)), labels]
    most = votes.max(axis=1)
    return np.where(own < most, votes.argmax(axis=1), labels), own, most
