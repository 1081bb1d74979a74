"""Sources that were read before keep their faces: old checkpoints are compared with them."""

import pytest

from fer_lightning.data.layouts import find_classes
from tests.data.sources import csv_rows, csv_text, encode, grey, make_tree, write_folder

TABLE = csv_text(csv_rows() + csv_rows("PublicTest") + csv_rows("PrivateTest"))


@pytest.mark.parametrize(
    ("files", "fingerprint", "names"),
    [
        (
            make_tree("train", "validation", prefix="images/") | {"train/x.png": encode(grey(1)), "notes.txt": b"x"},
            "8915b046b3c52cf34a56aa2104dbd2d7774e2f46d40278e81b7c9cb81e63ce1a",
            ["train/angry/0.png", "validation/surprise/1.png"],
        ),
        (
            make_tree("train") | {"train/Contempt/1.png": encode(grey(5))},
            "50ebd59948193dac4a102019c9eeed6bfe51eea727de9c1e9b95ba2c51f41227",
            ["train/Contempt/1.png", "train/surprise/1.png"],
        ),
        (
            {"fer2013.csv": TABLE},
            "9316d809a89d0b9413af738a8c4c8ef6b699f45c750df5a254ed07cc30987d5e",
            ["train/angry/csv_00001", "test/neutral/csv_00021"],
        ),
    ],
    ids=["tree", "eight classes", "csv"],
)
def test_fingerprints_stay_what_they_were(tmp_path, read, files, fingerprint, names):
    root = write_folder(files, tmp_path / "a")
    faces = read(root)
    assert (faces.fingerprint, faces.names[[0, -1]].tolist()) == (fingerprint, names)
    assert faces.classes == find_classes(root)
