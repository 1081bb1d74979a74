"""Protocols with a fault on purpose, by which the measure of leaks is tested."""

from dataclasses import replace

import numpy as np

from fer_lightning.data.faces import Faces
from fer_lightning.data.partition import Partition
from fer_lightning.data.protocols import honest
from fer_lightning.data.twins import Twins


def leaky_gallery(faces: Faces, twins: Twins, validation_share: float, seed: int) -> Partition:
    """Add the test faces to the gallery of the honest protocol."""
    partition = honest(faces, twins, validation_share, seed)
    proves = "nothing: the classifier looks the answers up"
    gallery = np.union1d(partition.train, partition.test)
    return replace(partition, protocol="leaky_gallery", gallery=gallery, proves=proves)


def leaky_report(faces: Faces, twins: Twins, validation_share: float, seed: int) -> Partition:
    """Test on the training faces of the honest protocol."""
    partition = honest(faces, twins, validation_share, seed)
    proves = "nothing: the network is asked what it was told"
    return replace(partition, protocol="leaky_report", test=partition.train, proves=proves)
