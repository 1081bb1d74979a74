"""Lists of labels: a table with a row for each picture, its class and, where there, its split and person."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path
from posixpath import normpath
from sys import intern
from typing import Any, NamedTuple

from fer_lightning.data.classes import arrange, class_of
from fer_lightning.data.faces import CLASSES, split_of
from fer_lightning.data.layouts import Contents, Entry, raf_db
from fer_lightning.data.listing import Listing, is_picture, remark, shorten
from fer_lightning.data.rows import open_csv, read_rows
from fer_lightning.errors import UserError
from fer_lightning.names import write_name

COLUMNS = {name: name for name in ("file", "label", "split", "person")}
REMEDY = "give a list of files and labels, such as list.csv"
TRIED = 20  # first rows, by which the folder of the files is found


class Row(NamedTuple):
    """A row of a list; what its columns lack is empty."""

    file: str  # with "/"
    label: str
    split: str = ""
    person: str = ""


class LabelList(NamedTuple):
    """A list of the pictures of a source.

    Attributes:
        path: Path of a text in UTF-8. Its columns are separated by comma, semicolon, tab or blank. Without a header
            they are file, label, split and person.
        columns: Name of each of these in the header.
    """

    path: str
    columns: Mapping[str, Any] = COLUMNS

    @property
    def option(self) -> str:
        """Return option and path, for messages."""
        return f"data.labels={self.path:.200}"

    def rows(self) -> Iterator[Row]:
        """Yield the rows.

        Raises:
            UserError: If the file cannot be read, has other columns, or a row lacks a cell.
        """
        positions: dict[str, int] | None = None
        for line, cells in read_rows(self.path, self.option, REMEDY, "\t;, ", "surrogateescape"):
            if positions is None:
                if "\0" in cells[0]:
                    raise UserError(f"{self.option} is no text in UTF-8: save it as such a csv")
                positions = self._header(cells)
                if positions:
                    continue
                positions = {name: position for position, name in enumerate(COLUMNS) if position < len(cells)}
            if max(positions.values()) >= len(cells):
                raise UserError(f"{self.option}, line {line} has too few cells; correct it")
            row = Row(**{name: cells[column] for name, column in positions.items()})
            split = row.split and split_of(row.split, f"{self.option}, line {line}")
            yield row._replace(file=normpath(row.file.replace("\\", "/")), split=split)

    def classes(self) -> tuple[str, ...]:
        """Return the classes."""
        if Path(self.path).name == raf_db.LIST:
            return CLASSES
        return arrange({row.label for row in self.rows()} - {""})

    def key(self) -> str:
        """Return a hash of the list and of the names of its columns."""
        with open_csv(self.path, self.option, REMEDY) as file:
            digest = hashlib.sha256(file.buffer.read())
        digest.update(repr(sorted(self.columns.items())).encode())
        return digest.hexdigest()[:16]

    def find(self, listing: Listing, classes: Sequence[str]) -> Contents:
        """Return the pictures that a list labels, sorted by name.

        Args:
            listing: The files of a folder or zip.
            classes: Names of the classes, which are also those of the numbers from 0 on.

        Raises:
            UserError: If the list cannot be read, labels a picture twice, or names no picture of the source.
        """
        if Path(self.path).name == raf_db.LIST:
            with open_csv(self.path, self.option, REMEDY, "surrogateescape") as file:
                return raf_db.read(listing, file.read())
        entries, unlabelled, missing = list[Entry](), list[str](), list[tuple[str, str]]()
        for row, picture in find_pictures(listing, self.option, self.rows()):
            if not row.label:
                unlabelled.append(row.file)
            elif picture is None:
                missing.append((write_name(row.file), "not there"))
            else:
                label, person = row.label, intern(row.person) or None
                if label.isdecimal() and class_of(label, classes) is None and int(label) < len(classes):
                    label = classes[int(label)]
                entries.append(Entry(write_name(picture), row.split, intern(label), picture, person))
        entries = without_copies(self.option, sorted(entries))
        if any(entry.person for entry in entries):  # a face without a person is one of its own
            entries = [entry if entry.person else entry._replace(person=entry.name) for entry in entries]
        listing.remarks.update(remark("Rows of the list without a label", unlabelled))
        others = set(filter(is_picture, listing.names)) - {entry.picture for entry in entries}
        listing.remarks.update(remark("Pictures that are not in the list ignored", list(others)))
        return Contents(entries, noun="label", missing=missing)

    def _header(self, cells: Sequence[str]) -> dict[str, int]:
        """Return the position of each column; empty if the cells are no header, but the first row.

        Raises:
            UserError: If a column that is needed is not there.
        """
        header = [cell.lower() for cell in cells]
        positions = {
            name: header.index(title.lower()) for name, title in self.columns.items() if title.lower() in header
        }
        if not positions and len(cells) > 1 and is_picture(cells[0]):
            return {}
        for name, title in self.columns.items():
            if name not in positions and (name in ("file", "label") or title != COLUMNS[name]):
                columns = ", ".join(f"{cell:.20}" for cell in header[:8])
                raise UserError(
                    f"{self.option} has the columns {columns}, and none is called {title}: write the column's name: "
                    f"data.columns.{name}=..."
                )
        return positions


def without_copies(table: str, entries: list[Entry]) -> list[Entry]:
    """Return the sorted entries without repeated rows.

    Raises:
        UserError: If two rows of a picture differ.
    """
    different = [entry for entry, before in zip(entries, [None, *entries], strict=False) if entry != before]
    for entry, after in pairwise(different):
        if entry.name == after.name:
            raise UserError(
                f"{table} says two things about {entry.name} ({_shown(entry)}; {_shown(after)}): delete one of its rows"
            )
    return different


def _shown(entry: Entry) -> str:
    return ", ".join(filter(None, (entry.label, entry.split, entry.person)))


def find_pictures(listing: Listing, table: str, rows: Iterator[Row]) -> Iterator[tuple[Row, str | None]]:
    """Yield each row of a list with its picture in the source; None for one that is not there.

    Raises:
        UserError: If none of the first files is there, or one is there in several folders.
    """
    head = list(islice(rows, TRIED))
    names = {name: name for name in listing.names}
    cut, folder = _find_folder(listing, table, [row.file for row in head], names)
    for row in chain(head, rows):
        yield row, names.get(folder + "/".join(row.file.split("/")[cut:]))


def _find_folder(listing: Listing, table: str, files: list[str], names: Mapping[str, str]) -> tuple[int, str]:
    """Return the number of leading folders that the source lacks, and the beginning of the paths in the source."""
    for file in files:
        parts = file.split("/")
        for cut in range(len(parts)):
            rest = "/".join(parts[cut:])
            if rest in names:
                return cut, ""
            if folders := [name.removesuffix(rest) for name in names if name.endswith(f"/{rest}")]:
                if len(folders) > 1:
                    raise UserError(
                        f"{table}: {rest} lies in {len(folders)} folders of {listing.path}: "
                        f"{shorten(sorted(folders))}; point data.root at one of them"
                    )
                return cut, folders[0]
    raise UserError(
        f"{table} names {', '.join(files[:3]) or 'no file'}, and {listing.path} holds "
        f"{', '.join(listing.names[:3]) or 'nothing'}: point data.root at the folder or .zip of the list's pictures"
    )
