"""Pictures and rows of a csv become grey faces, or are named."""

import re

import numpy as np
import pytest
from PIL import Image

from fer_lightning.errors import UserError
from tests.data.sources import csv_rows, csv_text, encode, grey, make_tree, write_zip


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


def test_pictures_of_phones_are_read_under_any_suffix_or_named(tmp_path, read):
    """HEIC is named by its first bytes, without a decoder."""
    image = np.full((48, 48), 90, np.uint8)
    pictures = {
        "train/sad/IMG_1.AVIF": encode(Image.fromarray(image), "AVIF"),
        "train/sad/avif.jpg": encode(Image.fromarray(image), "AVIF"),
        "train/sad/IMG_2.HEIC": b"\0\0\0\x1cftypheic" + bytes(99),
        "train/sad/heic.png": b"\0\0\0\x1cftypmif1" + bytes(99),
        "train/sad/jxl.png": b"\xff\x0a" + bytes(99),
        "train/sad/page.jpg": b"%PDF-1.7",
    }
    others = {"train/sad/photo.jp2": b"", "train/sad/photo.CR2": b""}
    faces = read(write_zip(make_tree("train", faces=8) | pictures | others, tmp_path / "a.zip"))
    for name in list(pictures)[:2]:
        np.testing.assert_allclose(faces.images[faces.names == name][0], image, atol=2)
    problems = dict(faces.unreadable)
    assert set(problems) == set(list(pictures)[2:])
    assert problems["train/sad/jxl.png"] == "JPEG XL, which is not read or damaged: save it as JPEG or PNG"
    assert problems["train/sad/page.jpg"].startswith("PDF, ")
    for name in ("IMG_2.HEIC", "heic.png"):
        assert problems[f"train/sad/{name}"].startswith("HEIC, which ")
    assert (
        "Files that are hidden or no pictures ignored (train/sad/photo.CR2; train/sad/photo.jp2): 2." in faces.remarks
    )


def test_heic_is_read_with_its_extra(tmp_path, read):
    pytest.importorskip("pillow_heif", reason="needs the extra heif")
    image = np.full((48, 64), 90, np.uint8)
    files = {f"train/sad/{name}": encode(Image.fromarray(image).convert("RGB"), "HEIF") for name in ("1.heic", "2.jpg")}
    faces = read(write_zip(make_tree("train") | files, tmp_path / "a.zip"))
    assert faces.unreadable == ()
    for name in files:
        np.testing.assert_allclose(faces.images[faces.names == name][0], 90, atol=3)
