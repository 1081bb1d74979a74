"""Contact sheet: thumbnails with their boxes and classes in one PNG."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fer_lightning.use.annotations import annotate
from fer_lightning.use.recognition import Recognition
from fer_lightning.words import percent

CELL, LINE, LETTERS = 200, 18, 13  # pixels: longer side of a picture, height of a line, height of its letters
COLUMNS, GAP = 6, 10  # pictures in a row, pixels between them
MOST_FACES = 6  # lines of faces under a picture
INK, FAINT, PAPER = "#1a1a1a", "#6b6b6b", "white"


def write_sheet(path: Path, cells: Sequence[Image.Image], title: str) -> None:
    """Write the cells in their order under a title."""
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
    """Return a picture with its boxes; under it its name, and a line for each face."""
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
