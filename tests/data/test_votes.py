"""FER+: who wins ten people's votes, which rows are left out, and what cannot be."""

import re

import numpy as np
import pytest

from fer_lightning.data.demo import draw_faces
from fer_lightning.data.faces import CLASSES, SPLITS
from fer_lightning.data.mapping import align, map_faces
from fer_lightning.data.published import PARTS
from fer_lightning.data.readers import read_faces
from fer_lightning.data.votes import VOTED, count_votes, read_votes, relabel, shares, winners
from fer_lightning.errors import UserError
from fer_lightning.runs.record import read_run
from tests.conftest import options
from tests.data.sources import ARCHIVE

COLUMNS = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
NUMBERS = (6, 3, 5, 4, 0, 1, 2)  # of FER2013's csv, by the first seven columns
USAGES = ("Training", "PublicTest", "PrivateTest")
WINNERS = {  # votes in the order of the columns -> the winner
    "10,0,0,0,0,0,0,0,0,0": "neutral",
    "0,6,4,0,0,0,0,0,0,0": "happy",
    "0,0,3,0,1,1,1,0,2,1": "surprise",  # 3 of the 5 that more than one person gave
    "0,0,0,5,0,0,5,0,0,0": "no majority",  # half is no majority
    "4,0,0,3,3,0,0,0,0,0": "no majority",
    "1,1,1,1,1,1,1,1,1,1": "no majority",
    "2,0,0,0,0,0,0,0,8,0": "unknown",
    "0,0,0,0,0,0,0,0,0,10": "no face",
}


def write(folder, lines, usages=USAGES, agreeing=1.0):
    """Write both files, each row of votes for one face of every usage; return the csv and the votes.

    The csv's label is the expression with the most votes for a share ``agreeing`` of the faces, else the next one.
    """
    draw = np.random.default_rng(0)
    faces, votes = ["emotion,pixels,Usage"], [f"Usage,Image name,{COLUMNS}"]
    for usage in usages:
        for number, line in enumerate(lines):
            pixels = [number, *draw.integers(256, size=48**2 - 1)]
            label = NUMBERS[np.argmax([int(count) for count in line.split(",")[:7]])]
            label = label if number < agreeing * len(lines) else (label + 1) % 7
            faces.append(f"{label},{' '.join(map(str, pixels))},{usage}")
            votes.append(f"{usage},fer{number:07}.png,{line}")
    (folder / "fer2013.csv").write_text("\n".join(faces))
    (folder / "fer2013new.csv").write_text("\n".join(votes))
    return str(folder / "fer2013.csv"), str(folder / "fer2013new.csv")


def relabelled(csv, votes, cache, classes=VOTED):
    """Return the faces of a csv with the winners of the votes as labels."""
    return relabel(read_faces(csv, str(cache), {}, 48), votes, classes)


def one_each():
    """Return ten votes for each of the eight expressions, by the columns."""
    return [",".join("10" if at == column else "0" for at in range(10)) for column in range(8)]


def test_majority_wins_and_a_single_vote_does_not_count(tmp_path):
    _, votes = write(tmp_path, WINNERS, ["Training"])
    splits, counts = read_votes(votes)
    assert winners(counts).tolist() == list(WINNERS.values())
    assert splits.tolist() == ["train"] * len(WINNERS)
    assert counts[2].tolist() == [0, 0, 3, 0, 1, 1, 1, 0, 2, 1]


def test_winners_label_the_rows(tmp_path):
    csv, votes = write(tmp_path, [*one_each(), "0,5,5,0,0,0,0,0,0,0"])
    faces = relabelled(csv, votes, tmp_path / "cache")
    assert faces.classes == VOTED
    assert [VOTED[label] for label in faces.labels[:8]] == [
        *("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
    ]
    assert faces.counts() == {"train": [1] * 8, "validation": [1] * 8, "test": [1] * 8}
    assert faces.images[:, 0, 0].tolist() == list(range(8)) * 3  # each row's own picture
    assert (faces.names[7], faces.names[8]) == ("train/contempt/csv_00008", "validation/neutral/csv_00010")
    assert faces.remarks == ("Faces left out, since no expression has most of the votes: 3.",)
    assert faces.source == "fer2013.csv with FER+'s votes"
    own = read_faces(csv, str(tmp_path / "cache"), {}, 48)
    assert (len(own), own.classes) == (27, CLASSES)  # the same file by its own labels
    assert own.fingerprint != faces.fingerprint


def test_shares_are_those_of_all_votes_for_the_classes(tmp_path):
    csv, votes = write(tmp_path, [*one_each(), "0,0,5,0,1,1,1,0,1,1"])
    faces = relabelled(csv, votes, tmp_path)
    of_all = shares(faces)
    assert np.array_equal(of_all[:8], np.eye(8, dtype=np.float32)[faces.labels[:8]])
    by_name = dict(zip(VOTED, of_all[8].tolist(), strict=True))
    expected = {"surprise": 5 / 8, "angry": 1 / 8, "disgust": 1 / 8, "fear": 1 / 8}
    assert by_name == pytest.approx(dict.fromkeys(VOTED, 0.0) | expected)
    some = relabelled(csv, votes, tmp_path, ["surprise", "angry"])
    assert shares(some)[0].tolist() == pytest.approx([1, 0])
    assert shares(some)[2].tolist() == pytest.approx([5 / 6, 1 / 6])
    joined = {"bad": ["anger", "disgust"], "fear": None}
    mapped = map_faces(faces, joined)
    of_joined = shares(mapped)
    assert np.array_equal(of_joined.argmax(axis=1), mapped.labels)
    by_name = dict(zip(mapped.classes, of_joined[7].tolist(), strict=True))  # row 8, for that of fear is left out
    assert by_name == pytest.approx(dict.fromkeys(mapped.classes, 0.0) | {"surprise": 5 / 7, "bad": 2 / 7})


def test_votes_are_counted_beside_the_labels(tmp_path):
    """The columns are the classes, then what is none of them; they follow joined and aligned classes."""
    csv, votes = write(tmp_path, [*one_each()[:7], "0,0,5,0,1,0,1,1,1,1"])
    plain = read_faces(csv, str(tmp_path), {}, 48)
    faces = count_votes(plain, votes)
    assert (faces.fingerprint, faces.classes) == (plain.fingerprint, CLASSES)
    np.testing.assert_array_equal(faces.labels, plain.labels)
    assert faces.crowd[[7, 23]].tolist() == [[1, 0, 1, 0, 0, 0, 5, 1, 1, 1]] * 2  # contempt, unknown and no face last
    assert faces.crowd[:7].argmax(axis=1).tolist() == faces.labels[:7].tolist()
    mapped = map_faces(faces, {"bad": ["angry", "disgust", "sad"], "fear": None})
    assert mapped.classes == ("happy", "neutral", "surprise", "bad")
    assert mapped.crowd[-1].tolist() == [0, 0, 5, 1, 1, 1, 1, 1]  # fear is no class any more
    assert align(mapped, ["calm", *mapped.classes]).crowd[-1].tolist() == [0, 0, 0, 5, 1, 1, 1, 1, 1]
    with pytest.raises(
        UserError, match=r"data\.crowd=.*fer2013new\.csv holds votes for the rows of fer2013\.csv, and 100"
    ):
        count_votes(draw_faces(100, 0.0, 0, 48), votes)


def test_rows_left_out_are_told_by_reason(tmp_path):
    csv, votes = write(tmp_path, [*one_each(), *list(WINNERS)[3:]])
    assert relabelled(csv, votes, tmp_path, CLASSES).remarks == (
        "Faces left out, since people saw contempt: 3.",
        "Faces left out, since most people saw no face: 3.",
        "Faces left out, since no expression has most of the votes: 9.",
        "Faces left out, since most people could not name the expression: 3.",
    )


@pytest.mark.parametrize(("agreeing", "words"), [(0.4, None), (0.3, "in 30.0 % of the rows, less than 40 %")])
def test_votes_of_another_order_are_refused(tmp_path, agreeing, words):
    csv, votes = write(tmp_path, (one_each()[:7] * 3)[:20], agreeing=agreeing)
    if words is None:
        assert len(relabelled(csv, votes, tmp_path, CLASSES)) == 60
    else:
        with pytest.raises(UserError, match=rf"data\.votes={votes} agrees with fer2013\.csv {words}"):
            relabelled(csv, votes, tmp_path, CLASSES)


def test_votes_of_a_row_label_the_file_of_its_number(tmp_path, contest):
    """Kaggle's archive: every vote is for the file's own label, but those of row 7, whose file lies anywhere."""
    labels = np.array(CLASSES)[contest.labels][np.argsort(contest.rows)]  # by row
    lines = {CLASSES[number]: line for number, line in zip((4, 3, 6, 5, 0, 1, 2), one_each()[:7], strict=True)}
    votes = [f"{USAGES[SPLITS.index(split)]},,{lines[name]}" for split, name in zip(PARTS, labels, strict=True)]
    votes[7] = f"Training,,{one_each()[7]}"
    (tmp_path / "fer2013new.csv").write_text("\n".join([f"Usage,Image name,{COLUMNS}", *votes]))
    faces = relabel(contest, str(tmp_path / "fer2013new.csv"), CLASSES)
    seventh = np.flatnonzero(contest.rows == 7)
    assert faces.remarks == ("Faces left out, since people saw contempt: 1.",)
    for column in ("names", "labels", "splits", "rows"):
        np.testing.assert_array_equal(getattr(faces, column), np.delete(getattr(contest, column), seventh))


def test_fewer_classes_leave_their_faces_out(tmp_path):
    csv, votes = write(tmp_path, one_each())
    faces = relabelled(csv, votes, tmp_path / "cache", ["sad", "happy"])
    assert faces.labels.tolist() == [1, 0] * 3
    assert "Faces left out, since people saw contempt: 3." in faces.remarks
    np.testing.assert_array_equal(faces.images[:, 0, 0], [1, 3] * 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(",NF", ""), "header: no column nf; give FER"),
        (lambda text: text.replace("Usage,Image", "usage ,Image").replace("10", "ten", 1), "row 1: .*'ten'"),
        (lambda text: text.replace("10", "-1", 1), "row 1: a number of votes is below 0"),
        (lambda text: text.replace("PublicTest", "Public"), "row 9: 'public' is missing or unknown"),
        (lambda text: text[: text.rindex(",")], "row 24: 'nf' is missing or unknown"),
        (lambda text: text[: text.rindex("\n")], "votes for 23 rows and fer2013.csv has 24 faces"),
        (lambda text: text.replace("PrivateTest", "Training"), "or their Usage differs"),
        (lambda text: text.replace("10,0,0\n", "0,10,0\n"), "no face of train/contempt, test/contempt|train/contempt"),
    ],
)
def test_votes_that_do_not_fit_are_refused(tmp_path, change, words):
    csv, votes = write(tmp_path, one_each())
    (tmp_path / "fer2013new.csv").write_text(change((tmp_path / "fer2013new.csv").read_text()))
    with pytest.raises(UserError, match=words):
        relabelled(csv, votes, tmp_path / "cache")


def test_votes_are_of_a_csv_and_of_known_expressions(tmp_path):
    csv, votes = write(tmp_path, one_each())
    with pytest.raises(UserError, match=r"rows of fer2013\.csv, and 100 files .* once: give that file or Kag"):
        relabel(draw_faces(100, 0.0, 0, 48), votes, VOTED)
    with pytest.raises(UserError, match=r"data\.classes=\[happy,calm\] must be some of angry, .* with data.votes"):
        relabelled(csv, votes, tmp_path, ["happy", "calm"])
    for place, kind in (
        (tmp_path / "none.csv", "does not exist"),
        (tmp_path, "is a folder"),
        ("/dev/zero", "is a device"),
    ):
        with pytest.raises(UserError, match=f"{place} {kind}: give FER"):
            read_votes(str(place))


@pytest.mark.real_faces
@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"the real faces are not at {ARCHIVE}")
def test_votes_of_the_real_archive(tmp_path):
    """The counts are those of a count by hand (awk) in the real file of votes."""
    faces = relabelled(str(ARCHIVE), str(ARCHIVE.with_name("fer2013new.csv")), tmp_path)
    counts = {split: np.bincount(faces.labels[PARTS[faces.rows] == split], minlength=8).tolist() for split in SPLITS}
    assert counts == {
        "train": [2100, 119, 532, 7287, 8740, 3014, 3149, 119],
        "validation": [287, 24, 62, 865, 1182, 351, 415, 13],
        "test": [273, 18, 83, 893, 1090, 384, 396, 16],
    }
    assert faces.remarks == (
        "Faces left out, since most people saw no face: 176.",
        "Faces left out, since no expression has most of the votes: 4,200.",
        "Faces left out, since most people could not name the expression: 99.",
    )


def test_a_network_is_trained_on_the_votes(tmp_path, run_here):
    csv, votes = write(tmp_path, [line for line in one_each() for _ in range(4)])
    done = run_here("train.py", f"data.root={csv}", f"data.votes={votes}", *options("small", "plain", "debug=fast"))
    assert done.code == 0, done.text
    assert re.search("train +32: (angry|disgust|fear|happy) 4, .* contempt 4", done.text)
    (path,) = tmp_path.rglob("predictions.csv")
    run = read_run(path.parent)
    assert np.array_equal(run.predictions["crowd"], run.predictions["label"])
    assert set(run.predictions["agreement"]) == {"1.0000"}
    assert run.figures["test/crowd_gives_label"] == 1
