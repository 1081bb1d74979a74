"""Detectors: find the faces in a picture and cut out a square for each."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from fer_lightning.config import CONF
from fer_lightning.errors import UserError, install_command
from fer_lightning.kinds import Location, Margin, Share

LONGEST_SIDE = 640  # pixels; a larger picture is searched at this size


class Box(NamedTuple):
    """Position of a face, pixels of the picture. It may reach beyond the edges."""

    left: int
    top: int
    width: int
    height: int
    confidence: float  # the detector's, 0 to 1


class Detector(ABC):
    """Base of all detectors."""

    note: str  # for people

    @abstractmethod
    def __call__(self, picture: Image.Image) -> list[tuple[Box | None, Image.Image]]:
        """Return the box and the picture of each face, from left to right. Pictures are grey or colour, 8 bits."""


class WholePicture(Detector):
    """Take each picture as one face."""

    note = "each picture is taken as one face (detector=none)"

    def __call__(self, picture: Image.Image) -> list[tuple[Box | None, Image.Image]]:
        """Return the picture itself, without a box."""
        return [(None, picture)]


class BoxDetector(Detector):
    """Detector that finds boxes. Each box becomes a wider square about its middle.

    Args:
        margin: Share of a box's longer side that is added around it; below 0 it is taken away.
        min_confidence: Minimum confidence of a face.
    """

    def __init__(self, margin: Margin, min_confidence: Share) -> None:
        self.note = f"faces found by {type(self).__name__}, margin {margin:g}"
        self.margin = margin
        self.min_confidence = min_confidence

    @abstractmethod
    def find(self, pixels: np.ndarray) -> np.ndarray:
        """Return left, top, width, height and confidence (N, 5) of the faces in (H, W, 3) uint8, BGR."""

    def __call__(self, picture: Image.Image) -> list[tuple[Box | None, Image.Image]]:
        """Return the square and the picture of each face, from left to right."""
        scale = max(1.0, max(picture.size) / LONGEST_SIDE)
        smaller = picture.resize([max(1, round(side / scale)) for side in picture.size]) if scale > 1 else picture
        rows = self.find(np.ascontiguousarray(np.asarray(smaller.convert("RGB"))[:, :, ::-1]))
        boxes = [self._square(scale * row[:4], float(row[4])) for row in rows if row[4] >= self.min_confidence]
        return [(box, cut(picture, box)) for box in sorted(boxes)]

    def _square(self, box: np.ndarray, confidence: float) -> Box:
        left, top, width, height = box
        side = max(2.0, max(width, height) * (1 + self.margin))
        corner = (left + (width - side) / 2, top + (height - side) / 2)
        return Box(round(corner[0]), round(corner[1]), round(side), round(side), round(min(confidence, 1.0), 4))


class YuFace(BoxDetector):
    """Detector of the package yuface: Shiqi Yu's libfacedetection with its weights.

    Args:
        margin: Share of a box's longer side that is added around it; below 0 it is taken away.
        min_confidence: Minimum confidence of a face.
    """

    def __init__(self, margin: Margin, min_confidence: Share) -> None:
        super().__init__(margin, min_confidence)
        try:
            import yuface
        except ImportError as error:
            raise UserError(f"detector=yuface needs yuface: {install_command('detect')}") from error
        self.detect = yuface.detect

    def find(self, pixels: np.ndarray) -> np.ndarray:
        """Return the boxes (N, 5) of libfacedetection."""
        confidences, boxes, _ = self.detect(pixels, 0.0)
        return np.column_stack([boxes.astype(float), confidences / 100])


class YuNet(BoxDetector):
    """Detector of OpenCV: FaceDetectorYN.

    Args:
        model: Path of its ONNX file, such as face_detection_yunet_2023mar.onnx of OpenCV's zoo.
        margin: Share of a box's longer side that is added around it; below 0 it is taken away.
        min_confidence: Minimum confidence of a face.
    """

    def __init__(self, model: Location, margin: Margin, min_confidence: Share) -> None:
        super().__init__(margin, min_confidence)
        if not Path(model).is_file():
            raise UserError(
                f"detector.model={model} does not exist: give YuNet's .onnx file, or use detector=yuface, which brings "
                "its own"
            )
        try:
            self.network = cv2.FaceDetectorYN.create(model, "", (LONGEST_SIDE, LONGEST_SIDE), min_confidence)
        except cv2.error as error:
            raise UserError(f"detector.model={model} is no model that OpenCV can read ({error.err})") from error

    def find(self, pixels: np.ndarray) -> np.ndarray:
        """Return the boxes (N, 5) of YuNet."""
        self.network.setInputSize((pixels.shape[1], pixels.shape[0]))
        faces = self.network.detect(pixels)[1]
        return np.empty((0, 5)) if faces is None else faces[:, [0, 1, 2, 3, 14]]


def named_detector(name: str) -> Detector:
    """Return the detector of a file in conf/detector.

    Raises:
        UserError: If there is no such file, a value is missing in it, or its package is not installed.
    """
    from omegaconf import OmegaConf  # slow to import, as is Hydra

    from fer_lightning.config.instantiation import instantiate

    names = sorted(path.stem for path in (CONF / "detector").glob("*.yaml"))
    if name not in names:
        raise UserError(f"detector={name!r:.50} does not exist: use one of {', '.join(names)}, or a Detector")
    config = OmegaConf.load(CONF / "detector" / f"{name}.yaml")
    if missing := OmegaConf.missing_keys(config):
        target = config._target_.rpartition(".")[2]
        raise UserError(
            f"detector={name!r} needs {', '.join(missing)}: give {target}(...) of fer_lightning.use.detectors"
        )
    return instantiate(config)


def cut(picture: Image.Image, box: Box) -> Image.Image:
    """Return the part of a picture inside a box. Pixels beyond the edges repeat the border."""
    rows = np.arange(box.top, box.top + box.height).clip(0, picture.height - 1)
    columns = np.arange(box.left, box.left + box.width).clip(0, picture.width - 1)
    return Image.fromarray(np.asarray(picture)[rows[:, None], columns])
