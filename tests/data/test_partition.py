"""Groups of twins are dealt whole; leaks are measured."""

from dataclasses import replace

import numpy as np

from fer_lightning.data.partition import deal_evenly, divide, unite, without
from fer_lightning.data.protocols import folder, honest
from tests.data.leaky import leaky_gallery, leaky_report


def test_honest_cut_follows_its_seed(faces, twins):
    cuts = [honest(faces, twins, 0.2, seed) for seed in (1, 1, 2)]
    assert np.array_equal(cuts[0].validation, cuts[1].validation)
    assert not np.array_equal(cuts[0].validation, cuts[2].validation)
    assert cuts[0].fingerprint == cuts[1].fingerprint != cuts[2].fingerprint


def test_one_group_of_twins_more_moves_no_other_face(faces, twins):
    """The search for twins differs in few pairs between processors; the cut must not be another one for that."""
    near = twins.groups.copy()
    near[[40, 60]] = 40
    cuts = [honest(faces, replace(twins, groups=groups), 0.2, 0) for groups in (twins.groups, near)]
    moved = np.setxor1d(*(cut.validation for cut in cuts))
    assert len(np.setdiff1d(moved, [40, 60])) <= 1  # the border of a class may pass over one group


def test_leaks_switched_on_are_measured(faces, twins):
    gallery = leaky_gallery(faces, twins, 0.2, 0)
    assert gallery.leaks() == ("100.0 % of the test faces are themselves in training or gallery",)
    assert gallery.leaked(gallery.test).all()
    report = leaky_report(faces, twins, 0.2, 0)
    assert report.leaks() == ("100.0 % of the test faces are themselves in training",)


def test_parts_that_are_left_out_cover_the_training_faces_once(faces, twins):
    whole = honest(faces, twins, 0.2, 0)
    parts = [without(whole, span) for span in ([0.0, 0.3], [0.3, 0.6], [0.6, 1.0])]
    left_out = [np.setdiff1d(whole.train, part.train) for part in parts]
    assert np.array_equal(np.sort(np.concatenate(left_out)), whole.train)
    for part, rows in zip(parts, left_out, strict=True):
        assert 0.25 < len(rows) / len(whole.train) < 0.45
        assert not np.isin(whole.groups[rows], whole.groups[part.train]).any()  # twins are whole
        assert np.array_equal(part.gallery, part.train)
        assert np.array_equal(part.test, whole.test)
    assert len({part.fingerprint for part in (whole, *parts)}) == 4


def test_twins_and_persons_are_one_group():
    groups = np.array([0, 1, 2, 2, 4, 5])
    assert unite(groups, None) is groups
    persons = np.array(["a", "b", "b", "c", "c", "d"])
    assert unite(groups, persons).tolist() == [0, 1, 1, 1, 1, 5]


def test_persons_are_dealt_whole_and_classes_evenly(faces, twins):
    random = np.random.default_rng(0)
    persons = np.array([f"S{number}" for number in random.integers(40, size=140)])
    parts = divide(np.arange(140), replace(faces, persons=persons), unite(twins.groups, persons), [0.25] * 4, 0)
    assert sorted(np.concatenate(parts)) == list(range(140))
    groups = unite(twins.groups, persons)
    for part in parts:
        assert 30 <= len(part) <= 40
        assert np.abs(np.bincount(faces.labels[part], minlength=7) - 5).max() <= 3
        assert not np.isin(groups[part], groups[np.setdiff1d(np.arange(140), part)]).any()


def test_no_part_stays_empty():
    groups = np.array([0, 0, 0, 3, 3, 3])
    assert sorted(map(len, deal_evenly(np.arange(6), np.zeros(6, int), groups, [0.1, 0.9], 0))) == [3, 3]


def test_a_person_on_both_sides_leaks(faces, twins):
    persons = np.array([f"S{row % 70:03}" for row in range(140)])
    persons[105:] = "new"
    assert folder(replace(faces, persons=persons), twins).leaks() == (
        "4.3 % of the test faces have an identical twin in training",
        "50.0 % of the test faces show a person who is in training (S000 on both sides)",
        "the checkpoint is chosen on the reported faces",
    )
    assert (
        folder(replace(faces, persons=np.array(list(map(str, range(140))))), twins).leaks()
        == folder(faces, twins).leaks()
    )
