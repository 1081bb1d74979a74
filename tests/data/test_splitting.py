"""The test part of a source that has no split."""

from dataclasses import replace

import numpy as np
import pytest
from hydra.utils import instantiate

from fer_lightning.data import twins as search
from fer_lightning.data.audit import audit
from fer_lightning.data.faces import fingerprint
from fer_lightning.data.splitting import draw_split
from fer_lightning.errors import UserError
from tests.data.sources import encode, grey, write_folder


@pytest.fixture
def unsplit(faces):
    splits = np.full(140, "")
    return replace(faces, splits=splits, fingerprint=fingerprint(faces.images, faces.labels, splits))


def test_a_tenth_of_each_class_is_drawn_and_twins_stay_together(unsplit, tmp_path):
    cuts = [draw_split(unsplit, str(tmp_path), 0.1, seed) for seed in (0, 0, 1)]
    for faces in cuts:
        assert np.sum([*faces.counts().values()], axis=0).tolist() == [20] * 7
        assert abs(np.array(faces.counts()["test"]) - 2).max() <= 1  # a pair of twins is one card
        for first, second in ((0, 70), (1, 71), (2, 72), (3, 10)):
            assert faces.splits[first] == faces.splits[second]
        assert faces.fingerprint == fingerprint(faces.images, faces.labels, faces.splits) != unsplit.fingerprint
    assert cuts[0].fingerprint == cuts[1].fingerprint != cuts[2].fingerprint
    assert cuts[2].split == "data.split.share=0.1 data.split.seed=1"
    assert cuts[2].remarks[-1].startswith("The source has no split: 10.0 % of its faces were drawn as test part")
    assert "folders train/ and test/, or a column split" in cuts[2].remarks[-1]


def test_persons_are_on_one_side_and_each_class_on_both(unsplit, tmp_path):
    persons = np.array([f"S{row // 10:03}" for row in range(140)])
    faces = draw_split(replace(unsplit, persons=persons), str(tmp_path), 0.2, 0)
    assert not set(persons[faces.splits == "test"]) & set(persons[faces.splits == "train"])
    assert 0.1 < (faces.splits == "test").mean() < 0.3
    assert min(faces.counts()["test"]) > 0


def test_a_class_that_one_person_shows_is_refused(unsplit, tmp_path):
    faces = replace(unsplit, persons=np.where(unsplit.labels == 3, "Ann", unsplit.names))
    with pytest.raises(
        UserError, match=r"data.split.seed=0 has no test face of happy, .* another share or seed, or more"
    ):
        draw_split(faces, str(tmp_path), 0.2, 0)


def test_twins_are_searched_once(unsplit, tmp_path, monkeypatch):
    searches = []
    monkeypatch.setattr(search, "find_twins", lambda images, find=search.find_twins: searches.append(1) or find(images))
    faces = draw_split(unsplit, str(tmp_path), 0.2, 0)
    found = audit(faces, str(tmp_path))
    assert audit(draw_split(unsplit, str(tmp_path), 0.2, 0), str(tmp_path)).seconds == 0
    assert len(searches) == 1
    assert (faces.splits == "test").sum() == len(found.sample)


def test_a_split_of_the_source_stays(faces, tmp_path):
    assert draw_split(faces, str(tmp_path), 0.2, 0) is faces


def test_class_folders_are_split_and_persons_named(make_cfg, tmp_path):
    """As CK+48 is published: anger/S010_004_00000017.png."""
    names = [
        f"{label}/S{person:03}_{number:03}_{frame:08}.png"
        for number, label in enumerate(("anger", "happy", "contempt"))
        for person in range(10, 20)
        for frame in range(2)
        if (person + number) % 3
    ]
    root = write_folder({name: encode(grey(seed)) for seed, name in enumerate(names)}, tmp_path / "CK+48")
    options = (f"data.root='{root}'", f"data.cache_dir={tmp_path}/cache")
    datamodule = instantiate(make_cfg(*options).data)
    parts, persons = datamodule.partition, datamodule.faces.persons
    assert persons[0] == datamodule.faces.names[0].split("/")[1][:4]
    assert len(set(persons)) == 10
    assert parts.leaks() == ()
    for one, other in ((parts.train, parts.test), (parts.validation, parts.test), (parts.train, parts.validation)):
        assert not set(persons[one]) & set(persons[other])
    options = (*options, "protocol=subject", "protocol.fold=1", r"data.person='S0(\d+)_'")
    subject = instantiate(make_cfg(*options).data).partition
    assert (subject.protocol, subject.leaks()) == ("subject", ())
    assert sorted(set(subject.faces.persons)) == [str(person) for person in range(10, 20)]
