"""Contact sheet: thumbnails with their boxes and classes in one PNG."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fer_lightning.use.recognition import Recognition

CELL, LINE, LETTERS = 160, 15, 11  # pixels: side of a cell's picture, height of a line, height of its letters
COLUMNS, GAP = 8, 8  # pictures in a row, pixels between them
INK, FAINT, FRAME, PAPER = "#1a1a1a", "#6b6b6b", "#0072b2", "white"


def write_sheet(path: Path, recognitions: Sequence[Recognition], title: str) -> None:
    """Write the pictures in their order under a title; each has a thumbnail."""
    width, height = CELL + GAP, CELL + 2 * LINE + GAP
    rows = -(-len(recognitions) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width + GAP, rows * height + 2 * LINE), PAPER)
    ImageDraw.Draw(sheet).text((8, 6), title, fill=INK, font=ImageFont.load_default(13))
    for number, recognition in enumerate(recognitions):
        row, column = divmod(number, COLUMNS)
        sheet.paste(_cell(recognition), (GAP + column * width, 2 * LINE + row * height))
    sheet.save(path, compress_level=3)  # the default, 6, takes twice as long for 2 % fewer bytes


def annotate(picture: Image.Image, recognition: Recognition, letters: int) -> Image.Image:
    """Return the recognition's picture, in any size, with the boxes and classes of its faces. Several are numbered.

    ``letters`` is the height of the letters, pixels.
    """
    annotated, font = picture.convert("RGB"), ImageFont.load_default(letters)
    pen, scale = ImageDraw.Draw(annotated), picture.width / max(1, recognition.size[0])
    for number, (box, prediction) in enumerate(recognition.faces, 1):
        if box is not None:
            left, top = scale * box.left, scale * box.top
            corners = [left, top, left + scale * box.width, top + scale * box.height]
            pen.rectangle(corners, outline=FRAME, width=max(2, letters // 6))
            text = f"{number} {prediction.label}" if len(recognition.faces) > 1 else prediction.label
            corner = (max(0, left + 2), max(0, top + 1))
            pen.text(corner, text, fill=PAPER, font=font, stroke_width=2, stroke_fill=FRAME)
    return annotated


def _cell(recognition: Recognition) -> Image.Image:
    """Return one picture with its boxes, and under it its classes and its name."""
    cell, font = Image.new("RGB", (CELL, CELL + 2 * LINE), PAPER), ImageFont.load_default(LETTERS)
    if recognition.thumbnail is not None:
        cell.paste(annotate(recognition.thumbnail, recognition, LETTERS), (0, 0))
    pen = ImageDraw.Draw(cell)
    classes = []
    for _, prediction in recognition.faces:
        prefix = "unsure: " if prediction.abstained else ""
        classes.append(f"{prefix}{prediction.label} {prediction.confidence:.2f}")
    name = recognition.file if recognition.frame is None else f"{recognition.file} {recognition.frame}"
    pen.text((0, CELL + 1), ", ".join(classes)[:28] or str(recognition.problem), fill=INK, font=font)
    pen.text((0, CELL + LINE), name[-28:], fill=FAINT, font=font)
    return cell
