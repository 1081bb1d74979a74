"""Data sets in every layout, with damaged and odd tables, pictures and folders."""

import json
import random
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fer_lightning.data.lists import LabelList
from fer_lightning.data.readers import read_faces
from fer_lightning.names import printable
from tests.bad.attempts import ANSWER, REFUSAL, attempts, flipped, is_sentence
from tests.data import trees
from tests.data.sources import csv_rows, csv_text, make_tree, write_folder, write_zip

Files = dict[str, bytes]
LIST = "list.csv"  # of the layout that takes one, beside its pictures
ROWS = [*csv_rows(), *csv_rows("PublicTest"), *csv_rows("PrivateTest")]


def listed() -> Files:
    files = make_tree("a")
    rows = [f"{path},{path.split('/')[1]},{('train', 'test')[n % 2]},p{n}" for n, path in enumerate(sorted(files))]
    return {**files, LIST: "\n".join(["file,label,split,person", *rows]).encode()}


SOURCES: dict[str, tuple[Callable[[], Files], str]] = {  # files of each layout, and the table to be damaged
    "split folders": (partial(make_tree, "train", "validation", "test"), ""),
    "class folders": (trees.ck_plus, ""),
    "fer2013": (lambda: {"fer2013.csv": csv_text(ROWS)}, "fer2013.csv"),
    "list": (listed, LIST),
    "raf_db": (partial(trees.raf_db, "aligned"), trees.LIST),
    "affectnet": (trees.affectnet, "train_set/annotations/3_exp.npy"),
    "affectnet lists": (trees.affectnet_lists, "Manually_Annotated_file_lists/training.csv"),
    "ferplus": (trees.ferplus, "FER2013Train/label.csv"),
}
LISTED = {"list", "raf_db", "affectnet", "affectnet lists", "ferplus"}  # their tables say which faces there are
NAMED = ("source ", "list ", "data.", "nowhere")  # one of them stands in each refusal
NUMBERED = "affectnet lists: no table"  # leaves folders 0, 1, 2, which are a layout by itself
CELLS = ("", "99", "-1", "1.5", "nan", "happy", "<b>x</b>", "\x1b[31m", "=1+1", "a" * 10**6, "\0", "\u202ex", '"', "é")
PATHS = ("../../etc/passwd", "/etc/passwd", "C:\\x.jpg", "~/x.jpg", "http://localhost/x.jpg", ".", "")
SAME: dict[str, Callable[[bytes], bytes]] = {  # changes of a table that change no label of a face that is left
    "as it is": lambda table: table,
    "byte-order mark": lambda table: b"\xef\xbb\xbf" + table,
    "ends of Windows": lambda table: table.replace(b"\n", b"\r\n"),
    "blank lines": lambda table: table.replace(b"\n", b"\n\n"),
    "blank at the end": lambda table: table + b"\n \n\n",
    "each line twice": lambda table: table + b"\n" + table.partition(b"\n")[2],
    "half of the lines": lambda table: b"\n".join(table.split(b"\n")[: table.count(b"\n") // 2]),
}
OTHER: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "zeros": lambda _: bytes(5000),
    "UTF-16": lambda table: table.decode("latin-1").encode("utf-16"),
    "bytes": lambda table: table[:20] + b"\xff\xfe\xe9" + table[20:],
    "first line missing": lambda table: table.partition(b"\n")[2],
    "semicolons": lambda table: table.replace(b",", b";"),
    "tabs": lambda table: table.replace(b",", b"\t"),
    "more cells": lambda table: table.replace(b"\n", b",x,y\n"),
    "reversed": lambda table: b"\n".join(table.split(b"\n")[::-1]),
    "a page": lambda _: b"<!DOCTYPE html><html><body>404</body></html>",
}


class Case(NamedTuple):
    """A source, and whether each of its faces must keep its label."""

    files: Files
    same: bool
    option: str | None = None  # the list, if there is one


def tables(table: bytes, chance: random.Random) -> Iterator[tuple[str, bytes, bool]]:
    """Yield damaged tables, and whether the labels that are left stay."""
    for name, change in SAME.items():
        yield name, change(table), True
    for name, change in OTHER.items():
        yield name, change(table), False
    lines = table.split(b"\n")
    for text in (*CELLS, *PATHS):
        for place in (0, 1, -1):
            cells = re.split(rb"[, ]", lines[-1])
            cells[min(place, len(cells) - 1)] = text.encode()
            line = (b"," if b"," in lines[-1] else b" ").join(cells)
            yield f"cell {place} is {text!r:.20}", b"\n".join([*lines[:-1], line]), False
    for number in range(10):
        yield f"cut {number}", table[: chance.randrange(len(table))], False
        yield f"flipped {number}", flipped(table, chance, number + 1), False


def folders(files: Files, table: str) -> Iterator[tuple[str, Files]]:
    """Yield the same source with other pictures and places; labels stay."""
    pictures = [name for name in files if name.endswith((".png", ".jpg"))]
    without = {name: data for name, data in files.items() if name not in pictures}
    if pictures:
        first = pictures[0]
        yield "a picture less", {name: data for name, data in files.items() if name != first}
        yield "no picture", without
        for name, data in {"empty": b"", "text": b"hello", "zeros": bytes(999), "cut": files[first][:99]}.items():
            yield f"a picture {name}", {**files, first: data}
            yield f"all pictures {name}", {**without, **dict.fromkeys(pictures, data)}
        yield "more pictures", {**files, "more.png": files[first], "x/more.png": files[first], "y/z/1.jpg": b""}
        yield "a copy", {**files, **{f"copy/{name}": data for name, data in files.items()}}
        yield "capitals", {name.upper() if name in pictures else name: data for name, data in files.items()}
    if table:
        yield "no table", {name: data for name, data in files.items() if name != table}
        yield "two tables", {**files, f"other/{table}": files[table]}
    yield "deeper", {f"a/b/c/{name}": data for name, data in files.items()}
    yield "beside a page", {**files, "README.html": b"<html>", ".hidden/x.png": b"", "__MACOSX/._x.png": b""}


def cases() -> Iterator[tuple[str, Case]]:
    """Yield every source."""
    for layout, (make, table) in SOURCES.items():
        files, chance = make(), random.Random(layout)
        option = LIST if layout == "list" else None
        for name, data, same in tables(files[table], chance) if table else ():
            yield f"{layout}, table: {name}", Case({**files, table: data}, same and layout != "affectnet", option)
        for name, changed in folders(files, table):
            yield f"{layout}: {name}", Case(changed, True, option)


def read(root: str, cache: Path, option: str | None) -> str:
    """Return the class of each face by name, and what is said of the others."""
    faces = read_faces(root, str(cache), {}, 48, labels=option and LabelList(option))
    assert set(faces.splits.tolist()) <= {"train", "validation", "test", ""}
    assert faces.images.shape == (len(faces), 48, 48)
    labels = {name: faces.classes[label] for name, label in zip(faces.names.tolist(), faces.labels, strict=True)}
    assert len(labels) == len(faces), "a name stands twice"
    return json.dumps([labels, len(faces.unreadable), list(faces.remarks)])


def is_right(value: str, whole: dict[str, str], case: Case, told: bool) -> bool:
    """Return whether labels are kept, and faces that are gone are told; without a table nobody can know them."""
    labels, unreadable, remarks = json.loads(value)
    endings = {tuple(name.lower().split("/")[-2:]): label for name, label in whole.items()}
    known: list[Any] = [(endings.get(tuple(name.lower().split("/")[-2:])), label) for name, label in labels.items()]
    kept = all(before in (None, after) for before, after in known)
    complete = len(labels) >= len(whole) or unreadable > 0 or bool(remarks)
    return (kept or not case.same) and (complete or not told)


@pytest.mark.attack
def test_sources_in_every_layout(tally, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    tried, tries = dict(cases()), {}
    for number, (name, case) in enumerate(tried.items()):
        inside = {path: data for path, data in case.files.items() if path != case.option}
        write = write_zip if number % 2 else write_folder
        root = write(inside, tmp_path / f"source {number}{'.zip' if number % 2 else ''}") if inside else "nowhere"
        option = None
        if case.option:
            option = str(tmp_path / f"list {number}.csv")
            if case.option in case.files:
                Path(option).write_bytes(case.files[case.option])
        tries[name] = partial(read, root, tmp_path / f"cache {number}", option)
    whole = {layout: json.loads(read_whole(layout, tmp_path))[0] for layout in SOURCES}
    for name, (kind, value) in attempts(tries):
        layout = name.partition(",")[0].partition(":")[0]
        if kind == ANSWER:
            right = name == NUMBERED or is_right(value, whole[layout], tried[name], told=layout in LISTED)
        else:
            right = kind == REFUSAL and is_sentence(printable(value)) and any(word in value for word in NAMED)
        tally.judge(f"{name:.80}", right, f"{kind}: {value:.500}")


def read_whole(layout: str, folder: Path) -> str:
    """Return the answer about a source that is whole."""
    files = SOURCES[layout][0]()
    root = write_folder({path: data for path, data in files.items() if path != LIST}, folder / layout)
    if layout == "list":
        (folder / LIST).write_bytes(files[LIST])
    return read(root, folder / f"cache {layout}", str(folder / LIST) if layout == "list" else None)
