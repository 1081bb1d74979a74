"""Files that other processes may read at the same time: written whole or not at all."""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from fer_lightning.names import cell, printable


@contextmanager
def replacing(path: Path, suffix: str | None = None) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to; at the end, rename what is there to ``path``.

    After an error the temporary file or folder is deleted, and ``path`` is as it was.

    Args:
        path: The file or folder to write.
        suffix: End of the temporary name. By default it differs for each process, so that several may write at once.
            A process that is killed leaves its temporary file; the next process with the same suffix overwrites it.
    """
    temporary = path.with_name(f".{path.name}{suffix or f'.{os.getpid()}.part'}")
    try:
        yield temporary
        if temporary.is_file():
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # else a power failure could leave an empty file of the final name
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8; characters that no file should contain are escaped."""
    with replacing(path) as temporary:
        temporary.write_text(printable(text), encoding="utf-8")


def write_json(path: Path, content: Mapping) -> None:
    """Write a JSON file."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a CSV file, without formulas of a spreadsheet."""
    text = io.StringIO(newline="")
    cells = ([cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows([header, *cells])
    write_text(path, text.getvalue())


def writing_lock(folder: Path) -> FileLock:
    """Return the lock of a sweep's files, which jobs in several processes write.

    Take it before you read the jobs, not only before you write: else an older table could replace a newer one.
    """
    return FileLock(folder / ".writing.lock")
