"""Galleries made smaller: of embeddings (N, D) and labels (N,) some that stand for them. conf/gallery names one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fer_lightning.errors import UserError
from fer_lightning.models.calibration import calibrate
from fer_lightning.models.certainty import Calibration
from fer_lightning.models.network import Network, build
from fer_lightning.use.description import Description

K = (1, 3, 5, 9, 15, 30, 60, 120)  # numbers of neighbours that are tried on the validation faces
Shrink = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def full(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gallery as it is."""
    return embeddings, labels


def kmeans(embeddings: Tensor, labels: Tensor, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the means of clusters of each class, as many as its share of the gallery, one at least.

    Args:
        embeddings: (N, D) float32, norm 1.
        labels: (N,) int64.
        size: Vectors that are kept, about.
        seed: Decides where the clusters begin.
    """
    from sklearn.cluster import MiniBatchKMeans  # slow to import

    means, classes = [], []
    for label in labels.unique():
        own = embeddings[labels == label]
        number = min(len(own), max(1, round(size * len(own) / len(labels))))
        clusters = MiniBatchKMeans(number, random_state=seed, batch_size=4096, n_init=3).fit(own.numpy())
        means.append(torch.from_numpy(clusters.cluster_centers_).float())
        classes.append(labels.new_full((number,), int(label)))
    return normalize(torch.cat(means), dim=1), torch.cat(classes)


def shrink(
    network: Network, description: Description, by: Shrink, validation: Sequence[Tensor] | None
) -> tuple[Description, tuple[int, int]]:
    """Give a network's classifier a smaller gallery.

    Args:
        network: It is changed.
        description: What the network says of itself.
        by: What makes the gallery smaller.
        validation: Embeddings (B, D) and labels (B,) of faces by which the number of neighbours is chosen anew; None
            where there are none, and it shrinks as the gallery does.

    Returns:
        What the network says of itself now, and the sizes of both galleries. Validation faces calibrate the new votes;
        without them they stay as they are, and no face is abstained from.

    Raises:
        UserError: If the classifier keeps no faces.
    """
    known = network.classifier.known()
    if known is None:
        raise UserError("this network's classifier keeps no faces, so there is no gallery to shrink: use gallery=full")
    embeddings, labels = by(*known)
    classifier = build("classifier", {**description.classifier, "k": None, "candidates": list(K)})
    classifier.fit(embeddings, labels)
    k = max(1, round(int(network.classifier.get_extra_state()) * len(labels) / len(known[1])))
    if validation is not None:
        k = int(classifier.choose(*validation)["k"])
    config = {**description.classifier, "k": k}
    network.classifier = build("classifier", config)
    network.classifier.fit(embeddings, labels)
    calibration, before = Calibration(), description.calibration
    if validation is not None and before.near is not None:
        faces, own = validation
        calibration = calibrate(network.classifier.decide(faces), own, before.accuracy, before.near)
    changed = replace(description, classifier=config, gallery=(), calibration=calibration)
    return changed, (len(known[1]), len(labels))
