import io
import os
import re
import sys
import zipfile
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fer_lightning.data import listing, readers
from fer_lightning.data.demo import draw_faces
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.readers import read_faces, summarize
from fer_lightning.errors import UserError

ARCHIVE = Path(__file__).parents[3] / "shared/fer2013/face-expression-recognition-dataset.zip"


def encode(image, file_format="PNG", **options):
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, file_format, **options)
    return file.getvalue()


def grey(seed):
    return np.random.default_rng(seed).integers(256, size=(48, 48), dtype=np.uint8)


def make_tree(*splits, prefix="", faces=2):
    """Return {path: bytes} of a tree with some different faces per split and class."""
    paths = [f"{prefix}{split}/{name}/{k}.png" for split in splits for name in CLASSES for k in range(faces)]
    return {path: encode(grey(seed)) for seed, path in enumerate(paths)}


def write_folder(files, root):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return str(root)


def write_zip(files, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path)


@pytest.fixture
def read(tmp_path):
    return lambda root, image_size=48: read_faces(str(root), str(tmp_path / "cache"), {}, image_size)


@pytest.mark.parametrize(
    ("prefix", "folder", "split"),
    [("", "validation", "validation"), ("images/", "val", "validation"), ("images/images/", "test", "test")],
)
def test_tree_gives_equal_faces_from_folder_and_zip(tmp_path, read, prefix, folder, split):
    files = make_tree("train", folder, prefix=prefix)
    faces, zipped = read(write_folder(files, tmp_path / "a")), read(write_zip(files, tmp_path / "a.zip"))
    assert faces.counts() == {"train": [2] * 7, split: [2] * 7}
    assert faces.images.shape == (28, 48, 48)
    assert faces.images.dtype == np.uint8
    assert faces.labels.dtype == np.int64
    assert sorted(faces.names) == faces.names.tolist()
    assert faces.names[-1] == "validation/surprise/1.png" or folder != "validation"
    for image, name in zip(faces.images, faces.names, strict=True):
        np.testing.assert_array_equal(image, grey(list(files).index(prefix + name)))
    assert zipped.fingerprint == faces.fingerprint
    assert zipped.names.tolist() == faces.names.tolist()
    assert faces.remarks == ()


def test_second_copy_of_the_tree_is_ignored_and_counted(tmp_path, read):
    files = make_tree("train", "validation", prefix="images/")
    once = read(write_zip(files, tmp_path / "once.zip"))
    copy = make_tree("train", "validation", prefix="images/images/")
    twice = read(write_zip(files | copy, tmp_path / "twice.zip"))
    assert twice.fingerprint == once.fingerprint
    assert twice.remarks == ("Pictures of a second copy under images/images/ ignored: 28.",)
    with pytest.raises(UserError, match="more than one tree of faces: a; b"):
        read(write_zip(make_tree("train", prefix="a/") | make_tree("test", prefix="b/"), tmp_path / "two.zip"))


def test_fer2013_folders_take_the_split_from_the_file_name(tmp_path, read):
    files = {}
    for name in CLASSES:
        files[f"train/{name}/Training_1.png"] = encode(grey(1))
        files[f"test/{name}/PublicTest_2.png"] = files[f"test/{name}/PublicTest_3.png"] = encode(grey(2))
        files[f"test/{name}/PrivateTest_4.png"] = encode(grey(3))
    faces = read(write_folder(files, tmp_path / "fer"))
    assert faces.counts() == {"train": [1] * 7, "validation": [2] * 7, "test": [1] * 7}
    assert faces.splits[faces.names == "test/sad/PublicTest_2.png"] == ["validation"]


def csv_text(rows, header="emotion,pixels,Usage"):
    return "\n".join([header, *rows]).encode()


def csv_rows(usage="Training"):
    return [f"{emotion},{' '.join(map(str, grey(emotion).ravel()))},{usage}" for emotion in range(7)]


def test_csv_alone_in_a_folder_and_in_a_zip(tmp_path, read):
    files = {"fer2013/fer2013.csv": csv_text(csv_rows() + csv_rows("PublicTest") + csv_rows("PrivateTest"))}
    faces = read(write_folder(files, tmp_path / "a"))
    assert faces.counts() == {"train": [1] * 7, "validation": [1] * 7, "test": [1] * 7}
    assert [CLASSES[label] for label in faces.labels[4:7]] == ["sad", "surprise", "neutral"]  # FER2013's order
    assert faces.names[13] == "validation/neutral/csv_00014"
    np.testing.assert_array_equal(faces.images[6], grey(6))
    assert read(tmp_path / "a/fer2013/fer2013.csv").fingerprint == faces.fingerprint
    assert read(write_zip(files, tmp_path / "a.zip")).fingerprint == faces.fingerprint


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("7,{},Training", "emotion '7', allowed: 0, 1, 2, 3, 4, 5, 6"),
        ("3,{},Holdout", "usage 'Holdout', allowed: training, publictest, privatetest"),
        ("3,{} 12,Training", "2305 pixels, allowed: 2304"),
        ("3,,Training", "0 pixels, allowed: 2304"),
        ("3,256 {},Training", "pixel '256', allowed: 0 to 255"),
        ("3,-1 {},Training", "pixel '-1', allowed: 0 to 255"),
        ("3,0.5 {},Training", "pixel '0.5', allowed: 0 to 255"),
        ("3,{} x,Training", "pixel 'x', allowed: 0 to 255"),
        ("3", "usage '', allowed: training, publictest, privatetest"),
    ],
)
def test_bad_csv_row_is_named(tmp_path, read, row, message):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(csv_text([*csv_rows(), row.format(" ".join(["0"] * 2304))]))
    with pytest.raises(UserError, match=re.escape(f"{path}, row 8: {message}")):
        read(path)


def test_csv_without_its_columns(tmp_path, read):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(csv_text([], header="label,pixels"))
    with pytest.raises(UserError, match=r"fer2013\.csv, header: .*needed: emotion, pixels, Usage"):
        read(path)


def test_csv_with_a_column_twice_is_refused(tmp_path, read):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(csv_text(csv_rows(), header="emotion,pixels,Usage,Emotion "))
    with pytest.raises(UserError, match=r"fer2013\.csv, header: column emotion stands there more than once\. Mend"):
        read(path)


def test_class_folders_in_other_spellings(tmp_path, read):
    spelt = {"angry": "Anger", "disgust": "disgusted", "fear": "scared", "happy": "Happy", "sad": "SADNESS"}
    files = make_tree("train")
    other = {re.sub("/(.*)/", lambda found: f"/{spelt.get(found[1], found[1])}/", name): files[name] for name in files}
    faces = read(write_zip(other, tmp_path / "a.zip"))
    assert faces.counts() == {"train": [2] * 7}
    assert "Pictures of folder disgusted read as disgust: 2." in faces.remarks
    assert len(faces.remarks) == 5


def test_wrong_trees_are_refused(tmp_path, read):
    files = make_tree("train")
    more, others = files | make_tree("test"), {"test/contempt/1.png": encode(grey(0))}
    partial = {name: data for name, data in (more | others).items() if "train/sad/" not in name}
    with pytest.raises(UserError, match=r"holds no face of train/contempt; train/sad; each .* surprise, contempt\.$"):
        read(write_zip(partial, tmp_path / "missing.zip"))
    with pytest.raises(UserError, match="the train split is empty"):
        read(write_zip(make_tree("test"), tmp_path / "test.zip"))
    with pytest.raises(UserError, match=r"no faces in a known layout; found: notes\.txt; pics\."):
        read(write_zip({"pics/1.png": b"", "notes.txt": b""}, tmp_path / "other.zip"))
    with pytest.raises(UserError, match=rf"looked for {tmp_path}/nowhere\)\. .*train,validation.*data\.root=null"):
        read(tmp_path / "nowhere")


def test_unreadable_files_are_named_and_skipped(tmp_path, read, monkeypatch):
    good = make_tree("train", faces=8)
    large = encode(Image.new("1", (8000, 7000)))  # 56 megapixels in a small file
    vast = encode(Image.new("1", (20_000, 10_000)))  # Pillow itself raises
    bad = {
        "train/sad/cut.png": good["train/sad/0.png"][:-500],
        "train/sad/empty.jpg": b"",
        "train/sad/large.png": large,
        "train/sad/text.jpg": b"no picture at all",
        "train/sad/vast.png": vast,
    }
    root = write_folder(good | bad | {"train/sad/Thumbs.db": b"x", "train/sad/.hidden.png": b"x"}, tmp_path / "a")
    os.symlink(tmp_path / "gone.png", f"{root}/train/sad/link.png")
    faces = read(root)
    assert faces.counts() == {"train": [8] * 7}
    reasons = dict(faces.unreadable)
    assert sorted(reasons) == sorted([*bad, "train/sad/link.png"])
    assert "truncated" in reasons["train/sad/cut.png"]
    assert reasons["train/sad/empty.jpg"] == reasons["train/sad/text.jpg"] == "empty or no picture"
    assert reasons["train/sad/large.png"] == reasons["train/sad/vast.png"] == "more than 50,000,000 pixels"
    assert reasons["train/sad/link.png"] == "No such file or directory"
    assert faces.remarks == ("Files that are hidden or no pictures ignored: 2.",)
    assert "6 unreadable: train/sad/cut.png: " in summarize(faces)
    zipped = write_zip(good | bad, tmp_path / "a.zip")
    monkeypatch.setattr(readers, "MAX_UNREADABLE_SHARE", 0.05)
    with pytest.raises(UserError, match=r"5 of 61 pictures are unreadable, more than 5 %: train/sad/cut\.png: "):
        read(zipped)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def test_every_kind_of_picture_becomes_48_x_48_grey(tmp_path, read):
    image = grey(0)
    flat = np.full((48, 48), 100, np.uint8)
    half = np.zeros((96, 96), np.uint8)
    half[:, 48:] = 200
    colour = Image.merge("RGB", [Image.fromarray(flat)] * 3)
    clear = Image.merge("RGBA", [Image.fromarray(flat)] * 3 + [Image.new("L", (48, 48), 0)])
    pictures = {
        "1bit.png": (encode(Image.new("1", (48, 48), 1)), np.full((48, 48), 255)),
        "16bit.png": (encode(image.astype(np.uint16) * 257), image),
        "clear.png": (encode(clear), np.full((48, 48), 255)),  # what is transparent is white
        "cmyk.jpg": (encode(colour.convert("CMYK"), "JPEG"), flat),
        "double.png": (encode(half), half[::2, ::2]),
        "frames.gif": (
            encode(Image.fromarray(flat), "GIF", save_all=True, append_images=[Image.new("L", (48, 48))]),
            flat,
        ),
        "palette.png": (encode(Image.fromarray(image).convert("P")), image),
        "rgb.png": (encode(Image.merge("RGB", [Image.fromarray(image)] * 3)), image),
        "rgba.png": (
            encode(Image.merge("RGBA", [Image.fromarray(image)] * 3 + [Image.new("L", (48, 48), 255)])),
            image,
        ),
        "turned.png": (encode(image, exif=exif(6)), np.rot90(image, -1)),
        **{f"upright{number}.png": (encode(image, exif=exif(number)), image) for number in (0, 1, 9, 65535)},
    }
    files = make_tree("train") | {f"train/sad/{name}": data for name, (data, _) in pictures.items()}
    faces = read(write_zip(files, tmp_path / "a.zip"))
    assert faces.unreadable == ()
    for name, (_, expected) in pictures.items():
        face = faces.images[faces.names == f"train/sad/{name}"][0]
        if name == "double.png":  # the filter rings beside the edge
            face, expected = face[:, [0, 10, 37, 47]], expected[:, [0, 10, 37, 47]]
        np.testing.assert_allclose(face.astype(int), expected, atol=1, err_msg=name)
    assert faces.remarks == (
        "Pictures converted from 1 to 8-bit grey: 1.",
        "Pictures converted from CMYK to 8-bit grey: 1.",
        "Pictures converted from I;16 to 8-bit grey: 1.",
        "Pictures converted from P to 8-bit grey: 2.",
        "Pictures converted from RGB to 8-bit grey: 1.",
        "Pictures converted from RGBA to 8-bit grey: 2.",
        "Pictures of several frames of which the first was read: 1.",
        "Pictures resized to 48 x 48 pixels: 1.",
        "Pictures turned upright by their EXIF orientation: 1.",
    )


def test_faces_are_resized_to_the_size_asked_for_and_cached_by_it(tmp_path, read):
    steps = {
        name: encode(np.repeat(np.arange(48, dtype=np.uint8) * 5, 48).reshape(48, 48)) for name in make_tree("train")
    }
    tree = write_zip(steps, tmp_path / "a.zip")
    rows = [
        f"{emotion},{' '.join(str(5 * row) for row in range(48) for _ in range(48))},Training" for emotion in range(7)
    ]
    (tmp_path / "fer2013.csv").write_bytes(csv_text(rows))
    for source, count in ((tree, 14), (tmp_path / "fer2013.csv", 7)):
        small, large = read(source), read(source, 64)
        assert large.images.shape == (count, 64, 64)
        assert small.images.shape == (count, 48, 48)
        assert small.remarks == ()
        assert large.remarks == (f"Pictures resized to 64 x 64 pixels: {count}.",)
        expected = 5 * ((np.arange(64) + 0.5) * 48 / 64 - 0.5)  # a ramp stays a ramp, but for its ends
        np.testing.assert_allclose(large.images[0][4:-4, 20], expected[4:-4], atol=1)
        np.testing.assert_array_equal(read(source, 64).images, large.images)
    assert len(list((tmp_path / "cache").iterdir())) == 4


@pytest.mark.parametrize("name", ["../evil.png", "train/../../evil.png", "/evil.png", "C:/evil.png", "..\\evil.png"])
def test_zip_member_that_leaves_the_archive_is_refused(tmp_path, read, name):
    path = write_zip(make_tree("train") | {name: b"x"}, tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"unsafe member .*evil\.png"):
        read(path)


def test_zip_with_a_link_is_refused(tmp_path, read):
    member = zipfile.ZipInfo("train/sad/link.png")
    member.external_attr = 0o120777 << 16
    path = write_zip(make_tree("train"), tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(UserError, match=r"unsafe member 'train/sad/link\.png', a link"):
        read(path)


def test_zip_bombs_are_refused(tmp_path, read, monkeypatch):
    path = write_zip(make_tree("train") | {"bomb.png": bytes(20_000_000)}, tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"'bomb\.png' would unpack from .* to 20,000,000 bytes: a zip bomb"):
        read(path)
    monkeypatch.setattr(listing, "MAX_UNPACKED", 10_000)
    with pytest.raises(UserError, match="more than the 10,000 allowed: a zip bomb"):
        read(write_zip(make_tree("train"), tmp_path / "b.zip"))


def test_damaged_zip_is_named_with_its_size(tmp_path, read):
    path = Path(write_zip(make_tree("train"), tmp_path / "a.zip"))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"a\.zip \(5,000 bytes\) is no whole zip archive"):
        read(path)


def test_damaged_zip_member_is_unreadable(tmp_path, read):
    files = make_tree("train", faces=4)
    path = Path(write_zip(files, tmp_path / "a.zip"))
    data = bytearray(path.read_bytes())
    data[data.index(b"train/angry/2.png") + 600] ^= 255
    path.write_bytes(data)
    faces = read(path)
    assert len(faces) == 27
    assert [name for name, _ in faces.unreadable] == ["train/angry/2.png"]


def test_cache_is_used_kept_apart_and_rebuilt(tmp_path, read, monkeypatch, caplog):
    files = make_tree("train") | {"train/sad/bad.png": b""}
    root = Path(write_folder(files, tmp_path / "a"))
    first = read(root)
    (cache,) = (tmp_path / "cache").iterdir()  # and no temporary file
    with monkeypatch.context() as patch:
        patch.setattr(readers, "read_picture", None)  # would make all unreadable
        again = read(root)
    for field in ("images", "labels", "names", "splits"):
        np.testing.assert_array_equal(getattr(again, field), getattr(first, field))
        assert getattr(again, field).dtype == getattr(first, field).dtype
    for field in ("source", "fingerprint", "unreadable", "remarks"):
        assert getattr(again, field) == getattr(first, field)

    data = bytearray(cache.read_bytes())
    for damaged in (data[:1000], data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], b""):
        cache.write_bytes(damaged)
        caplog.clear()
        assert read(root).fingerprint == first.fingerprint
        assert "is damaged" in caplog.text
        assert cache.stat().st_size == len(data)

    (root / "train/sad/1.png").write_bytes(encode(grey(99)))
    assert read(root).fingerprint != first.fingerprint
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_cache_that_cannot_be_written_only_warns(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    root = write_zip(make_tree("train"), tmp_path / "a.zip")
    assert len(read_faces(root, str(tmp_path / "file/cache"), {}, 48)) == 14
    assert "could not be written" in caplog.text


def test_full_disk_leaves_no_part_of_a_cache(tmp_path, read, monkeypatch, caplog):
    def fsync(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    assert len(read(write_zip(make_tree("train"), tmp_path / "a.zip"))) == 14
    assert "No space left on device" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == []


def test_kaggle(tmp_path, read, monkeypatch):
    root = write_folder(make_tree("train"), tmp_path / "versions/1")
    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=lambda name: root))
    assert read("kaggle").source == "jonathanoheix/face-expression-recognition-dataset"

    def refuse(name):
        raise RuntimeError("403")

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=refuse))
    with pytest.raises(UserError, match=r"could not be downloaded \(403\).*KAGGLE_KEY.*point data\.root at it"):
        read("kaggle")
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[kaggle\]'"):
        read("kaggle")


def test_drawn_faces_where_no_root_is_given_and_from_the_cache_what_was_drawn(tmp_path, monkeypatch):
    drawn = {"count": 100, "wrong_label_share": 0.1, "seed": 3}
    first, plain = read_faces(None, str(tmp_path), drawn, 16), draw_faces(**drawn, image_size=16)
    monkeypatch.setattr(readers, "draw_faces", None)
    again = read_faces(None, str(tmp_path), drawn, 16)
    for field in fields(plain):
        for faces in (first, again):
            np.testing.assert_array_equal(getattr(faces, field.name), getattr(plain, field.name))
    assert (again.labels.dtype, again.true_labels.dtype) == (np.int64, np.int64)
    with pytest.raises(TypeError):  # other faces are drawn
        read_faces(None, str(tmp_path), drawn | {"seed": 4}, 16)
    monkeypatch.setattr(np, "__version__", "0")  # which may draw other numbers
    with pytest.raises(TypeError):
        read_faces(None, str(tmp_path), drawn, 16)


@pytest.mark.real_faces
@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"the real faces are not at {ARCHIVE}")
def test_real_archive(tmp_path, read):
    faces = read(ARCHIVE)
    assert faces.counts() == {
        "train": [3993, 436, 4103, 7164, 4982, 4938, 3205],
        "validation": [960, 111, 1018, 1825, 1216, 1139, 797],
    }
    assert faces.unreadable == faces.remarks == ()
    assert len(set(faces.names)) == len(faces) == 35_887
    assert "train      28,821: angry 3,993, disgust 436," in summarize(faces)
