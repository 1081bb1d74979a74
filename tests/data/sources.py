"""Write folders, zip archives and csv files of a few faces."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from fer_lightning.data.faces import CLASSES

ARCHIVE = Path(__file__).parents[3] / "shared/fer2013/face-expression-recognition-dataset.zip"


def encode(image, file_format="PNG", **options):
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, file_format, **options)
    return file.getvalue()


def grey(seed):
    return np.random.default_rng(seed).integers(256, size=(48, 48), dtype=np.uint8)


def make_tree(*splits, prefix="", faces=2):
    """Return {path: bytes} of a tree with some different faces per split and class."""
    paths = [f"{prefix}{split}/{name}/{k}.png" for split in splits for name in CLASSES for k in range(faces)]
    return {path: encode(grey(seed)) for seed, path in enumerate(paths)}


def write_folder(files, root):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return str(root)


def write_zip(files, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path)


def csv_text(rows, header="emotion,pixels,Usage"):
    return "\n".join([header, *rows]).encode()


def csv_rows(usage="Training"):
    return [f"{emotion},{' '.join(map(str, grey(emotion).ravel()))},{usage}" for emotion in range(7)]
