"""Decoding of one picture file to a grey face."""

from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # not EPS, which would start Ghostscript
SEVERAL_FRAMES = "Pictures of several frames of which the first was read"
MAX_PIXELS = 50_000_000  # of a picture, by its header
TURNED = range(2, 9)  # EXIF orientations; 1 is upright, and other numbers have no meaning


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


def _fit(picture: Image.Image, image_size: int, changes: list[str]) -> np.ndarray:
    if picture.size != (image_size, image_size):
        changes.append(f"Pictures resized to {image_size} x {image_size} pixels")
        picture = picture.resize((image_size, image_size), Image.Resampling.LANCZOS)
    return np.array(picture)
