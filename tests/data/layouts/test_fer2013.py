"""FER2013's csv in the forms in which it is found."""

import io
import tarfile

import pytest

from fer_lightning.data.layouts import find_contents
from fer_lightning.data.listing import list_folder
from fer_lightning.errors import UserError
from tests.data.sources import csv_rows, csv_text, encode, grey, write_folder, write_zip

ROWS = csv_rows() + csv_rows("PublicTest") + csv_rows("PrivateTest")
TABLE = csv_text(ROWS)


def write_tar(files, path, **options):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for option, value in options.items():
                setattr(member, option, value)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


def test_the_archive_of_the_contest(tmp_path, read):
    (tmp_path / "fer2013.csv").write_bytes(TABLE)
    faces = read(tmp_path / "fer2013.csv")
    swapped = [",".join((row.split(",")[0], row.split(",")[2], row.split(",")[1])) for row in ROWS]
    kaggle = {
        "icml_face_data.csv": csv_text(swapped, "emotion, Usage, pixels"),
        "train.csv": csv_text([row.rpartition(",")[0] for row in ROWS[:7]], "emotion,pixels"),
        "test.csv": csv_text([row.split(",")[1] for row in ROWS[7:]], "pixels"),
        "fer2013.tar.gz": b"",
    }
    tar = write_tar({"fer2013/README": b"", "fer2013/fer2013.csv": TABLE}, tmp_path / "fer2013.tar.gz")
    for source in (tar, write_folder(kaggle, tmp_path / "a"), write_zip(kaggle, tmp_path / "a.zip")):
        again = read(source)
        assert again.fingerprint == faces.fingerprint
        assert again.names.tolist() == faces.names.tolist()


def test_a_table_without_usage_has_no_split(tmp_path, read):
    rows = [row.rpartition(",")[0] for row in ROWS[:7]]
    write_folder({"train.csv": csv_text(rows, "emotion,pixels"), "test.csv": b"pixels\n"}, tmp_path / "a")
    assert set(read(tmp_path / "a").splits) == set(read(tmp_path / "a/train.csv").splits) == {""}
    entries = list(find_contents(list_folder(tmp_path / "a"), None).entries)
    assert [(entry.name, entry.split) for entry in entries[:2]] == [("angry/csv_00001", ""), ("disgust/csv_00002", "")]
    write_folder({"train.csv": b"file,label\n", "b/joy/1.png": b"", "b/rage/1.png": b""}, tmp_path / "c")
    assert find_contents(list_folder(tmp_path / "c"), None).entries[0].label == "joy"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("pixels", "no labels: the contest's icml_face_data.csv, or its train.csv, has them"),
        ("Usage,Image name,neutral,NF", r"they are votes of FER\+: data\.root=fer2013\.csv data\.votes=.*test\.csv"),
        ("file,label", r"emotion, pixels, Usage\. Pictures are listed by data\.labels=.*test\.csv beside data\.root="),
    ],
)
def test_other_tables_name_the_remedy(tmp_path, read, header, words):
    (tmp_path / "test.csv").write_bytes(csv_text([], header))
    with pytest.raises(UserError, match=words):
        read(tmp_path / "test.csv")


def test_other_numbers_name_the_remedy(tmp_path, read):
    (tmp_path / "a.csv").write_bytes(TABLE.replace(b"\n6,", b"\n7,", 1))
    with pytest.raises(UserError, match=r"row 7: emotion '7', allowed: .*; data\.classes=\[\.\.\.\] "):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        (
            {"fer2013.csv": b""},
            {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
            "unsafe member 'fer2013.csv', a li",
        ),
        ({"fer2013.csv": b""}, {"type": tarfile.FIFOTYPE}, "unsafe member 'fer2013.csv', a link, a device"),
        ({"../fer2013.csv": b""}, {}, r"unsafe member '\.\./fer2013\.csv'"),
        ({"/fer2013.csv": b""}, {}, "unsafe member '/fer2013.csv'"),
        ({"fer2013.csv": b"", "a/1.png": encode(grey(0))}, {}, "holds pictures: unpack it, and poi"),
        ({"readme": b""}, {}, "no faces in a known layout; found: readme"),
    ],
)
def test_unsafe_and_other_tars_are_refused(tmp_path, read, files, options, words):
    with pytest.raises(UserError, match=words):
        read(write_tar(files, tmp_path / "a.tar.gz", **options))


def test_bombs_and_damaged_tars_are_refused(tmp_path, read, monkeypatch):
    path = tmp_path / "a.tar.gz"
    write_tar({"fer2013.csv": TABLE}, path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"a\.tar\.gz \(3,000 bytes\) is no whole tar archive: "):
        read(path)
    monkeypatch.setattr("fer_lightning.data.listing.MAX_UNPACKED", 10_000_000)
    with pytest.raises(UserError, match=r"would unpack to more than 10,000,000 bytes"):
        read(write_tar({"fer2013.csv": bytes(11_000_000)}, tmp_path / "bomb.tgz"))
