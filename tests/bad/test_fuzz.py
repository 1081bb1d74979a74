"""Random damage to every reader and to the command line: a result or one clear sentence, never a traceback or a hang.

``make test`` tries a few inputs, always the same; ``make fuzz`` 2,000 of each kind, others every time.
"""

import io
import os
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import open_dict
from PIL import Image

from fer_lightning.config.overrides import allowed
from fer_lightning.data.faces import CLASSES, Faces
from fer_lightning.data.lists import LabelList
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError
from fer_lightning.launch.checks import check
from fer_lightning.launch.messages import explain
from tests.conftest import ROOT, SMALL
from tests.data.trees import LIST, affectnet, affectnet_lists, ferplus, raf_db

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
FEW = 25


def fuzzed(*strategies: st.SearchStrategy):
    """Return a decorator that tries a test on inputs; an input that takes ten seconds counts as a hang."""

    def decorate(test):
        options = settings(
            max_examples=EXAMPLES or FEW,
            derandomize=not EXAMPLES,
            database=None,
            deadline=10_000,  # milliseconds
            suppress_health_check=list(HealthCheck),
        )
        return pytest.mark.fuzz(options(given(*strategies)(test)))

    return decorate


@st.composite
def damage(draw, whole: bytes) -> bytes:
    """Cut, overwrite, insert or repeat a few stretches of a file."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stretch = slice(start, start + draw(st.integers(0, 200)))
        kind = draw(st.sampled_from(["cut", "overwrite", "insert", "repeat", "end"]))
        if kind == "cut":
            del data[stretch]
        elif kind == "overwrite":
            new = draw(st.binary(max_size=8))
            data[start : start + len(new)] = new
        elif kind == "insert":
            data[start:start] = draw(st.binary(max_size=40))
        elif kind == "repeat":
            data[start:start] = data[stretch]
        else:
            del data[start:]
    return bytes(data)


def encode(mode: str, file_format: str, **options) -> bytes:
    image = Image.fromarray(np.random.default_rng(0).integers(256, size=(20, 24), dtype=np.uint8)).convert(mode)
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


@cache
def pictures() -> dict[str, bytes]:
    """Return one small picture of every kind that is read."""
    frames = [Image.new("L", (24, 20), grey) for grey in (10, 200)]
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "grey.png": encode("L", "PNG"),
        "rgba.png": encode("RGBA", "PNG"),
        "palette.png": encode("P", "PNG"),
        "deep.png": encode("I;16", "PNG"),
        "turned.jpg": encode("L", "JPEG", exif=exif),
        "progressive.jpg": encode("RGB", "JPEG", progressive=True),
        "cmyk.jpg": encode("CMYK", "JPEG"),
        "frames.gif": encode("P", "GIF", save_all=True, append_images=frames),
        "plain.bmp": encode("RGB", "BMP"),
        "deflated.tif": encode("RGB", "TIFF", compression="tiff_adobe_deflate"),
        "frames.webp": encode("RGB", "WEBP", save_all=True, append_images=frames),
        "plain.ppm": encode("RGB", "PPM"),
    }


@cache
def archive(*extra: tuple[str, bytes]) -> bytes:
    """Return a zip with twelve pictures a class, and more."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name in CLASSES:
            for k in range(2):
                target.writestr(f"train/{name}/{k}.png", pictures()["grey.png"])
        for name, data in extra:
            target.writestr(name, data)
    return file.getvalue()


@cache
def table() -> bytes:
    usages = ["Training"] * 7 + ["PublicTest"] * 7
    rows = [f"{k % 7},{' '.join(['128'] * 2304)},{usage}" for k, usage in enumerate(usages)]
    return "\n".join(["emotion,pixels,Usage", *rows]).encode()


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("fer2013/fer2013.csv")
        member.size = len(table())
        archive.addfile(member, io.BytesIO(table()))
    return file.getvalue()


def assert_sentence(text: str | None, *words: str) -> None:
    assert text
    assert "\n" not in text
    assert "Traceback" not in text
    assert all(word in text for word in words)


def read(name: str, data: bytes) -> Faces | None:
    """Return the faces of a file; on a refusal None, after a look at its sentence."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            faces = read_faces(str(path), f"{folder}/cache", {}, 48)
        except UserError as error:
            assert_sentence(str(error), name)
            return None
    assert faces.images.shape == (len(faces), 48, 48)
    assert faces.images.dtype == np.uint8
    assert set(faces.labels) == set(range(len(faces.classes)))
    return faces


@fuzzed(damage(archive()))
def test_damaged_zip(data):
    read("faces.zip", data)


@fuzzed(damage(archive(("fer2013.csv", b"")).replace(b"train/", b"trash/")), st.just("fer2013.zip"))
def test_damaged_zip_of_another_layout(data, name):
    read(name, data)


@fuzzed(st.sampled_from(sorted(pictures())).flatmap(lambda name: st.tuples(st.just(name), damage(pictures()[name]))))
def test_damaged_picture_among_good_ones(picture):
    faces = read("faces.zip", archive((f"train/sad/{picture[0]}", picture[1])))
    assert len(faces) + len(faces.unreadable) == 15  # a bad picture costs only itself


@fuzzed(damage(table()))
def test_damaged_csv(data):
    read("fer2013.csv", data)


@cache
def sets() -> dict[str, tuple[dict[str, bytes], str]]:
    """Return data sets as published: the files, and the label file that is damaged."""
    return {
        "raf": (raf_db("aligned"), LIST),
        "affectnet": (affectnet(), "train_set/annotations/1_exp.npy"),
        "lists": (affectnet_lists(), "Manually_Annotated_file_lists/validation.csv"),
        "ferplus": (ferplus(), "FER2013Valid/label.csv"),
    }


@fuzzed(
    st.sampled_from(sorted(sets())).flatmap(
        lambda name: st.tuples(st.just(name), damage(sets()[name][0][sets()[name][1]]))
    )
)
def test_damaged_label_file(damaged):
    name, data = damaged
    files, labels = sets()[name]
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for file, content in (files | {labels: data}).items():
            archive.writestr(file, content)
    read(f"{name}.zip", zipped.getvalue())


@fuzzed(damage(b"file,label,split\n" + b"".join(f"train/sad/{n}.png,{n % 2},train\n".encode() for n in range(2))))
def test_damaged_list(data):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "list.csv").write_bytes(data)
        (Path(folder) / "faces.zip").write_bytes(archive())
        try:
            read_faces(f"{folder}/faces.zip", f"{folder}/cache", {}, 48, labels=LabelList(f"{folder}/list.csv"))
        except UserError as error:
            assert_sentence(str(error), folder)


@fuzzed(damage(tar()))
def test_damaged_tar(data):
    read("fer2013.tar.gz", data)


@fuzzed(st.binary(max_size=400), st.sampled_from(["fer2013.csv", "faces.zip", "fer2013.tar.gz"]))
def test_bytes_of_any_kind(data, name):
    read(name, data)


KEYS = (
    *("optimizer", "embedder", "data.batch_size", "data.root", "seed", "trainer.max_epochs", "loss.margin"),
    *("hydra.run.dir", "augmentation.transforms.0", "hydra/launcher"),
)
WORDS = (
    *(*KEYS, "adam", "3", "1e-3", "null", "true", "abc", "é", "_target_", "os.system", "oc.env:HOME", "now:%Y"),
    *("=", "+", "++", "~", "@", ",", ".", "/", ":", "$", "${", "}", "{", "[", "]", "(", ")", '"', "'", "\\", " "),
    *("choice", "range", "glob", "shuffle", "int"),
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.lists(st.sampled_from(WORDS), max_size=6).map("".join),
)
OVERRIDES = st.one_of(
    st.tuples(st.sampled_from(["", "+", "++", "~"]), st.sampled_from(KEYS), VALUES).map(
        lambda o: f"{o[0]}{o[1]}={o[2]}"
    ),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map("".join),
    st.text(max_size=20),
)


@fuzzed(OVERRIDES)
def test_override_strings(override):
    sys_argv, sys.argv = sys.argv, ["train.py", override]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            options = [*SMALL, "hydra.runtime.output_dir=/nonexistent", "hydra.job.num=0", override]
            cfg = compose("train", overrides=options, return_hydra_config=True)
            HydraConfig.instance().set_config(cfg)
            with open_dict(cfg):
                del cfg["hydra"]
            check(cfg, "train")
    except Exception as error:
        assert_sentence(explain(error, "train"))
    finally:
        sys.argv = sys_argv


@fuzzed(OVERRIDES)
def test_overrides_of_a_checkpoint(override):
    """What is let through chooses files of ours and sets plain values, whatever the words are."""
    try:
        kept = allowed([override], "checkpoint=x")
    except UserError as error:
        assert_sentence(str(error), "not loaded")
        return
    for text in kept:
        assert "${" not in text
        assert "_target_" not in text.partition("=")[0]
        assert "{_" not in text.replace(" ", "")
