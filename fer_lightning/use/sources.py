"""Sources of pictures: a file, a folder, a zip, a video or a camera, read one picture at a time."""

import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import IO, NamedTuple

import cv2
from PIL import Image

from fer_lightning.data.decoding import flatten, open_upright, reason
from fer_lightning.data.listing import SUFFIXES, Files, is_picture, list_folder, list_zip
from fer_lightning.errors import UserError


class Frame(NamedTuple):
    """One picture of a source."""

    file: str  # path inside the source
    frame: int | None  # number in a video or of a camera, from 0
    picture: Image.Image | None  # upright, grey or colour, 8 bits; None if it cannot be read
    problem: str | None = None  # why it cannot be read


@dataclass(frozen=True)
class Source:
    """Pictures in their order, read on demand."""

    frames: Iterator[Frame]
    total: int | None  # number of pictures; None if unknown
    endless: bool = False  # whether the pictures go on until Ctrl-C


def open_source(source: str | int, every: int, limit: int | None) -> Source:
    """Return the pictures of a source.

    Args:
        source: Path of a picture, a folder (with its subfolders), a zip or a video; or the number of a camera.
        every: Take every Nth frame of a video or camera.
        limit: Maximum number of pictures.

    Raises:
        UserError: If the source does not exist, cannot be read or holds no picture.
    """
    path = Path(str(source)).expanduser()
    if path.is_dir():
        return _pictures(path, list_folder(path)[0], limit)
    if not path.exists():
        if str(source).isdecimal():
            return _camera(int(source), every, limit)
        raise UserError(f"input={source} does not exist: give a picture, folder, zip, video or the number of a camera")
    if path.suffix.lower() in SUFFIXES:
        return _pictures(path, {path.name: lambda: path.open("rb")}, limit)
    if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"input={source} is no whole zip archive: {error}") from error
        return _pictures(path, list_zip(path, archive)[0], limit)
    return _video(path, every, limit)


def _pictures(path: Path, files: Files, limit: int | None) -> Source:
    """Return the picture files among all files, sorted by their paths."""
    names = sorted(filter(is_picture, files))[:limit]
    if not names:
        raise UserError(f"input={path} holds no picture ({', '.join(sorted(SUFFIXES))}) among {len(files):,} files")
    return Source((_read(name, files[name]) for name in names), len(names))


def _read(name: str, opener: Callable[[], IO[bytes]]) -> Frame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with opener() as file:
                return Frame(name, None, flatten(open_upright(file, [])))
        except Exception as error:  # decoders raise almost anything on damaged files
            return Frame(name, None, None, reason(error))


def _video(path: Path, every: int, limit: int | None) -> Source:
    """Return the frames of a video; read the first one at once, to refuse a file that is no video."""
    capture = _capture(str(path))
    frames = _frames(path.name, capture, every, limit)
    first = next(frames, None)
    if first is None:
        raise UserError(
            f"input={path} holds no frame that OpenCV can read: give a picture ({', '.join(sorted(SUFFIXES))}), "
            "folder, zip or video"
        )
    announced = max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    total = -(-announced // every)
    return Source(chain([first], frames), total if limit is None else min(total, limit))


def _camera(number: int, every: int, limit: int | None) -> Source:
    """Return the frames of a camera."""
    frames = _frames(f"camera {number}", _capture(number), every, limit)
    first = next(frames, None)
    if first is None:
        raise UserError(f"input={number}: there is no camera {number} that gives a picture, and no such file")
    return Source(chain([first], frames), limit, endless=True)


def _capture(device: str | int) -> cv2.VideoCapture:
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # else it prints warnings about a bad file
    try:
        return cv2.VideoCapture(device)
    finally:
        cv2.utils.logging.setLogLevel(level)


def _frames(name: str, capture: cv2.VideoCapture, every: int, limit: int | None) -> Iterator[Frame]:
    try:
        for number in count():
            if limit is not None and number >= limit * every:
                return
            if not capture.grab():
                return
            if number % every == 0:
                good, pixels = capture.retrieve()
                if good:
                    yield Frame(name, number, Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))
                else:
                    yield Frame(name, number, None, "this frame cannot be decoded")
    finally:
        capture.release()
