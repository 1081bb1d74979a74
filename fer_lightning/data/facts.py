"""Facts about faces: a csv that names each face by its file, or by its row in fer2013.csv."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from posixpath import normpath
from typing import NamedTuple

import numpy as np

from fer_lightning.data.listing import is_picture
from fer_lightning.data.rows import read_rows
from fer_lightning.errors import UserError
from fer_lightning.names import read_name

FILES = ("file", "filename", "file_name", "filepath", "path", "image", "image_path", "picture", "name")
ROWS = ("row", "index")  # of fer2013.csv, from 0
DELIMITERS = "\t;,"


class Facts(NamedTuple):
    """The lines of a csv about faces.

    Attributes:
        option: Option and path of the file, for messages.
        faces: The file of each face, or its row in fer2013.csv.
        by_row: Whether it is the row.
        columns: Name of each other column, in small letters -> its cells.
        lines: Number of each line in the file.
    """

    option: str
    faces: list[str]
    by_row: bool
    columns: dict[str, list[str]]
    lines: list[int]

    def find(self, names: Sequence[str], rows: np.ndarray | None) -> np.ndarray:
        """Return the position of each line's face in a table of faces, (L,) int64; -1 for a face that is not in it.

        A path may have more or fewer leading folders than the name of the face.

        Args:
            names: Name of each face of the table.
            rows: (N,) int64, its row in fer2013.csv; None if it is not known.

        Raises:
            UserError: If a line may mean two faces, two lines mean one face, or no line means any.
        """
        positions = self._by_row(rows) if self.by_row else self._by_file(names)
        first: dict[int, int] = {}
        for position, line in zip(positions, self.lines, strict=True):
            if position >= 0 and first.setdefault(position, line) != line:
                raise UserError(
                    f"{self.option}: lines {first[position]} and {line} are about one face, {names[position]}: delete "
                    "one of them"
                )
        if not first:
            raise UserError(
                f"{self.option} names {', '.join(self.faces[:3]) or 'no face'}, and the faces are called "
                f"{', '.join(names[:3])}: give a csv about these faces"
            )
        return np.array(positions, np.int64)

    def _by_row(self, rows: np.ndarray | None) -> list[int]:
        if rows is None:
            raise UserError(
                f"{self.option} names faces by their row in fer2013.csv, and these faces have none: add a column "
                "`file` with their paths"
            )
        position_of = {int(row): position for position, row in enumerate(rows)}
        try:
            return [position_of.get(int(face), -1) for face in self.faces]
        except ValueError as error:
            raise UserError(
                f"{self.option}: a row must be a whole number ({error}); rename a column of paths to `file`"
            ) from error

    def _by_file(self, names: Sequence[str]) -> list[int]:
        paths = [_parts(name) for name in names]
        candidates = defaultdict(list)
        for position, path in enumerate(paths):
            candidates[path[0]].append(position)
        positions = []
        for face, line in zip(self.faces, self.lines, strict=True):
            path = _parts(face)
            matches = [
                position
                for position in candidates.get(path[0], ())
                if all(first == second for first, second in zip(path, paths[position], strict=False))
            ]
            matches = [position for position in matches if paths[position] == path] or matches
            if len(matches) > 1:
                raise UserError(
                    f"{self.option}, line {line}: {face:.80} may be {names[matches[0]]} or {names[matches[1]]}: write "
                    "more of its path"
                )
            positions.append(matches[0] if matches else -1)
        return positions


def _parts(name: str) -> list[str]:
    """Return the parts of a path, the last one first."""
    return normpath(read_name(name).replace("\\", "/")).split("/")[::-1]


def read_facts(path: str, option: str, remedy: str = "a csv with a column file or row") -> Facts:
    """Return the lines of a csv that name a face; its cells are separated by comma, semicolon or tab.

    Args:
        path: Path of the file. One of its columns is called as in ``FILES`` or ``ROWS``. A list of paths or rows alone
            needs no header.
        option: Name of the option that the path is the value of; empty for an argument.
        remedy: What to give in place of a path that is no file.

    Raises:
        UserError: If the file cannot be read, has no such column, or a line has more or fewer cells than the header.
    """
    option = f"{option}={path:.200}".removeprefix("=")
    lines = list(read_rows(path, option, f"give {remedy}", DELIMITERS))
    header = [name.lower() for name in lines[0][1]] if lines else []
    if len(header) == 1 and (is_picture(header[0]) or header[0].isdecimal()):
        header = [FILES[0] if is_picture(header[0]) else ROWS[0]]
    else:
        lines = lines[1:]
    key = next((name for name in (*FILES, *ROWS) if name in header), None)
    if key is None:
        columns = ", ".join(f"{name:.20}" for name in islice(header, 8))
        raise UserError(f"{option} has the columns {columns or 'of an empty file'}: rename that of the paths to `file`")
    position = header.index(key)
    for line, cells in lines:
        if len(cells) != len(header):
            raise UserError(f"{option}, line {line}: {len(cells)} cells, and the header has {len(header)}; correct it")
    lines = [(line, cells) for line, cells in lines if cells[position]]
    return Facts(
        option,
        [cells[position] for _, cells in lines],
        key in ROWS,
        {name: [cells[at] for _, cells in lines] for at, name in enumerate(header) if at != position},
        [line for line, _ in lines],
    )
