"""Names and options that hold bytes, control characters and bidi marks, which no terminal or file should be given."""

import csv
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lightning.data.faces import CLASSES
from fer_lightning.names import cell, file_name, printable, read_name, write_name
from fer_lightning.report.ranking import rank_runs
from fer_lightning.report.tables import show_table
from fer_lightning.runs.record import Record, Run, Status
from tests import conftest
from tests.conftest import ENVIRONMENT, NEXT_WRITES, ROOT, command, make_tree, options

# Of a file in a class folder -> how it is written.
NAMES = {
    b"n\xff\xfe.png": r"n\xff\xfe.png",
    b"n\\xff\\xfe.png": r"n\\xff\\xfe.png",  # not the bytes, but a name that looks like them
    b"a\\b.png": r"a\\b.png",
    b"\x1b[31mred\x1b]0;title\x07.png": r"\x1b[31mred\x1b]0;title\x07.png",
    b"two\nlines\r.png": r"two\x0alines\x0d.png",
    "\x9b31m\x85.png".encode(): r"\u009b31m\u0085.png",
    "\u202egnp.exe\u2066.png".encode(): r"\u202egnp.exe\u2066.png",
    "n\u00e9 \u65e5\u672c \U0001f600,a=b.png".encode(): "n\u00e9 \u65e5\u672c \U0001f600,a=b.png",
    "e\u0301 \u200d.png".encode(): "e\u0301 \u200d.png",
    b"=1+1,\"'<script>.png": "=1+1,\"'<script>.png",
    b"\xed\xa0\x80.png": r"\xed\xa0\x80.png",  # a surrogate, which UTF-8 has no place for
}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
RAW = set(map(chr, (*range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), 0x2066))) - {"\t"}
READ = """
import sys
from pathlib import Path
from fer_lightning.data.audit import audit
from fer_lightning.data.readers import read_faces
from fer_lightning.launch.console import outlast_console
from fer_lightning.report.audit import print_audit, write_findings
root, cache, folder = sys.argv[1:]
outlast_console()
found = audit(read_faces(root, cache, {}, 48), cache)
print_audit(found)
print(*found.faces.names[:3], "\\u00b1")
write_findings(Path(folder) / "audit.csv", found)
"""


def hostile_tree(root: Path, names=NAMES) -> Path:
    """Write a folder of faces of which some, and unreadable files beside them, have odd names."""
    make_tree(root)
    for split in ("train", "test"):
        first = (root / split / "sad" / "0.png").read_bytes()  # so that audit.csv names them all as twins
        for name in names:
            (Path(os.fsdecode(os.fsencode(root / split / "sad") + b"/" + name))).write_bytes(first)
    (root / "train" / "fear" / os.fsdecode(b"bad\xff\x1b.png")).write_bytes(b"")
    return root


def make_plain(root: Path) -> None:
    """Give each class a grey value of its own: verb labels refuses a network that cannot tell the classes apart."""
    noise = np.random.default_rng(0)
    for grey, name in enumerate(CLASSES):
        for path in root.glob(f"*/{name}/*.png"):
            if path.stat().st_size:
                values = 35 * grey + noise.integers(20, size=(48, 48), dtype=np.uint8)
                Image.fromarray(values.astype(np.uint8)).save(path)


def files_of(path: Path) -> set[bytes]:
    """Return the names that the first column of a CSV file gives back, as bytes, without their folders."""
    with path.open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    return {read_name(name).encode(errors="surrogateescape").rsplit(b"/", 1)[-1] for name in names}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_written_without_anything_odd_and_read_back(name):
    listed = file_name(os.fsdecode(name))
    text = write_name(listed)
    assert text == NAMES[name]
    assert printable(text) == text  # written into a file or shown, it stays as it is
    assert not RAW & set(text)
    assert read_name(text) == listed
    assert listed.encode(errors="surrogateescape") == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("=HYPERLINK(1)", r"\x3dHYPERLINK(1)"),
        ("@SUM(1)", r"\x40SUM(1)"),
        ("-1+1.png", r"\x2d1+1.png"),
        ("+\x1b", r"\x2b\x1b"),
        ("\uff1d1", r"\uff1d1"),
        ("a=1", "a=1"),
        ("-0.5", "-0.5"),
        ("-1.5e-05", "-1.5e-05"),
        ("-inf", "-inf"),
        ("-1e5+cmd", r"\x2d1e5+cmd"),
        ("+1.2", "+1.2"),
        ("-", "-"),
    ],
)
def test_a_cell_is_no_formula_and_read_back(name, text):
    assert cell(name) == cell(text) == text
    assert read_name(text) == name


def test_every_name_of_one_or_two_characters_is_read_back():
    odd = [*map(chr, range(0x100)), *map(chr, range(0xD7F0, 0xE010)), "\u2028", "\U0001f600"]
    for name in (*odd, *(one + other for one in "\\xu0f" for other in odd), *(f"\\{one}" for one in odd)):
        assert read_name(write_name(name)) == name


@pytest.mark.long
def test_names_are_the_same_under_any_locale(tmp_path, monkeypatch):
    """Fault 93: LC_ALL=C knows no accents, and Python then takes every byte of one for odd."""
    root, script = hostile_tree(tmp_path / os.fsdecode("ann\u00e9e \x1b[31m".encode())), tmp_path / "read.py"
    script.write_text(READ)
    for place, locale in (("plain", {}), ("c", C_LOCALE)):
        (tmp_path / place).mkdir()
        monkeypatch.setattr(conftest, "ENVIRONMENT", ENVIRONMENT | locale)
        done = command(tmp_path, script, root, tmp_path / f"cache-{place}", tmp_path / place)
        assert done.returncode == 0, done.stderr
        assert not RAW & set(done.stdout + done.stderr), done.stdout
        assert r"\x1b[31m: faces per" in done.stdout  # the title is as narrow as its table
    plain, other = ((tmp_path / place / "audit.csv").read_text(encoding="utf-8") for place in ("plain", "c"))
    assert plain == other
    assert files_of(tmp_path / "c" / "audit.csv") >= {*NAMES, b"bad\xff\x1b.png"}


@NEXT_WRITES
def test_the_audit_keeps_every_name(tmp_path, run_here, monkeypatch):
    """Fault 93: in its table, page and log; nothing odd on the console."""
    root = hostile_tree(tmp_path / os.fsdecode(b"faces\xff"))
    done = run_here("fer_lightning/__main__.py", "audit", f"data.root='{root}'", "logger=csv", "hydra.run.dir=out")
    assert done.code == 0, done.text
    assert not RAW & set(done.text)
    assert r"Reading the faces of " in done.text
    assert json.loads((tmp_path / "out/audit.json").read_text())["data"] == r"faces\xff"
    assert r"Audit of faces\xff" in (tmp_path / "out/audit.html").read_text(encoding="utf-8")
    assert files_of(tmp_path / "out/audit.csv") >= {*NAMES, b"bad\xff\x1b.png"}
    assert not RAW & set((tmp_path / "out/audit.log").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data.root='\x1b[31mx'"], [r"data.root=\x1b[31mx does not exist"]),
        (["data.root='\u202egnp'"], [r"data.root=\u202egnp does not exist"]),
        pytest.param(["data.root='\udcff'"], [r"data.root=\xff does not exist"], marks=NEXT_WRITES),
        (["data.root=\x1b[31mx"], [r"data.root=\x1b[31mx cannot be read", "quote"]),
        (["\x1b[31mfoo=1"], [r"\x1b[31m"]),
        (["optimizer=\x1b]0;x\x07"], [r"\x1b]0;x\x07"]),
        (["+data.\u202ex=1"], [r"\u202ex"]),
    ],
)
def test_options_reach_the_console_escaped(run_here, arguments, words):
    """Fault 94."""
    done = run_here("train.py", *arguments, *options("small", "plain", "debug=fast"))
    assert done.code == 1
    assert not RAW & set(done.text), done.text
    for word in ("error: ", *words):
        assert word in done.text.splitlines()[-1]


def test_class_folders_reach_the_console_escaped(run_here, tmp_path):
    """Fault 94."""
    make_tree(tmp_path / "faces", 2)
    (tmp_path / "faces/train/fear").rename(tmp_path / "faces/train/\x1b[31mfear\u202e")
    done = run_here("fer_lightning/__main__.py", "audit", "data.root=faces", "logger=csv")
    assert done.code == 1
    assert r"the class '\x1b[31mfear\u202e', which cannot name files, columns and metrics" in done.text
    assert not RAW & set(done.text)


def test_a_table_shows_options_as_they_are_but_escaped(tmp_path, capsys):
    """Fault 94; the brackets are no markup of the table's either."""
    names = ("\x1b[31mx", "[/red]y")
    show_table(rank_runs([Run(tmp_path, Record(Status.FAILED, overrides=f"data.root={name}")) for name in names]))
    shown = capsys.readouterr().out
    assert r"data.root=\x1b[31mx" in shown
    assert "data.root=[/red]y" in shown
    assert not RAW & set(shown)


@pytest.mark.attack
@pytest.mark.parametrize("locale", [{}, C_LOCALE], ids=["utf-8", "c"])
def test_a_training_keeps_every_name(tmp_path, monkeypatch, tally, locale):
    """Fault 93: from the folder through training to predictions.csv, bad_images.csv and the pages."""
    dice = random.Random(0)
    allowed = [byte for byte in range(1, 256) if byte != ord("/")]
    names = {b"n" + bytes(dice.choices(allowed, k=dice.randint(1, 40))) + b".png" for _ in range(200)}
    tree = hostile_tree(tmp_path / os.fsdecode("ann\u00e9e\\ \x1b[31m".encode() + b"\xff"), {*NAMES, *names})
    make_plain(tree)
    monkeypatch.setattr(conftest, "ENVIRONMENT", ENVIRONMENT | locale)
    given = (*options("tiny", "small"), "protocol=folder", f"data.root='{tree.name}'", "callbacks.media.map_faces=60")
    done = command(tmp_path, ROOT / "train.py", *given, "hydra.run.dir=run")
    judged = command(tmp_path, "-m", "fer_lightning", "labels", "run")
    for case, ended in (("train", done), ("labels", judged)):
        tally.judge(
            case,
            ended.returncode == 0 and not RAW & set(ended.stdout + ended.stderr),
            ended.stdout[-800:] + ended.stderr[-1500:],
        )
    for file, wanted in (
        ("predictions.csv", {*NAMES, *names}),
        ("bad_images.csv", {b"bad\xff\x1b.png"}),
    ):
        found = files_of(tmp_path / "run" / file)
        for name in wanted:
            tally.judge((file, name), name in found)
    for file in ("report.html", "labels.html", "train.log", "config.yaml", "metrics.json"):
        text = (tmp_path / "run" / file).read_text(encoding="utf-8")
        tally.judge(file, not RAW & set(text))
