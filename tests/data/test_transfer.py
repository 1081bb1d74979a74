"""A test on other faces or parts than the training's: leaks are measured against the training faces, or unknown."""

from dataclasses import replace

import numpy as np

from fer_lightning.data.mapping import align
from fer_lightning.data.protocols import folder, honest
from fer_lightning.data.transfer import divided_again, learnt, transferred
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


def test_votes_and_persons_of_the_test_faces_stay(faces, tmp_path):
    crowd = np.arange(3 * len(faces)).reshape(-1, 3)
    persons = np.array([f"S{row % 9}" for row in range(len(faces))])
    trained, partition = partitioned(faces), partitioned(replace(faces, crowd=crowd))
    partition = replace(partition, faces=replace(partition.faces, persons=persons))
    other = replace(partition.faces, source="other", fingerprint="other")
    result = transferred(other, replace(partition, faces=other), "mine.zip", (faces, trained), str(tmp_path))
    assert np.array_equal(result.faces.crowd[result.test], crowd[partition.test])
    assert not result.faces.crowd[: len(faces)].any()
    assert len(np.unique(result.groups[result.test])) <= 9  # intervals draw persons, and not faces
    assert not any("person" in leak for leak in result.leaks())  # S1 of another data set is somebody else
    named = replace(trained, faces=replace(faces, persons=persons))
    result = transferred(partition.faces, partition, "mine.zip", (named.faces, named), str(tmp_path))
    assert any("of the test faces show a person who is in training (S" in leak for leak in result.leaks())


def test_without_the_training_faces_nothing_is_claimed(faces, tmp_path):
    partition = partitioned(faces)
    result = transferred(faces, partition, "mine.zip", None, str(tmp_path))
    assert np.array_equal(result.test, partition.test)
    assert (len(result.train), len(result.gallery), result.measurable) == (0, 0, False)
    assert (result.trained_on, partition.trained_on, partition.measurable) == ("mine.zip", None, True)


def test_faces_that_another_partition_trained_are_leaks(faces):
    trained, partition = partitioned(faces), partitioned(faces)
    assert divided_again(partition, trained) is partition
    partition = replace(partition, test=np.union1d(partition.train[:10], partition.test[:10]))
    result = divided_again(partition, trained)
    assert (result.train.tolist(), result.test.tolist()) == (trained.train.tolist(), partition.test.tolist())
    assert result.leaks() == ("50.0 % of the test faces are themselves in training",)
    assert result.proves == "accuracy of a network that another partition of these faces has trained, by honest"
    pictures = faces.subset(np.tile(np.arange(len(faces)), 2))  # as a protocol makes of every face two
    twice = replace(partition, faces=pictures, origins=np.tile(partition.origins, 2), test=partition.test + len(faces))
    result = divided_again(twice, trained)
    assert np.array_equal(result.faces.images[result.test], faces.images[partition.test])
    assert result.leaks() == ("50.0 % of the test pictures have a sibling in training",)


def test_faces_that_an_earlier_training_learnt_are_leaks(faces, tmp_path):
    trained = folder(faces, find_twins(faces.images))
    result = learnt(faces, (faces, trained), str(tmp_path))
    assert np.flatnonzero(result).tolist() == [*range(70), 70, 71, 72]  # training faces, and the twins of three
    other = faces.subset(np.arange(60, 80))
    other = replace(other, fingerprint="other", images=other.images.copy())
    other.images[19] = faces.images[5, :, ::-1]
    result = learnt(other, (faces, trained), str(tmp_path))
    assert np.flatnonzero(result).tolist() == [*range(10), 10, 11, 12, 19]
    partition = replace(partitioned(faces), learnt_before=np.array([75, 80, 85]))
    assert partition.leaks() == (
        f"an earlier training (init_from) learnt {300 / len(partition.test):.1f} % of the test faces, or twins of them",
    )
    assert np.flatnonzero(partition.leaked(np.arange(74, 82))).tolist() == [1, 6]
    assert (partition.measurable, replace(partition, untold=True).measurable) == (True, False)


def test_labels_are_counted_by_the_classes_of_the_network(faces):
    network = ("contempt", *reversed(faces.classes))
    result = align(faces, network)
    assert [network[label] for label in result.labels] == [faces.classes[label] for label in faces.labels]
    assert result.fingerprint != faces.fingerprint
    assert align(faces, faces.classes) is faces
