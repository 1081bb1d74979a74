"""Protocols: who is trained on, who chooses, who is tested, and what leaks."""

from dataclasses import replace

import numpy as np
import pytest
from hydra.utils import instantiate

from fer_lightning.config import CONF
from fer_lightning.data.augmentation import Chain
from fer_lightning.data.protocols import (
    clean_test,
    elsewhere,
    folder,
    honest,
    kfold,
    multiply,
    official,
    paper,
    subject,
)
from fer_lightning.data.twins import Twins
from fer_lightning.errors import UserError


def borders(parts):
    return ((parts.train, parts.validation), (parts.train, parts.test), (parts.validation, parts.test))


@pytest.mark.parametrize("seed", range(5))
def test_honest_is_disjoint_covers_and_keeps_twins_together(faces, twins, seed):
    parts = honest(faces, twins, validation_share=0.2, seed=seed)
    assert parts.test.tolist() == list(range(70, 140))
    assert parts.left_out == 3
    together = np.concatenate([parts.train, parts.validation, parts.test, [0, 1, 2]])
    assert sorted(together) == list(range(140))
    for one, other in borders(parts):
        assert not np.intersect1d(twins.groups[one], twins.groups[other]).size
    assert set(np.bincount(faces.labels[parts.validation], minlength=7)) <= {1, 2, 3}
    assert np.array_equal(parts.gallery, parts.train)
    assert parts.leaks() == ()
    assert not parts.leaked(parts.test).any()


def test_honest_leaves_near_twins_out_too(faces, twins):
    near = twins.groups.copy()
    near[99] = near[20]  # as if a held-out face were a mirrored training face
    parts = honest(faces, replace(twins, groups=near), 0.2, 0)
    assert parts.left_out == 4
    assert 20 not in np.concatenate([parts.train, parts.validation])


@pytest.mark.parametrize("seed", range(3))
def test_clean_test_keeps_all_training_faces_and_leaves_their_twins_out_of_the_test(faces, twins, seed):
    near = twins.groups.copy()
    near[99] = near[20]
    twins = replace(twins, groups=near)
    parts = clean_test(faces, twins, validation_share=0.2, seed=seed)
    assert sorted(np.concatenate([parts.train, parts.validation])) == list(range(70))
    assert parts.test.tolist() == [row for row in range(70, 140) if row not in (70, 71, 72, 99)]
    assert (parts.left_out, parts.left_out_test, parts.leaks()) == (0, 4, ())
    for one, other in borders(parts):
        assert not np.intersect1d(twins.groups[one], twins.groups[other]).size


def test_clean_test_without_a_clean_test_face_is_refused(faces, twins):
    with pytest.raises(UserError, match=r"protocol=clean_test leaves no face to test on, .* or protocol=kfold"):
        clean_test(faces, replace(twins, groups=np.tile(np.arange(70), 2)), 0.1, 0)


def test_honest_and_clean_test_keep_persons_on_one_side(faces, twins):
    persons = np.array([f"S{row % 60 // 2:03}" for row in range(140)])  # rows 0 to 19 are also in 60 to 79, 120 to 139
    persons[80:120] = "new"
    faces = replace(faces, persons=persons)
    for parts in (honest(faces, twins, 0.2, 0), clean_test(faces, twins, 0.2, 0)):
        for one, other in borders(parts):
            assert not set(persons[one]) & set(persons[other])
        assert parts.leaks() == ()
        assert parts.left_out + parts.left_out_test == 30


def test_subject_reports_on_folds_of_persons(faces, twins):
    faces = replace(faces, persons=np.array([f"S{row % 20:03}" for row in range(140)]))
    parts = [subject(faces, twins, folds=4, fold=fold, validation_share=0.2, seed=0) for fold in range(4)]
    assert sorted(np.concatenate([part.test for part in parts])) == list(range(140))
    for part in parts:
        assert (part.protocol, part.left_out, part.leaks()) == ("subject", 0, ())
        for one, other in borders(part):
            assert not set(faces.persons[one]) & set(faces.persons[other])
    with pytest.raises(UserError, match=r"protocol.folds=21 leaves a fold without a face: use fewer"):
        subject(faces, twins, 21, 0, 0.2, 0)


def test_subject_needs_persons(faces, twins):
    with pytest.raises(UserError, match=r"data.person='\(S\\d\+\)_', or use protocol=kfold"):
        subject(faces, twins, 5, 0, 0.2, 0)


def test_every_training_person_held_out_is_refused(faces, twins):
    faces = replace(faces, persons=np.full(140, "Ann"))
    with pytest.raises(
        UserError, match=r"a twin or its person among the held-out ones: .* protocol=subject, or protocol=f"
    ):
        honest(faces, twins, 0.1, 0)


def test_folds_cover_every_face_once(faces, twins):
    parts = [kfold(faces, twins, folds=5, fold=fold, validation_share=0.2, seed=0) for fold in range(5)]
    assert sorted(np.concatenate([part.test for part in parts])) == list(range(140))
    for part in parts:
        assert part.leaks() == ()
        assert part.left_out == 0
        assert np.abs(np.bincount(faces.labels[part.test], minlength=7) - 4).max() <= 1  # 20 of a class in 5 folds
        for one, other in borders(part):
            assert not np.intersect1d(twins.groups[one], twins.groups[other]).size


def test_folder_reports_where_it_selects_and_says_so(faces, twins):
    parts = folder(faces, twins)
    assert np.array_equal(parts.validation, parts.test)
    assert parts.leaks() == (
        "4.3 % of the test faces have an identical twin in training",  # 3 of 70
        "the checkpoint is chosen on the reported faces",
    )


def test_near_twins_leak_under_folder(faces, twins):
    near = twins.groups.copy()
    near[99] = near[20]
    assert (
        "5.7 % of the test faces have an identical or near twin in training"
        in folder(faces, replace(twins, groups=near)).leaks()
    )


def test_official_needs_three_parts(faces, twins):
    with pytest.raises(UserError, match="PrivateTest"):
        official(faces, twins)
    splits = faces.splits.astype("<U10")
    splits[70:100] = "validation"
    parts = official(replace(faces, splits=splits), twins)
    assert [len(rows) for rows in (parts.train, parts.validation, parts.test)] == [70, 30, 40]


def test_official_takes_the_parts_of_the_archive_by_its_numbers(contest):
    alone = np.arange(len(contest))
    parts = official(contest, Twins(alone, alone, np.empty((0, 2), int), np.empty(0, str)))
    assert sorted(contest.rows[parts.train]) == list(range(28_709))
    assert sorted(contest.rows[parts.validation]) == list(range(28_709, 32_298))
    assert sorted(contest.rows[parts.test]) == list(range(32_298, 35_887))
    assert set(contest.splits[parts.test]) == {"train", "validation"}  # whatever folder they lie in
    with pytest.raises(UserError, match=r"all three; by the numbers Training has 28,709 faces of angry, .* 3,995: use"):
        official(replace(contest, rows=None, labels=np.zeros_like(contest.labels)), parts.twins)


def test_elsewhere_takes_the_splits_of_a_list_and_refuses_another_word(faces, twins, tmp_path):
    path = tmp_path / "list.csv"
    rows = [f"{name},{('Training', 'val', 'test')[row % 3]}" for row, name in enumerate(faces.names)]
    path.write_text("\n".join(["file,split", *rows]))
    parts = elsewhere(faces, twins, str(path))
    for rows, first in zip((parts.train, parts.validation, parts.test), range(3), strict=True):
        assert rows.tolist() == list(range(first, 140, 3))
    text = path.read_text()
    for word in ("dev", "training set", ""):
        path.write_text(text.replace(",val\n", f",{word}\n", 1))
        with pytest.raises(UserError, match=rf"list\.csv, line 3: split '{word}', allowed: train, .* correct it"):
            elsewhere(faces, twins, str(path))


def test_paper_leaks_siblings_of_nearly_every_test_picture(faces, twins):
    kinds = ("rotated", "cropped", "shifted_x", "shifted_y", "combined")
    parts = paper(faces, twins, dict.fromkeys(kinds, Chain([], 0)), test_share=0.2, seed=0)
    assert len(parts.faces) == 6 * 140
    assert np.array_equal(parts.faces.labels, faces.labels[parts.origins])
    assert sorted(np.concatenate([parts.train, parts.test])) == list(range(6 * 140))
    assert np.bincount(parts.faces.labels[parts.test]).tolist() == [24] * 7
    expected = np.isin(parts.origins[parts.test], parts.origins[parts.train])
    assert expected.mean() > 0.99
    first, second = parts.leaks()[0], parts.leaks()[-1]
    assert "of the test pictures have a sibling in training" in first
    assert second == "the checkpoint is chosen on the reported pictures"


def test_multiplied_faces_are_the_chains_pictures(faces):
    class Darker(Chain):
        def __call__(self, image, epoch, picture):
            return image // 2

    table = multiply(faces, {"darker": Darker([], 0)})
    assert np.array_equal(table.images[:140], faces.images)
    assert np.array_equal(table.images[140:], faces.images // 2)
    assert table.names[140] == f"{faces.names[0]}#darker"
    assert len(set(table.names)) == 280


def test_every_protocol_of_conf_names_its_partition(faces, twins, make_cfg):
    splits = faces.splits.astype("<U10")
    splits[70:100] = "validation"
    table = replace(faces, splits=splits, persons=faces.names)
    for choice in sorted(file.stem for file in (CONF / "protocol").glob("*.yaml")):
        protocol = instantiate(make_cfg(f"protocol={choice}").protocol)
        assert protocol(table, twins).protocol == choice


def test_a_source_without_held_out_faces_is_refused(faces, twins):
    with pytest.raises(UserError, match="protocol=kfold"):
        honest(replace(faces, splits=np.full(140, "train")), twins, 0.1, 0)


def test_held_out_twins_of_every_training_face_are_refused(faces, twins):
    with pytest.raises(UserError, match=r"protocol=honest leaves no face to train on, .* twin .* or protocol=folder"):
        honest(faces, replace(twins, groups=np.tile(np.arange(70), 2)), 0.1, 0)
