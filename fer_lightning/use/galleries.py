"""Smaller galleries: a function from embeddings (N, D) and labels (N,) to fewer of them. conf/gallery names one."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fer_lightning.errors import UserError
from fer_lightning.kinds import Count, Seed
from fer_lightning.models.calibration import Calibration, calibrate
from fer_lightning.models.network import Network
from fer_lightning.runs.description import Description

Reduce = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def full(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gallery as it is."""
    return embeddings, labels


def kmeans(embeddings: Tensor, labels: Tensor, size: Count, seed: Seed) -> tuple[Tensor, Tensor]:
    """Return the means of clusters. Each class has as many clusters as its share of the gallery, at least one.

    Args:
        embeddings: (N, D) float32, norm 1.
        labels: (N,) int64.
        size: Number of means, about.
        seed: Decides where the clusters begin.
    """
    from sklearn.cluster import MiniBatchKMeans  # slow to import

    means, classes = [], []
    for label in labels.unique():
        members = embeddings[labels == label]
        count = min(len(members), max(1, round(size * len(members) / len(labels))))
        clusters = MiniBatchKMeans(count, random_state=seed, batch_size=4096, n_init=3).fit(members.numpy())
        means.append(torch.from_numpy(clusters.cluster_centers_).float())
        classes.append(labels.new_full((count,), int(label)))
    return normalize(torch.cat(means), dim=1), torch.cat(classes)


def shrink(
    network: Network, description: Description, reduce: Reduce, validation: tuple[Tensor, Tensor] | None
) -> tuple[Description, str]:
    """Give the network's classifier a smaller gallery. Return the new description and the change in words.

    Embeddings (B, D) and labels (B,) of validation faces choose the classifier's options and the calibration. Without
    them the options shrink with the gallery, votes are not calibrated and every face is answered.

    Raises:
        UserError: If the classifier keeps no faces.
    """
    classifier, before = network.classifier, description.calibration
    gallery = classifier.known()
    if gallery is None:
        raise UserError("this network's classifier keeps no faces, so there is no gallery to shrink: use gallery=full")
    embeddings, labels = reduce(*gallery)
    options = classifier.shrink(embeddings, labels, validation)
    calibration = Calibration()
    if validation is not None and before.near is not None:
        queries, query_labels = validation
        calibration = calibrate(classifier.decide(queries), query_labels, before.accuracy, before.near)
    config = {**description.classifier, **options}
    changed = replace(description, classifier=config, gallery=(), calibration=calibration)
    settings = [f"{name}={value}" for name, value in options.items()]
    return changed, ", ".join([f"{len(labels):,} vectors in place of {len(gallery[1]):,}", *settings])
