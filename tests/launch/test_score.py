"""The verb score on faces that were drawn, with predictions that were made up."""

import csv
import html
import json
import shlex

import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.slices import read_slices
from tests.conftest import ROOT, make_tree

PEERS = ROOT.parent / "shared" / "peers"
ARCHIVE = ROOT.parent / "shared" / "fer2013" / "face-expression-recognition-dataset.zip"
PREDICTIONS = "predictions=['my a.csv']"
KNOWN = {  # accuracy on PrivateTest, on its faces without and with a twin in Training, and these with the mix of all
    "fer-25.10.3": (0.658, 0.628, 0.758, 0.609, 0.785, 0.057),
    "facial-emotion-recognition-0.3.4": (0.525, 0.472, 0.703, 0.449, 0.740, 0.403),
    "human-3.3.6": (0.666, 0.623, 0.808, 0.604, 0.822, 0.102),
    "face-api-1.7.15": (0.589, 0.581, 0.618, 0.564, 0.635, 0.320),
    "facemood-1.0.1": (0.886, 0.877, 0.914, 0.870, 0.907, 0.067),
}


@pytest.fixture
def tree(tmp_path):
    """A folder of random faces: 56 train, 56 test, of which the first of each class is a training face too."""
    root = make_tree(tmp_path / "faces", 8)
    for name in CLASSES:
        (root / "test" / name / "0.png").write_bytes((root / "train" / name / "0.png").read_bytes())
    return root


@pytest.fixture
def score(run_here, tree):
    """Run the command on these faces."""

    def execute(*arguments, root=tree):
        more = (f"data.root={root}", "paths.cache_dir=cache", "hydra.run.dir=out")
        return run_here("fer_lightning/__main__.py", "score", *more, *arguments)

    return execute


def write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def answers(split, right):
    """Return file and class of each face: the faces numbered below ``right`` of each class are right."""
    return [
        [f"faces/{split}/{name}/{face}.png", name if face < right else CLASSES[(position + 1) % 7]]
        for position, name in enumerate(CLASSES)
        for face in range(8)
    ]


def test_a_csv_becomes_a_run_that_says_what_it_rests_on(score, tmp_path):
    write(tmp_path / "my a.csv", ["File", "prediction"], [*answers("test", 4), *answers("train", 8)])
    ages = [[f"test/{name}/{face}.png", face // 4] for name in CLASSES for face in range(8)]
    write(tmp_path / "people.csv", ["file", "age"], ages)
    done = score("my a.csv", "trained_on=folder", "data.metadata=people.csv")
    assert done.code == 0, done.text
    record = json.loads((tmp_path / "out/metrics.json").read_text())
    assert record["test/accuracy"] == pytest.approx(4 / 8)
    assert record["test/accuracy_with_twins"] == record["test/accuracy_with_twins_same_mix"] == 1
    assert record["test/accuracy_without_twins"] == pytest.approx(3 / 7)
    assert record["test/accuracy_without_twins_same_mix"] == pytest.approx(3 / 7)
    assert (record["test/faces_without_twins"], record["train/accuracy"], record["protocol"]) == (49, 1, "folder")
    assert record["leaks"].startswith("12.5 % of the test faces have an identical twin in training")
    assert not {"test/calibration_error_raw", "too_good", "labels_allow"} & record.keys()
    ages = {entry.value: entry.accuracy for entry in read_slices(tmp_path / "out") if entry.column == "age"}
    assert ages == {"0": 1, "1": 0}
    page = (tmp_path / "out/report.html").read_text()
    assert "with the class mix of all faces; 100.0 % on faces with a twin in training, 50.0 % on all" in page
    more = f"paths.cache_dir=cache trained_on=folder data.metadata=people.csv {shlex.quote(PREDICTIONS)}"
    assert f"score data.root={tmp_path}/faces {more}" in html.unescape(page)


@pytest.mark.long
def test_two_files_become_runs_with_a_table(score, tmp_path):
    write(tmp_path / "a.csv", ["path", "class"], [*answers("test", 8), *answers("train", 8)])
    write(tmp_path / "list.csv", ["file"], [[file] for file, _ in answers("train", 8)])
    shares = [[file, *(0.5 * (guess == name) + 0.25 for name in CLASSES)] for file, guess in answers("test", 1)]
    write(tmp_path / "b.csv", ["image", *(f"vote_{name}" for name in CLASSES)], shares)
    done = score("a.csv", "b.csv", "trained_on=list.csv")
    assert done.code == 0, done.text
    first, second = (json.loads((tmp_path / "out" / name / "metrics.json").read_text()) for name in "ab")
    alarm = "a.csv has probably trained on the held-out faces too: right on 100.0 % of 56 held-out and 100.0 % of 56"
    assert first["too_good"].startswith(alarm)
    assert second["test/accuracy"] == pytest.approx(1 / 8)
    assert second["test/calibration_error_raw"] == pytest.approx(0.75 / 2.25 - 1 / 8)
    assert not {"train/accuracy", "too_good"} & second.keys()
    assert "whether the network has seen the test faces is unknown: b.csv answers no training face" in done.text
    table = (tmp_path / "out/sweep.md").read_text()
    assert -1 < table.find("| b | elsewhere (leaky) | 1 | 12.5 %") < table.find("| a | elsewhere (leaky) (too good) |")
    assert alarm in (tmp_path / "out/report.html").read_text()
    assert (tmp_path / "out/a/report.html").is_file()


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        (
            "file,prediction\ntrain/sad/1.png,sad\n",
            "trained_on=folder",
            "a.csv predicts none of the 56 faces outside",
        ),
        ("file,prediction\ntest/sad/1.png,sad\n", "trained_on=b.csv", "trained_on=b.csv does not exist: give official"),
        ("file,prediction\ntest/sad/1.png,sad\n", "trained_on=official", "trained_on=official needs FER2013's"),
        ("file,prediction\ntest/sad/1.png,sad\n", "protocol=honest", "protocol is no option: did you mean trained_on?"),
    ],
)
def test_mistake_is_one_sentence(score, tmp_path, text, more, words):
    (tmp_path / "a.csv").write_text(text)
    done = score("a.csv", more)
    assert (done.code, "Traceback" in done.text) == (1, False)
    assert words in done.text.splitlines()[-1]


@pytest.mark.real_faces
@pytest.mark.skipif(not (PEERS.is_dir() and ARCHIVE.is_file()), reason=f"not both are there: {PEERS}, {ARCHIVE}")
def test_published_weights_on_the_real_faces(score, tmp_path):
    files = [f"{PEERS}/{name}.csv" for name in KNOWN]
    done = score(*files, "trained_on=official", root=ARCHIVE)
    assert done.code == 0, done.text
    names = ("", "_without_twins", "_with_twins", "_without_twins_same_mix", "_with_twins_same_mix")
    for name, expected in KNOWN.items():
        record = json.loads((tmp_path / "out" / name / "metrics.json").read_text())
        figures = [record[f"test/accuracy{kind}"] for kind in names]
        assert [*figures, record["test/calibration_error_raw"]] == pytest.approx(expected, abs=6e-4)
        assert ("too_good" in record) == (name == "facemood-1.0.1")
