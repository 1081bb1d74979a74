"""Sources of pictures: a file, a folder, a zip, a video or a camera, read one picture at a time."""

import os
import re
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

import cv2
from PIL import Image

from fer_lightning.data.decoding import SEVERAL_FRAMES, flatten, formats, open_upright, reason
from fer_lightning.data.listing import SUFFIXES, Listing, is_picture, list_file, list_folder, list_zip, remark, shorten
from fer_lightning.errors import FILE, FOLDER, UserError, path_kind
from fer_lightning.names import file_name, write_name
from fer_lightning.words import counted

OTHER_SUFFIXES = {".jp2", ".svg", ".jxl"}  # of pictures, which OpenCV may take for videos
MAX_FAILURES = 10_000  # in a row, after which a video has ended, whatever number of frames it announces


class Frame(NamedTuple):
    """One picture of a source."""

    file: str  # path inside the source, as ``write_name`` writes it
    frame: int | None  # number in a video or of a camera, from 0
    picture: Image.Image | None  # upright, grey or colour, 8 bits; None if it cannot be read
    problem: str | None = None  # why it cannot be read
    seconds: float | None = None  # time in a video by its own clock, or since a camera was opened; None if unknown


@dataclass(frozen=True)
class Source:
    """Pictures in their order, read on demand."""

    frames: Iterator[Frame]
    total: int | None  # number of pictures; None if unknown
    remarks: list[str]  # what is passed over, for people; complete after the last frame
    endless: bool = False  # whether the pictures go on until Ctrl-C
    rate: float | None = None  # frames a second of a video that are taken; 0 if unknown, None for pictures


def open_source(source: str | int, every: int, limit: int | None) -> Source:
    """Return the pictures of a source.

    Args:
        source: Path of a picture, a folder (with its subfolders), a zip or a video; or the number of a camera.
        every: Take every Nth frame of a video or camera.
        limit: Maximum number of pictures.

    Raises:
        UserError: If the source does not exist, cannot be read or holds no picture.
    """
    kinds, option = "give a picture, folder, zip, video or the number of a camera", f"input={source!s:.200}"
    if source == "":
        raise UserError(f"input= is empty: {kinds}; the current folder is input=. (with the dot)")
    try:
        path = Path(str(source)).expanduser()
    except RuntimeError as error:  # the home folder of an unknown user
        raise UserError(f"{option}: {error}") from error
    kind = path_kind(path)
    if kind == "does not exist" and str(source).isdecimal():
        return _camera(int(source), every, limit)
    if kind not in (FILE, FOLDER):  # a pipe or a device may never end
        raise UserError(f"{option} {kind}: {kinds}")
    try:
        if kind == FOLDER:
            return _pictures(list_folder(path), limit)
        if path.suffix.lower() in SUFFIXES:
            return _pictures(list_file(path), limit)
        if path.suffix.lower() in OTHER_SUFFIXES:
            raise UserError(f"{option} is a picture of a format that is not read: save it as JPEG or PNG")
        if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
            return _pictures(list_zip(path), limit)
    except zipfile.BadZipFile as error:
        raise UserError(f"{option} is no whole zip archive: {error}") from error
    except OSError as error:
        raise UserError(f"{option} cannot be read ({reason(error)}): {kinds}") from error
    return _video(path, every, limit)


def _pictures(files: Listing, limit: int | None) -> Source:
    """Return the picture files among all files, sorted by their paths, numbers by their values."""
    names = sorted(filter(is_picture, files.names), key=natural)[:limit]
    others = [name for name in files.names if not is_picture(name)]
    remarks = files.remarks + remark("Files that are hidden or no pictures ignored", others)
    lines = [f"{kind}: {count:,}" for kind, count in remarks.items()]
    if not names:
        suffixes, number = ", ".join(sorted(SUFFIXES)), counted(len(files.names), "file")
        raise UserError(". ".join([f"input={files.path} holds no picture ({suffixes}) among {number}", *lines]))
    return Source(_read_all(names, files, lines), len(names), lines)


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by their values, so that frame_2 comes before frame_10."""
    parts = re.split("([0-9]+)", name)
    for position in range(1, len(parts), 2):
        parts[position] = parts[position].lstrip("0")
    lengths = [len(part) if position % 2 else 0 for position, part in enumerate(parts)]
    return [*zip(lengths, parts, strict=True), (0, name)]


def _read_all(names: list[str], files: Listing, lines: list[str]) -> Iterator[Frame]:
    """Yield the pictures; then add a line about those of several frames."""
    animations: list[str] = []
    for name in names:
        yield _read(write_name(name), partial(files.open, name), animations)
    if animations:
        lines.append(f"{SEVERAL_FRAMES} ({shorten(animations)}): {len(animations):,}")


def _read(name: str, opener: Callable[[], IO[bytes]], animations: list[str]) -> Frame:
    """Return a picture; add its name and the number of its further frames to ``animations`` if it has some."""
    changes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with opener() as file:
                picture = flatten(open_upright(file, changes))
                if SEVERAL_FRAMES in changes:
                    animations.append(f"{name}: {_further_frames(file)} more")
                return Frame(name, None, picture)
        except Exception as error:  # decoders raise almost anything on damaged files
            return Frame(name, None, None, reason(error))


def _further_frames(file: IO[bytes]) -> str:
    """Return the number of frames after the first one, or "some" if a damaged file does not tell."""
    try:
        file.seek(0)
        with Image.open(file, formats=formats()) as opened:
            return f"{getattr(opened, 'n_frames', 2) - 1:,}"
    except Exception:  # as in ``_read``
        return "some"


def _video(path: Path, every: int, limit: int | None) -> Source:
    """Return the frames of a video; read the first one at once, to refuse a file that is no video."""
    capture = _capture(str(path))
    announced, lines = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), list[str]()
    frames = _film(write_name(file_name(path.name)), capture, every, limit, announced, lines)
    first = next(frames, None)
    if first is None:
        raise UserError(
            f"input={path} holds no frame that OpenCV can read: give a picture ({', '.join(sorted(SUFFIXES))}), "
            "folder, zip or video"
        )
    total, rate = -(-max(1, announced) // every), capture.get(cv2.CAP_PROP_FPS) / every
    return Source(chain([first], frames), total if limit is None else min(total, limit), lines, rate=rate)


def _camera(number: int, every: int, limit: int | None) -> Source:
    """Return the frames of a camera."""
    capture, start = _capture(number), time.monotonic()
    film = _film(f"camera {number}", capture, every, limit, 0, [])
    frames = (frame._replace(seconds=time.monotonic() - start) for frame in film)
    first = next(frames, None)
    if first is None:
        raise UserError(f"input={number}: there is no camera {number} that gives a picture, and no such file")
    return Source(chain([first], frames), limit, [], endless=True)


def _capture(device: str | int) -> cv2.VideoCapture:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # else FFmpeg prints each damaged part of a file
    with quiet_opencv():  # else it prints warnings about a bad file
        return cv2.VideoCapture(device)


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from printing."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _film(
    name: str, capture: cv2.VideoCapture, every: int, limit: int | None, announced: int, lines: list[str]
) -> Iterator[Frame]:
    """Yield every Nth frame up to the last one that can be read, past damaged parts.

    Args:
        name: File of the frames.
        capture: The opened film.
        every: N.
        limit: Maximum number of frames.
        announced: Number of frames by the head of the file; 0 or less if unknown.
        lines: Gets a line if fewer frames could be read than are announced.
    """
    stop = sys.maxsize if limit is None else limit * every
    good, expected, failures = 0, 0, 0  # frames that could be read; number of the next one; failures since the last
    damaged, seconds = False, 0.0  # whether a frame could not be read; time of the last one
    try:
        while expected < stop:
            if not capture.grab():
                failures, damaged = failures + 1, True
                if failures > min(announced - expected, MAX_FAILURES):
                    if good < announced:
                        lines.append(f"{name}: {good:,} of the {announced:,} frames that it announces could be read")
                    return
                continue
            failures, before, seconds = 0, seconds, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            number = expected
            if seconds < before and not damaged:  # some containers give the last frames no time
                seconds = before + 1 / max(1.0, capture.get(cv2.CAP_PROP_FPS))
            if damaged:  # only the time tells how many frames the damaged part had
                if seconds < before:  # a frame of the damaged part, which comes too late
                    continue
                number = max(number, min(announced - 1, round(seconds * capture.get(cv2.CAP_PROP_FPS))))
            readable, pixels = capture.retrieve() if number % every == 0 else (True, None)
            for missing in range(expected, min(number if readable else number + 1, stop)):
                if missing % every == 0:
                    yield Frame(name, missing, None, "this frame cannot be decoded")
            if pixels is not None and number < stop:
                picture = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
                yield Frame(name, number, picture, seconds=seconds)
            good, expected = good + readable, number + 1
    finally:
        capture.release()
