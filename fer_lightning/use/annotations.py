"""Pictures with numbered boxes: for pages, on a contact sheet, and saved at full size as photos or as a film."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer_lightning.use.recognition import Recognition
from fer_lightning.use.sources import quiet_opencv
from fer_lightning.words import percent

BOX, PAPER = "#0072b2", "white"  # colours of a box with its tag, and of the letters on the tag
CODEC, SUFFIX = "mp4v", ".mp4"  # of a film: every OpenCV of PyPI writes it, 20 times as fast as VP9
SLOWEST, USUAL, FASTEST = 1.0, 25.0, 120.0  # frames a second of a film; the second where the rate is not known
LARGEST_LETTERS = 160  # pixels; a larger font takes memory for nothing
LONGEST_SIDE = 65_500  # pixels of a JPEG
LONGEST_NAME = 60  # characters of a file's name; file systems take 255 bytes
CELL, LINE, LETTERS = 200, 18, 13  # of a contact sheet, pixels: longer side of a picture, height of a line, its letters
COLUMNS, GAP = 6, 10  # pictures in a row, pixels between them
MOST_FACES = 6  # lines of faces under a picture
INK, FAINT = "#1a1a1a", "#6b6b6b"


def annotate(recognition: Recognition, side: int | None = None) -> Image.Image:
    """Return the recognition's picture with boxes, classes and numbers.

    Args:
        recognition: Its picture is not None.
        side: Length of the longer side, pixels; None: as it is.
    """
    assert recognition.picture is not None
    picture = recognition.picture.convert("RGB")
    scale = 1.0 if side is None else side / max(picture.size)
    if scale != 1:
        picture = picture.resize([max(1, round(scale * length)) for length in picture.size])
    pen, letters = ImageDraw.Draw(picture), min(max(12, max(picture.size) // 36), LARGEST_LETTERS)
    font, tags = ImageFont.load_default(letters), []
    for number, prediction in recognition.numbered:
        if prediction.box is None:
            continue
        left, top, width, height = (scale * length for length in prediction.box[:4])
        pen.rectangle([left, top, left + width, top + height], outline=BOX, width=max(2, letters // 6))
        text = f"{number} {prediction.label}".strip()
        if number and font.getlength(text) > width:  # it would lie on the next face
            text = number
        tags.append((text, left, top))
    for text, left, top in tags:  # after all boxes, so that none crosses a tag
        width, height = font.getlength(text) + letters // 2, 1.25 * letters
        left = min(max(0.0, left), picture.width - width)
        top = top - height if top >= height else max(0.0, top)
        pen.rectangle([left, top, left + width, top + height], fill=BOX)
        pen.text((left + letters // 4, top + height / 2), text, fill=PAPER, font=font, anchor="lm")
    return picture


def write_sheet(path: Path, cells: Sequence[Image.Image], title: str) -> None:
    """Write a contact sheet: the cells in their order under a title, in one PNG."""
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    heights = [max(cell.height for cell in row) + GAP for row in rows]
    sheet = Image.new("RGB", (COLUMNS * (CELL + GAP) + GAP, sum(heights) + 2 * LINE), PAPER)
    ImageDraw.Draw(sheet).text((GAP, 8), title, fill=INK, font=ImageFont.load_default(LETTERS))
    top = 2 * LINE
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (GAP + column * (CELL + GAP), top))
        top += height
    sheet.save(path, compress_level=3)  # the default, 6, takes twice as long for 2 % fewer bytes


def draw_cell(recognition: Recognition) -> Image.Image:
    """Return a cell of the contact sheet: a picture with its boxes; under it its name, and a line for each face."""
    picture, lines = annotate(recognition, CELL), [(FAINT, recognition.title)]
    for number, prediction in recognition.numbered:
        share = "unsure" if prediction.abstained else percent(prediction.confidence, 0)
        lines.append((INK, f"{number} {prediction.label} {share}".strip()))
    if recognition.problem is not None:
        lines.append((INK, recognition.problem))
    if len(lines) > MOST_FACES + 1:
        lines[MOST_FACES:] = [(FAINT, f"and {len(lines) - MOST_FACES} more")]
    cell, font = Image.new("RGB", (CELL, picture.height + LINE * len(lines)), PAPER), ImageFont.load_default(LETTERS)
    cell.paste(picture, (0, 0))
    for row, (colour, text) in enumerate(lines):
        while font.getlength(text) > CELL:
            text = f"…{text[2:]}"
        ImageDraw.Draw(cell).text((0, picture.height + LINE * row + 2), text, fill=colour, font=font)
    return cell


class AnnotatedFiles:
    """Save pictures with their boxes at full size: each photo as a JPEG file, the frames of a video as a film.

    Args:
        folder: Made with the first file.
        rate: Frames a second of the film; None for pictures that are no film.
    """

    def __init__(self, folder: Path, rate: float | None) -> None:
        self.folder = folder
        self.rate = None if rate is None else min(max(SLOWEST, rate or USUAL), FASTEST)
        self.problem: str | None = None  # why there is no film
        self.film: cv2.VideoWriter | None = None
        self.latest: np.ndarray | None = None  # (H, W, 3) uint8, BGR, of the film

    def __enter__(self) -> "AnnotatedFiles":
        return self

    def __exit__(self, *error: object) -> None:
        if self.film is not None:
            self.film.release()  # also after a signal, so that the film can be played

    def add(self, recognition: Recognition) -> None:
        """Save a picture that has boxes, or a frame. A frame that cannot be read repeats the one before."""
        if recognition.frame is not None:
            self._add_frame(recognition)
        elif recognition.picture is not None and any(prediction.box for prediction in recognition.faces):
            self.folder.mkdir(exist_ok=True)
            stem = Path(recognition.file.replace("/", "_")).stem[-LONGEST_NAME:]
            path, number = self.folder / f"{stem}.jpg", 1
            while path.exists():  # as of a.png beside a.jpg
                path, number = self.folder / f"{stem}_{number}.jpg", number + 1
            side = min(max(recognition.picture.size), LONGEST_SIDE)
            annotate(recognition, side).save(path, "JPEG", quality=90, subsampling=0)

    def _add_frame(self, recognition: Recognition) -> None:
        if self.rate is None or self.problem is not None:
            return
        if recognition.picture is not None:
            self.latest = cv2.cvtColor(np.asarray(annotate(recognition)), cv2.COLOR_RGB2BGR)
        if self.latest is None:
            return
        if self.film is None:
            self.film = self._open(
                self.folder / f"{Path(recognition.file).stem[-LONGEST_NAME:]}{SUFFIX}", self.rate, self.latest
            )
        self.film.write(self.latest)

    def _open(self, path: Path, rate: float, pixels: np.ndarray) -> cv2.VideoWriter:
        path.parent.mkdir(exist_ok=True)
        with quiet_opencv():
            film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODEC), rate, pixels.shape[1::-1])
        if not film.isOpened():
            path.unlink(missing_ok=True)
            path.parent.rmdir()
            self.problem = f"{path} cannot be written: this OpenCV has no encoder for {CODEC}"
        return film
