"""Rows of a user's csv, with one sentence for each fault of the file."""

import csv
import os
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from fer_lightning.errors import FILE, UserError, path_kind


def open_csv(path: str, option: str, remedy: str, errors: str = "strict") -> TextIOWrapper:
    """Return an opened text in UTF-8; the arguments are those of ``read_rows``.

    Raises:
        UserError: If the path is no file, or the file cannot be opened.
    """
    file = Path(os.path.expanduser(path))
    if (kind := path_kind(file)) != FILE:
        raise UserError(f"{option} {kind}: {remedy}")
    try:
        return file.open(encoding="utf-8-sig", errors=errors, newline="")
    except OSError as error:
        raise UserError(f"{option} cannot be read ({error.strerror}): {remedy}") from error


def read_rows(
    path: str, option: str, remedy: str, delimiters: str = ",", errors: str = "strict"
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a csv that are not empty: number of the line, and cells without blanks around them.

    Args:
        path: Path of the file.
        option: Option and path, for messages.
        remedy: What to do about a file that cannot be opened, for messages.
        delimiters: The first of these that is in the first row separates cells; a comma if none is.
        errors: What becomes of bytes that are no UTF-8, as in ``open``.

    Raises:
        UserError: As ``open_csv``, or if the text is no csv in UTF-8.
    """
    with open_csv(path, option, remedy, errors) as file:
        try:
            start = next((line.strip(" \r\n") for line in file if line.strip()), "")
            file.seek(0)
            delimiter = next((sign for sign in delimiters if sign in start), ",")
            table = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            for cells in table:
                if any(cells):
                    yield table.line_num, [cell.strip() for cell in cells]
        except (ValueError, csv.Error) as error:
            raise UserError(f"{option} is no csv in UTF-8 ({error}): save it as such") from error
