"""Classes and size of the faces are those of the file, in every format."""

import numpy as np
import torch

from fer_lightning import load_model
from fer_lightning.models.network import Network
from fer_lightning.runs.description import Description
from fer_lightning.use.bundles import write_bundle


def test_classes_and_size_are_the_files_own(tmp_path):
    embedder = {
        "_target_": "fer_lightning.models.resnet.ResNet48",
        "embedding_size": 8,
        "stem_channels": 4,
        "widths": [4, 8],
        "blocks": [1, 1],
        "dropout": 0.0,
    }
    classifier = {
        "_target_": "fer_lightning.models.linear_classifiers.PrototypeClassifier",
        "temperature": 0.1,
        "num_classes": 3,
        "embedding_size": 8,
    }
    network = Network(embedder, classifier, mirrored=False).eval()
    network.classifier.fit(torch.nn.functional.normalize(torch.randn(9, 8), dim=1), torch.arange(9) % 3)
    description = Description(("calm", "contempt", "joy"), 32, embedder, classifier, False, {})
    write_bundle(tmp_path / "bundle", network, description, "")
    model = load_model(tmp_path / "bundle")
    (said,) = model.predict([np.zeros((100, 80), np.uint8)])
    assert (model.image_size, tuple(said.votes)) == (32, ("calm", "contempt", "joy"))
    assert (said.neighbours, said.distance) == (None, None)
