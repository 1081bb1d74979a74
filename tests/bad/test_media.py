"""Inputs of predict: damaged films, animations, odd pictures, archives, links, pipes, devices and names."""

import csv
import io
import json
import os
import random
import re
import socket
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from fer_lightning import load_model
from fer_lightning.config import CONF
from fer_lightning.launch import predict
from fer_lightning.names import cell, file_name, printable, write_name
from tests.bad.attempts import ANSWER, REFUSAL, Outcome, attempts, flipped, is_sentence
from tests.bad.test_names import NAMES, RAW
from tests.use.films import write_film

FRAMES = 20  # of each film
HOSTILE = {*NAMES, b"=HYPERLINK(1).png", b"@SUM(1).png", b"-1+1.png", b"+1.png", b"<b>.png", b"n" * 250 + b".png"}
HEADLESS = ("headless.mp4", "headless.mkv")
REMARK = re.compile(r": ([\d,]+)$")
PNG = b"\x89PNG\r\n\x1a\n"


class Case(NamedTuple):
    """An input, and what a right end is."""

    path: Path | str
    inputs: int | None = None  # files or frames that must be accounted for, in rows and remarks; None: not known
    refused: bool | None = None  # whether it is refused; None: either is right


def picture(mode: str = "RGB", size: tuple[int, int] = (48, 48)) -> Image.Image:
    values = np.random.default_rng(0).integers(256, size=(*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int = 8, colour: int = 0, data: bytes = b"") -> bytes:
    """Return a PNG with any header."""
    chunks = {b"IHDR": struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0), b"IDAT": zlib.compress(data)}
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in {**chunks, b"IEND": b""}.items()
    ]
    return PNG + b"".join(parts)


def odd_pictures() -> Iterator[tuple[str, bytes, bool | None]]:
    """Yield pictures: name, content, and whether they are refused."""
    formats = {"jpg": "JPEG", "png": "PNG", "bmp": "BMP", "gif": "GIF", "tif": "TIFF", "webp": "WEBP", "ppm": "PPM"}
    for suffix, kind in formats.items():
        whole = encoded(picture(), kind)
        yield f"whole.{suffix}", whole, False
        yield f"empty.{suffix}", b"", True
        yield f"text.{suffix}", b"hello" * 100, True
        chance = random.Random(suffix)
        for part in (1, 5, 9):
            yield f"cut{part}.{suffix}", whole[: len(whole) * part // 10], None
            yield f"flipped{part}.{suffix}", flipped(whole, chance, part), None
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        yield f"mode {mode}.png".replace(";", ""), encoded(picture("L").convert(mode), "PNG"), False
    yield "cmyk.jpg", encoded(picture("CMYK"), "JPEG"), False
    yield "real.tif", encoded(picture("F"), "TIFF"), True
    for orientation in range(11):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"turned {orientation}.jpg", encoded(picture(), "JPEG", exif=exif), False
    for size in ((1, 1), (1, 9000), (9000, 1), (2, 3)):
        yield f"{size[0]} x {size[1]}.png", encoded(picture(size=size), "PNG"), False
    for width, height in ((0, 0), (0, 9), (9, 0), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (10**6, 1)):
        yield f"head {width} x {height}.png", png(width, height), True
        yield f"head {width} x {height}.ppm", f"P5 {width} {height} 255\n".encode() + bytes(99), True
        yield f"head {width} x {height}.gif", b"GIF89a" + struct.pack("<HH", width % 65536, height % 65536), True
    yield "bomb.png", png(7000, 7000, data=bytes(7001 * 7000)), False
    yield "larger bomb.png", png(9000, 9000, data=bytes(9001 * 9000)), True
    yield "icc.png", encoded(picture(), "PNG", icc_profile=b"no profile" * 9), False
    for suffix, head in {
        "heic": b"\0\0\0\x18ftypheic", "avif": b"\0\0\0\x18ftypavif", "jp2": b"\0\0\0\x0cjP  ", "svg": b"<svg/>",
        "eps": b"%!PS-Adobe-3.0 EPSF", "pdf": b"%PDF-1.7", "txt": b"a list", "": b"no suffix", "onnx": b"\x08\x08",
    }.items():  # fmt: skip
        yield f"other.{suffix}".rstrip("."), head + bytes(100), True
        yield f"other {suffix}.jpg", head + bytes(100), True


def films(folder: Path) -> Iterator[tuple[str, bytes, bool | None]]:
    """Yield films of 20 frames: name, content, and whether they are refused."""
    pictures = [np.full((48, 64, 3), 10 * number, np.uint8) for number in range(FRAMES)]
    for suffix, code in {"avi": "MJPG", "mp4": "mp4v"}.items():
        writer = cv2.VideoWriter(str(folder / f"film.{suffix}"), cv2.VideoWriter_fourcc(*code), 10, (64, 48))
        for pixels in pictures:
            writer.write(pixels)
        writer.release()
    write_film(folder / "film.mkv", pictures, [3 * number for number in range(FRAMES)])
    for suffix in ("avi", "mp4", "mkv"):
        whole, chance = (folder / f"film.{suffix}").read_bytes(), random.Random(suffix)
        yield f"whole.{suffix}", whole, False
        for part in range(10):
            yield f"cut {part}.{suffix}", whole[: len(whole) * part // 10], None
            yield f"flipped {part}.{suffix}", flipped(whole, chance, part + 1), None
            hole = slice(len(whole) * part // 10, len(whole) * part // 10 + len(whole) // 50)
            yield (
                f"hole {part}.{suffix}",
                whole[: hole.start] + bytes(hole.stop - hole.start) + whole[hole.stop :],
                None,
            )
        yield f"twice.{suffix}", whole + whole, None
        yield f"headless.{suffix}", whole[len(whole) // 3 :], None
        yield f"text.{suffix}", b"hello" * 1000, True
        yield f"list.{suffix}", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", True
        yield f"concat.{suffix}", b"ffconcat version 1.0\nfile /etc/passwd\n", True


def animations() -> Iterator[tuple[str, bytes, int]]:
    """Yield pictures of three frames: name, content, and how many files they are."""
    frames = [picture("L").point(lambda value, shift=shift: value // 2 + shift) for shift in (9, 99)]
    for suffix, kind in {"gif": "GIF", "webp": "WEBP", "png": "PNG", "tif": "TIFF"}.items():
        whole = encoded(picture("L"), kind, save_all=True, append_images=frames)
        yield f"frames.{suffix}", whole, 1
        for part in (6, 9):
            yield f"frames cut {part}.{suffix}", whole[: len(whole) * part // 10], 1


def archives(folder: Path) -> Iterator[tuple[str, Path, int | None, bool | None]]:
    """Yield archives of three pictures: name, path, how many files they hold, and whether they are refused."""
    face = encoded(picture(), "PNG")

    def archive(name: str, members: list[tuple[str | zipfile.ZipInfo, bytes]], comment: bytes = b"") -> Path:
        with zipfile.ZipFile(folder / name, "w") as file:
            file.comment = comment
            for member, content in members:
                file.writestr(member, content)
        return folder / name

    def info(name: str, **fields: Any) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(name)
        for field, value in fields.items():
            setattr(entry, field, value)
        return entry

    three = [(f"{number}.png", face) for number in range(3)]
    whole = archive("whole.zip", three)
    yield "whole", whole, 3, False
    yield "comment", archive("comment.zip", three, b"x" * 60_000), 3, False
    content = whole.read_bytes()
    (folder / "archive").write_bytes(content)
    yield "no suffix", folder / "archive", 3, False
    yield "nothing", archive("nothing.zip", []), None, True
    yield "folders alone", archive("folders.zip", [("a/", b""), ("b/", b"")]), None, True
    yield "others", archive("others.zip", [*three, ("a.heic", b""), (".b.png", b""), ("__MACOSX/c.png", b"")]), 6, False
    yield "backslash", archive("backslash.zip", [*three, ("x/a.jpg", face), ("x\\a.jpg", face)]), 5, False
    yield "in another", archive("inner.zip", [("whole.zip", content)]), None, True
    for name, member in {
        "parent": "../a.png", "absolute": "/a.png", "drive": "C:/a.png", "parent behind": "b/../../a.png",
    }.items():  # fmt: skip
        yield name, archive(f"{name}.zip", [*three, (member, face)]), None, True
    yield (
        "link",
        archive("link.zip", [*three, (info("a.png", external_attr=0o120777 << 16), b"/etc/passwd")]),
        None,
        True,
    )
    bomb = info("bomb.png", compress_type=zipfile.ZIP_DEFLATED)
    yield "bomb", archive("bomb.zip", [*three, (bomb, bytes(30_000_000))]), None, True
    directory = content.index(b"PK\x01\x02")
    for name, place, value in (
        ("encrypted", directory + 8, b"\x01"),
        ("method 99", directory + 10, b"\x63"),
        ("checksum", directory + 16, b"\x00\x00\x00\x00"),
        ("size", directory + 24, b"\xff\xff\xff\x7f"),
        ("begin", directory + 42, b"\xff\xff\xff\x7f"),
    ):
        (folder / f"{name}.zip").write_bytes(content[:place] + value + content[place + len(value) :])
        yield name, folder / f"{name}.zip", None, None
    chance = random.Random(0)
    for number in range(10):
        (folder / f"cut {number}.zip").write_bytes(content[: len(content) * number // 10])
        yield f"cut {number}", folder / f"cut {number}.zip", None, True
        (folder / f"flipped {number}.zip").write_bytes(flipped(content, chance, number + 1))
        yield f"flipped {number}", folder / f"flipped {number}.zip", None, None
    with pytest.warns(UserWarning, match="Duplicate name"):
        yield "twice a name", archive("twice.zip", [*three, ("0.png", face), ("0.png", face)]), 5, False


def places(folder: Path) -> Iterator[tuple[str, Path | str, int | None, bool | None]]:
    """Yield pipes, devices, sockets, links and folders: name, path, how many files they hold, whether refused."""
    face = encoded(picture(), "PNG")
    for name in ("pipe", "pipe.png", "pipe.mp4", "pipe.zip", "pipe.onnx"):
        os.mkfifo(folder / name)
        yield name, folder / name, None, True
    for name in ("zero", "null", "full", "random", "tty"):
        yield name, f"/dev/{name}", None, True
        for suffix in ("png", "mp4", "zip"):
            (folder / f"{name}.{suffix}").symlink_to(f"/dev/{name}")
            yield f"link to {name} as {suffix}", folder / f"{name}.{suffix}", None, True
    place = Path(os.path.relpath(folder / "socket.png"))  # its path has to be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
    yield "socket", folder / "socket.png", None, True
    inside = folder / "inside"
    inside.mkdir()
    (inside / "a.png").write_bytes(face)
    os.mkfifo(inside / "pipe.png")
    (inside / "zero.png").symlink_to("/dev/zero")
    (inside / "broken.png").symlink_to("nowhere")
    (inside / "loop.png").symlink_to("loop.png")
    (inside / "linked.png").symlink_to("a.png")
    (inside / "around").symlink_to(inside)
    (inside / "above").symlink_to("..")
    yield "folder of links and pipes", inside, 8, False
    (folder / "link").symlink_to(inside)
    yield "link to a folder", folder / "link", 8, False
    (folder / "loop").symlink_to("loop")
    yield "loop", folder / "loop", None, True
    (folder / "empty").mkdir()
    yield "empty folder", folder / "empty", None, True
    for name in (
        "nowhere",
        "nowhere.png",
        "",
        "a" * 5000,
        "x/" * 3000,
        "nul\0l.png",
        "http://localhost/a.png",
        "-1",
        "99",
    ):
        yield f"path {name!r:.20}", name if name[:1] in ("", "-", "9", "h") else folder / name, None, True
    deep = folder / "deep"
    (deep / "/".join("d" * 20 for _ in range(50))).mkdir(parents=True)
    (deep / "/".join("d" * 20 for _ in range(50)) / "a.png").write_bytes(face)
    yield "deep folder", deep, 1, False


def names(folder: Path) -> Iterator[tuple[str, Path, int]]:
    """Yield files and folders of odd names."""
    face = encoded(picture(), "PNG")
    together = folder / "together"
    together.mkdir()
    for name in HOSTILE:
        for place in (together, folder):
            Path(os.fsdecode(os.fsencode(place) + b"/" + name)).write_bytes(face)
        yield f"name {name!r:.40}", folder / os.fsdecode(name), 1
    yield "names in a folder", together, len(HOSTILE)
    with zipfile.ZipFile(folder / "names.zip", "w") as archive:
        for name in HOSTILE:
            archive.writestr(name.decode(errors="replace").replace("\\", "_"), face)
    yield "names in an archive", folder / "names.zip", len(HOSTILE)
    for name in HOSTILE:
        place = folder / "folders" / os.fsdecode(name)
        place.mkdir(parents=True)
        (place / "a.png").write_bytes(face)
        yield f"folder {name!r:.40}", place, 1


def cases(folder: Path) -> Iterator[tuple[str, Case]]:
    """Yield every input."""
    for number, (name, content, refused) in enumerate([*odd_pictures(), *films(folder)]):
        place = folder / f"{number}" / name
        place.parent.mkdir()
        place.write_bytes(content)
        film = name.endswith((".avi", ".mp4", ".mkv"))
        yield name, Case(place, (FRAMES if film else 1) if refused is False else None, refused)
    for number, (name, content, count) in enumerate(animations()):
        place = folder / f"animation{number}" / name
        place.parent.mkdir()
        place.write_bytes(content)
        yield name, Case(place, count)
    for group in (archives, places):
        inside = folder / group.__name__
        inside.mkdir()
        for name, path, count, refused in group(inside):
            yield f"{group.__name__}: {name}", Case(path, count, refused)
    (folder / "names").mkdir()
    for name, path, count in names(folder / "names"):
        yield name, Case(path, count, False)


def run(path: Path | str, output: Path) -> str:
    """Run predict; return its rows and remarks, after a look at the files."""
    output.mkdir()
    cfg = OmegaConf.load(CONF / "predict.yaml")
    detector = OmegaConf.load(CONF / "detector" / "none.yaml")
    given = {"checkpoint": "best.ckpt", "input": str(path), "paths": {"output_dir": str(output)}}
    cfg = OmegaConf.merge(cfg, {"detector": detector, **given})
    predict.predict(cfg)
    texts = {
        file: (output / file).read_bytes().decode()
        for file in ("predictions.csv", "predictions.json", "predictions.html")
    }
    for file, text in texts.items():
        assert not RAW & set(text), f"{file} holds {sorted(RAW & set(text))}"
    content = json.loads(texts["predictions.json"], parse_constant=pytest.fail)
    rows = list(csv.DictReader(io.StringIO(texts["predictions.csv"])))
    assert [row["file"] for row in rows] == [cell(entry["file"]) for entry in content["predictions"]]
    assert all(value == cell(value) for row in rows for value in row.values())
    assert content["complete"]
    for entry in content["predictions"]:
        assert entry.get("problem") or abs(sum(entry["votes"].values()) - 1) < 0.01, entry
    frames = [entry["frame"] for entry in content["predictions"]]
    assert frames[0] is None or frames == sorted(set(frames)), f"frames {frames}"
    entries = [[entry["file"], entry["frame"], entry.get("problem")] for entry in content["predictions"]]
    return json.dumps([entries, content["remarks"]])


def accounted(entries: list[list], remarks: list[str], inputs: int) -> bool:
    """Return whether each input has a row or stands in a remark that counts it."""
    passed = [int(match[1].replace(",", "")) for remark in remarks if (match := REMARK.search(remark))]
    further = [remark for remark in remarks if "several frames" in remark]
    return len(entries) + sum(passed) - len(further) == inputs


def is_right(case: Case, outcome: Outcome) -> bool:
    """Return whether an end is right."""
    if outcome.kind == REFUSAL:
        name = printable(write_name(file_name(Path(str(case.path)).name)))[:100]
        return case.refused is not False and is_sentence(printable(outcome.value), name)
    if outcome.kind != ANSWER or case.refused:
        return False
    entries, remarks = json.loads(outcome.value)
    if case.inputs is not None:
        return accounted(entries, remarks, case.inputs)
    film = entries[0][1] is not None
    read = sum(problem is None for *_, problem in entries)
    told = not str(case.path).endswith(HEADLESS)  # else no number of frames is known
    return (
        not film
        or not told
        or read >= FRAMES
        or len(entries) > read
        or any(f"{read} of the" in text for text in remarks)
    )


@pytest.mark.attack
def test_inputs_of_predict(checkpoint, tally, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = load_model(checkpoint)
    monkeypatch.setattr(predict, "load_model", lambda *_: model)
    folder = tmp_path / "in"
    folder.mkdir()
    tried = dict(cases(folder))
    tries = {name: partial(run, case.path, tmp_path / f"out {n}") for n, (name, case) in enumerate(tried.items())}
    for name, outcome in attempts(tries, megabytes=900):
        tally.judge(f"{name:.80}", is_right(tried[name], outcome), f"{outcome.kind}: {outcome.value:.400}")
