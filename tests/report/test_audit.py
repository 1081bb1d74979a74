"""The audit: exact counts on faces made for it, its files, and its silence on clean faces."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from hydra.utils import instantiate

from fer_lightning.data.audit import audit
from fer_lightning.data.demo import draw_faces
from fer_lightning.data.faces import fingerprint
from fer_lightning.data.protocols import multiply
from fer_lightning.data.readers import read_faces
from fer_lightning.report.audit import write_findings
from fer_lightning.report.html import write_page
from fer_lightning.words import percent
from tests.conftest import ROOT

ARCHIVE = ROOT.parent / "shared/fer2013/face-expression-recognition-dataset.zip"


def test_counts_are_exact(faces, tmp_path):
    images, labels = faces.images.copy(), faces.labels.copy()
    images[50:52] = 7  # two empty pictures, under labels 1 and 2
    images[60] = 9
    images[60, 0, 0] = 10
    labels[73] = 6
    images[73] = images[4]  # a held-out twin, labelled 6 instead of 4
    faces = replace(faces, images=images, labels=labels, fingerprint="f" * 64, unreadable=(("x.png", "empty file"),))
    report = audit(faces, str(tmp_path)).report()
    assert report["faces"] == 140
    assert (report["flat"], report["empty"], report["unreadable"]) == (3, 2, 1)
    assert report["identical_twins"] == {"groups": 6, "pictures": 12, "contradictory_groups": 2}
    assert report["near_twins"]["groups"] == 6
    assert report["held_out"] == {
        "test": {"faces": 70, "identical_twin_in_training": 0.057143, "twin_in_training": 0.057143}
    }
    assert report["alarms"] == [
        "5.7 % of the held-out faces have a twin among the training faces (5.7 % an identical one): a training with "
        "protocol=honest leaves those faces out"
    ]
    assert audit(faces, str(tmp_path)).report() == report  # from the cache
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2, 3))])
def test_no_false_alarm_on_clean_faces(seed, tmp_path, make_cfg):
    faces = draw_faces(400, 0.1, seed, 48)
    found = audit(faces, str(tmp_path))
    assert found.alarms() == []
    for protocol in ("honest", "kfold"):
        parts = instantiate(make_cfg(f"protocol={protocol}").protocol)(faces, found.twins)
        assert parts.leaks() == ()
        assert not parts.leaked(parts.test).any()


def paper_pictures(faces, make_cfg):
    return multiply(faces, instantiate(make_cfg("protocol=paper").protocol).keywords["pictures"])


def mirrored(faces, make_cfg):
    """Return each face and its mirror image, which are near twins."""
    images = np.concatenate([faces.images, faces.images[:, :, ::-1]])
    return replace(faces, images=images, labels=np.tile(faces.labels, 2))


@pytest.mark.parametrize("augment", [paper_pictures, mirrored])
def test_an_archive_augmented_before_its_split_is_called_that(make_cfg, tmp_path, augment):
    table = augment(draw_faces(100, 0.1, 0, 48), make_cfg)
    splits = np.where(np.random.default_rng(0).random(len(table)) < 0.2, "test", "train")
    names = np.array([f"{row}.png" for row in range(len(table))])
    mixed = replace(
        table, splits=splits, names=names, fingerprint=fingerprint(table.images, table.labels, splits), true_labels=None
    )
    found = audit(mixed, str(tmp_path))
    report = found.report()
    share, copies = report["held_out"]["test"]["twin_in_training"], report["augmented_copies"]
    assert copies["found"] >= 0.1 * copies["sampled"]
    assert report["alarms"] == [
        f"augmented before it was split: {percent(share)} of the held-out faces have a twin among the training faces "
        f"(FER2013 itself: 21.6 %). {copies['found']} of {copies['sampled']} sampled ones "
        f"({percent(copies['share'])}; FER2013 itself: 3.6 %) are rotated, mirrored, cropped or shifted copies of "
        "training faces. No protocol can mend that: use the original archive"
    ]
    assert audit(mixed, str(tmp_path)).report() == report  # from the cache
    assert report["fer2013"] == {"twin_in_training": 0.216, "augmented_copies": 0.036}
    if augment is mirrored:
        assert share > 0.7
        assert copies["found"] > 0.7 * copies["sampled"]


def test_faces_of_one_split_are_audited_too(faces, tmp_path):
    alone = replace(faces, splits=np.full(140, "train"), fingerprint="a" * 64)
    report = audit(alone, str(tmp_path)).report()
    assert report["held_out"] == {}
    assert report["alarms"] == []


def test_command_writes_page_numbers_and_files(run_here, tmp_path):
    options = ("data.drawn.count=200", "logger=csv", "hydra.run.dir=out")
    done = run_here("fer_lightning/__main__.py", "audit", *options)
    assert done.code == 0, done.text
    assert "out/audit.html, audit.json, audit.csv\n" in done.text
    report = json.loads((tmp_path / "out/audit.json").read_text())
    assert report["faces"] == 200
    assert sum(sum(counts.values()) for counts in report["counts"].values()) == 200
    page = (tmp_path / "out/audit.html").read_text()
    assert "Audit of synthetic faces" in page
    assert page.count("FER2013 itself</td><td>") == 2  # its shares, beside these
    assert "http" not in page.split("</head>")[1]
    with (tmp_path / "out/audit.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len([row for row in rows if row["finding"] == "one of twins"]) == report["near_twins"]["pictures"]
    with (tmp_path / "out/metrics.csv").open() as file:
        assert float(next(csv.DictReader(file))["audit/faces"]) == 200


def test_a_person_on_both_sides_is_an_alarm(faces, tmp_path):
    persons = np.array([f"S{row % 70:03}" for row in range(140)])
    persons[105:] = "new"
    result = audit(replace(faces, persons=persons), str(tmp_path))
    report = result.report()
    assert (report["persons"], report["held_out"]["test"]["person_in_training"]) == (71, 0.5)
    assert report["alarms"][-1] == (
        "50.0 % of the held-out faces show a person of the training faces (S000 on both sides): a training with "
        "protocol=honest leaves those faces out, protocol=subject reports on folds of persons"
    )
    assert result.figures()["audit/test_person_in_training"] == 0.5
    assert result.lines()[0].endswith("; 71 persons")
    write_findings(tmp_path / "audit.csv", result)
    assert (tmp_path / "audit.csv").read_text().count(',"held out, person in training",S') == 35
    unknown = audit(faces, str(tmp_path)).report()
    assert (unknown["persons"], "person_in_training" in unknown["held_out"]["test"]) == (None, False)


def test_what_people_see_is_on_the_page(faces, tmp_path):
    """Nine in ten people give the label, and all of them another answer to the first face."""
    crowd = np.eye(9, dtype=int)[faces.labels] * 9
    crowd[:, 8] += 1
    crowd[0] = 10 * np.eye(9, dtype=int)[7]
    result = audit(replace(faces, crowd=crowd), str(tmp_path))
    report = result.report()
    assert (report["crowd"]["give_label"], report["crowd"]["one_with_others"]) == (0.992857, 0.900714)
    assert report["crowd"]["answers"]["angry"]["other"] == 1
    assert result.figures()["audit/crowd_give_label"] == 0.992857
    content = {"report": report, "classes": faces.classes, "sections": []}
    write_page(tmp_path / "audit.html", "audit.html", title="Audit", **content)
    page = (tmp_path / "audit.html").read_text()
    assert "The answer is the label of 99.3 % of these faces" in page
    assert "<th>people: other</th>" in page
    assert audit(faces, str(tmp_path)).report()["crowd"] is None


@pytest.mark.real_faces
@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"the real faces are not at {ARCHIVE}")
def test_audit_of_the_real_faces(tmp_path):
    report = audit(read_faces(str(ARCHIVE), str(tmp_path), {}, 48), str(tmp_path)).report()
    assert report["differences"] == ["train/sad: the paper's table 1 prints 4,983 for these 4,938"]
    assert (report["flat"], report["empty"]) == (13, 12)
    assert report["identical_twins"] == {"groups": 1514, "pictures": 3365, "contradictory_groups": 57}
    assert report["held_out"]["validation"]["identical_twin_in_training"] == pytest.approx(520 / 7066, abs=1e-6)
    assert report["near_twins"]["groups"] > 3000
    assert report["held_out"]["validation"]["twin_in_training"] == pytest.approx(0.2155, abs=1e-3)
    assert len(report["alarms"]) == 1
    assert "a training with protocol=honest leaves those faces out" in report["alarms"][0]
    assert report["augmented_copies"] == {"sampled": 200, "found": 12, "share": 0.06}
