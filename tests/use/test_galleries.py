"""Smaller galleries: how many vectors of which class, on the sphere, and k that shrinks along."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from fer_lightning.errors import UserError
from fer_lightning.models.calibration import Calibration
from fer_lightning.models.network import Network
from fer_lightning.use.bundles import read_checkpoint
from fer_lightning.use.galleries import kmeans, shrink


def test_kmeans_gives_each_class_its_share():
    embeddings = normalize(torch.randn(100, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.tensor([0] * 70 + [1] * 28 + [2] * 2)
    means, classes = kmeans(embeddings, labels, size=10, seed=0)
    assert classes.bincount().tolist() == [7, 3, 1]
    assert torch.allclose(means.norm(dim=1), torch.ones(11))
    assert all(map(torch.equal, (means, classes), kmeans(embeddings, labels, size=10, seed=0)))


def test_k_shrinks_with_the_gallery_or_is_chosen(checkpoint):
    network, description = read_checkpoint(checkpoint)
    before = replace(description, calibration=Calibration(2.0, 0.1, None, 0.99, None, None))
    small, change = shrink(network, before, lambda faces, labels: (faces[:25], labels[:25]), None)
    assert (change, small.classifier["k"], small.gallery) == ("25 vectors in place of 100, k=2", 2, ())  # 9 of 100
    assert small.calibration == Calibration()  # nothing to calibrate the new votes on
    assert network.classifier.decide(normalize(torch.randn(3, 128), dim=1)).votes.shape == (3, 7)
    chosen = (network.classifier.known()[0], network.classifier.known()[1])
    again, _ = shrink(network, before, lambda faces, labels: (faces, labels), chosen)
    assert again.classifier["k"] == 1  # asked about the gallery itself
    assert again.calibration.temperature == pytest.approx(0.05, rel=0.01)  # every vote is right
    assert shrink(network, description, lambda faces, labels: (faces, labels), chosen)[0].calibration == Calibration()


def test_classifier_without_faces_is_refused(checkpoint):
    _, description = read_checkpoint(checkpoint)
    prototype = "fer_lightning.models.linear_classifiers.PrototypeClassifier"
    config = {"_target_": prototype, "temperature": 0.1, "num_classes": 7, "embedding_size": 128}
    with pytest.raises(UserError, match="no gallery to shrink: use gallery=full"):
        shrink(Network(description.embedder, config, False), description, kmeans, None)
