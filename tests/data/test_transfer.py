"""A test on another data set than the training's: leaks are measured against the training faces, or unknown."""

from dataclasses import replace

import numpy as np

from fer_lightning.data.mapping import align
from fer_lightning.data.protocols import honest
from fer_lightning.data.transfer import transferred
from fer_lightning.data.twins import find_twins


def partitioned(faces):
    return honest(faces, find_twins(faces.images), 0.2, 0)


def test_twins_are_those_of_the_training_faces(faces, tmp_path):
    cache_dir = str(tmp_path)
    training, other = faces.subset(np.arange(0, len(faces), 2)), faces.subset(np.arange(1, len(faces), 2))
    trained, partition = partitioned(training), partitioned(other)
    copies, originals = partition.test[:3], trained.train[:3]
    images = other.images.copy()
    images[copies] = training.images[originals]
    images[copies[0]] = training.images[originals[0]][:, ::-1]  # a near twin
    images[partition.test[3]] = images[partition.train[0]]  # one of the other set's own training faces: no leak
    other = replace(other, images=images, fingerprint="other")
    partition = replace(partition, faces=other, twins=find_twins(other.images))
    result = transferred(other, partition, "mine.zip", (training, trained), cache_dir)
    assert np.array_equal(result.faces.images[result.test], images[partition.test])
    assert result.faces.names[result.test].tolist() == other.names[partition.test].tolist()
    assert result.train.tolist() == trained.train.tolist()  # rows of a gallery in the checkpoint still name its faces
    assert np.array_equal(result.faces.images[result.gallery], training.images[trained.gallery])
    assert np.flatnonzero(result.leaked(result.test)).tolist() == [0, 1, 2]
    assert [clause.split(" in ")[0].split("faces ")[1] for clause in result.leaks()] == [
        "have an identical twin",
        "have an identical or near twin",
    ]
    assert result.proves == "accuracy on another data set: the network was trained on mine.zip"
    assert (result.protocol, result.trained_on, result.measurable) == ("honest", "mine.zip", True)


def test_without_the_training_faces_nothing_is_claimed(faces, tmp_path):
    partition = partitioned(faces)
    result = transferred(faces, partition, "mine.zip", None, str(tmp_path))
    assert np.array_equal(result.test, partition.test)
    assert (len(result.train), len(result.gallery), result.measurable) == (0, 0, False)
    assert (result.trained_on, partition.trained_on, partition.measurable) == ("mine.zip", None, True)


def test_labels_are_counted_by_the_classes_of_the_network(faces):
    network = ("contempt", *reversed(faces.classes))
    result = align(faces, network)
    assert [network[label] for label in result.labels] == [faces.classes[label] for label in faces.labels]
    assert result.fingerprint != faces.fingerprint
    assert align(faces, faces.classes) is faces
