"""HTML pages in one file: templates filled, images inside."""

import base64
import hashlib
import re
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from fer_lightning.files import write_text
from fer_lightning.words import counted, percent, removed

TEMPLATES = Environment(
    loader=PackageLoader("fer_lightning.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def script(name: str) -> tuple[Markup, str]:
    """Return a script of the templates, and its hash: a browser runs no other script on the page."""
    text = (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
    return Markup(text), base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def headings(content: str) -> list[tuple[str, str]]:
    """Return the anchor and the text of each heading of a page, for its index."""
    return re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', content)


def anchor(text: str) -> str:
    """Return the anchor of a heading."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def write_page(path: Path, template: str, **content: object) -> None:
    """Fill a template of ``fer_lightning/report/templates`` and write it."""
    write_text(path, TEMPLATES.get_template(template).render(content))


def png(image: np.ndarray) -> str:
    """Encode a picture (H, W) uint8 as PNG in base64."""
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()


def jpeg(picture: Image.Image) -> str:
    """Encode a photo as JPEG in base64."""
    content = BytesIO()
    picture.save(content, "JPEG", quality=85)
    return base64.b64encode(content.getvalue()).decode()


def data_url(content: bytes) -> str:
    """Return the content of a PNG file as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


TEMPLATES.globals |= {"removed": removed, "script": script}
TEMPLATES.filters |= {"percent": percent, "counted": counted, "headings": headings, "anchor": anchor, "png": png}
