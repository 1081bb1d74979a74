"""Decoding of one picture file to a grey face."""

import re
from functools import cache
from importlib.util import find_spec
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError, features

from fer_lightning.errors import install_command

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF")  # not EPS, which would start Ghostscript
OTHER_FORMATS = {  # what else a phone or a program may write: a pattern of the first bytes -> name
    rb".{4}ftyp(?:heic|heix|heim|heis|hevc|hevx|hevm|hevs|mif1|msf1)": "HEIC",
    rb".{4}ftypavi[fs]": "AVIF",
    rb"\xff\x0a|\0\0\0\x0cJXL ": "JPEG XL",
    rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ": "JPEG 2000",
    rb"8BPS": "Photoshop",
    rb"%PDF": "PDF",
    rb"\s*<(?:svg|\?xml)": "SVG",
}
SEVERAL_FRAMES = "Pictures of several frames of which the first was read"
MAX_PIXELS = 50_000_000  # of a picture, by its header
TURNED = range(2, 9)  # EXIF orientations; 1 is upright, and other numbers have no meaning


@cache
def formats() -> tuple[str, ...]:
    """Return the formats that are read: those of Pillow on this machine and, with the extra heif, HEIC."""
    if find_spec("pillow_heif") is None:
        return tuple(name for name in FORMATS if name != "AVIF" or features.check("avif"))
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def open_upright(file: IO[bytes], changes: list[str]) -> Image.Image:
    """Return a picture, completely decoded and turned upright; append remarks to ``changes``.

    Raises:
        Exception: Any error of Pillow if the file is damaged or no picture; see ``reason``.
    """
    try:
        picture = Image.open(file, formats=formats())
    except UnidentifiedImageError:
        file.seek(0)
        head = file.read(32)
        name = next((name for start, name in OTHER_FORMATS.items() if re.match(start, head, re.DOTALL)), None)
        if name == "HEIC" and "HEIF" not in formats():
            raise ValueError(f"HEIC, which needs an extra: {install_command('heif')}") from None
        if name is not None:
            raise ValueError(f"{name}, which is not read or damaged: save it as JPEG or PNG") from None
        raise
    with picture as opened:
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
    if picture.size != (image_size, image_size):
        changes.append(f"Pictures resized to {image_size} x {image_size} pixels")
        picture = picture.resize((image_size, image_size), Image.Resampling.LANCZOS)
    return np.array(picture)


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
