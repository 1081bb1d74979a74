"""Decoding of one picture file or one csv row to a grey face."""

from collections.abc import Mapping
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # not EPS, which would start Ghostscript
SEVERAL_FRAMES = "Pictures of several frames of which the first was read"
MAX_PIXELS = 50_000_000  # of a picture, by its header
TURNED = range(2, 9)  # EXIF orientations; 1 is upright, and other numbers have no meaning
CSV_SIZE = 48  # pixels, height and width of the faces in FER2013's csv
EMOTIONS = dict(zip("0123456", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"), strict=True))
USAGES = {"training": "train", "publictest": "validation", "privatetest": "test"}


def open_upright(file: IO[bytes], changes: list[str]) -> Image.Image:
    """Return a picture, completely decoded and turned upright; append remarks to ``changes``.

    Raises:
        Exception: Any error of Pillow if the file is damaged or no picture; see ``reason``.
    """
    with Image.open(file, formats=FORMATS) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if getattr(opened, "is_animated", False):  # only formats of several frames have the attribute
            changes.append(SEVERAL_FRAMES)
        opened.load()
        if opened.getexif().get(ExifTags.Base.Orientation) not in TURNED:
            return opened
        changes.append("Pictures turned upright by their EXIF orientation")
        return ImageOps.exif_transpose(opened)


def to_face(picture: Image.Image, image_size: int, changes: list[str]) -> np.ndarray:
    """Return a picture of any size and mode as (H, W) uint8 of ``image_size``; append remarks to ``changes``.

    Raises:
        ValueError: If it has no pixels, or grey values that do not fit 8 bits.
    """
    if not all(picture.size):
        raise ValueError("no pixels")
    if picture.mode != "L" or picture.has_transparency_data:
        changes.append(f"Pictures converted from {picture.mode} to 8-bit grey")
        picture = flatten(picture).convert("RGB").convert("L")
    return _fit(picture, image_size, changes)


def flatten(picture: Image.Image) -> Image.Image:
    """Return a picture of any mode as 8-bit grey or colour, with white for transparent pixels."""
    if picture.mode.startswith("I"):  # 16 bits, in 32 for some formats; Pillow itself would cut values at 255
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("grey values outside 16 bits")
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("floating-point grey values")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture if picture.mode == "L" else picture.convert("RGB")


def reason(error: Exception) -> str:
    """Return the reason why a picture could not be read, from the error."""
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):  # its text contains an address in memory
        return "empty or no picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def read_row(
    row: Mapping[str, str], image_size: int, emotions: Mapping[str, str]
) -> tuple[str, str, np.ndarray, list[str]]:
    """Return emotion, split, image (H, W) uint8 and changes of a row of FER2013's csv.

    Args:
        row: Cells by the lower-case name of their column: emotion, pixels, usage.
        image_size: Height and width of the image, pixels.
        emotions: Number -> name of the class.

    Raises:
        ValueError: If a cell is missing or wrong; its text names the cell.
    """
    emotion, split = _look_up(emotions, "emotion", row), _look_up(USAGES, "usage", row)
    changes: list[str] = []
    picture = Image.fromarray(_parse_pixels(row.get("pixels", "")))
    return emotion, split, _fit(picture, image_size, changes), changes


def _fit(picture: Image.Image, image_size: int, changes: list[str]) -> np.ndarray:
    if picture.size != (image_size, image_size):
        changes.append(f"Pictures resized to {image_size} x {image_size} pixels")
        picture = picture.resize((image_size, image_size), Image.Resampling.LANCZOS)
    return np.array(picture)


def _look_up(table: Mapping[str, str], column: str, row: Mapping[str, str]) -> str:
    value = row.get(column, "")
    if value.lower() not in table:
        raise ValueError(f"{column} {value!r:.40}, allowed: {', '.join(table)}")
    return table[value.lower()]


def _parse_pixels(text: str) -> np.ndarray:
    """Return the (48, 48) uint8 image of 2304 numbers, or raise a ValueError that names the first bad one."""
    try:
        values = np.fromstring(text, dtype=np.int64, sep=" ")
    except (DeprecationWarning, ValueError):
        values = np.array([-1])
    if values.size == CSV_SIZE**2 and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8).reshape(CSV_SIZE, CSV_SIZE)
    pixels, greys = text.split(), set(map(str, range(256)))
    for pixel in pixels:
        if pixel not in greys:
            raise ValueError(f"pixel {pixel!r:.40}, allowed: 0 to 255")
    raise ValueError(f"{len(pixels)} pixels, allowed: {CSV_SIZE**2}")
