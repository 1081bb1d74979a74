"""The pen of the synthetic faces: numbers that describe a face -> its picture.

The unit of length is half a picture: x and y are in [-1, 1], and y points down. Tones are grey values from 0 to 1. Each
shape is a signed distance; shapes are painted from back to front, with an edge one pixel wide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

CHUNK = 32  # faces that are painted together; more would not fit into the processor's cache

Cover = np.ndarray  # (n, S, S) float32: 1 inside a shape, 0 outside, between them on its edge


def draw(faces: Mapping[str, np.ndarray], image_size: int, rng: np.random.Generator) -> np.ndarray:
    """Return (N, S, S) uint8 pictures, S = ``image_size``.

    Args:
        faces: (N,) float32 for each name in ``PERSON``, ``POSE``, ``LIGHT`` and ``UNITS`` of ``demo``.
        image_size: Height and width, pixels.
        rng: Draws the noise.
    """
    count = len(next(iter(faces.values())))
    images = np.empty((count, image_size, image_size), np.uint8)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        face = SimpleNamespace(**{name: values[part, None, None] for name, values in faces.items()})
        image = _paint(face, image_size)
        image += face.noise * rng.standard_normal(image.shape, np.float32)
        images[part] = np.round(255 * np.clip(image, 0, 1))
    return images


@dataclass
class _Canvas:
    """Pictures of n faces during the painting, and the coordinates of their pixels; each array is (n, S, S) float32."""

    image: np.ndarray
    pixel: float  # width of a pixel
    head_x: np.ndarray  # from the middle of the head
    head_y: np.ndarray
    x: np.ndarray  # from the middle of the features, which slide over the head when it turns
    y: np.ndarray
    side: np.ndarray  # absolute x: both halves of a face are painted together

    def paint(self, tone: np.ndarray | float, cover: Cover) -> None:
        self.image += (tone - self.image) * cover

    def inside(self, distance: np.ndarray) -> Cover:
        return np.clip(distance / self.pixel + 0.5, 0, 1)

    def ellipse(self, x: np.ndarray, y: np.ndarray, width: np.ndarray | float, height: np.ndarray | float) -> Cover:
        return self.inside((1 - np.sqrt((x / width) ** 2 + (y / height) ** 2)) * np.minimum(width, height))


def _glow(x: np.ndarray, y: np.ndarray, width: float, height: float) -> Cover:
    return np.exp(-((x / width) ** 2) - (y / height) ** 2)


def _paint(f: SimpleNamespace, image_size: int) -> np.ndarray:
    """Return (n, S, S) float32 in about [0, 1]; every attribute of ``f`` is (n, 1, 1)."""
    pixel = 2 / image_size
    axis = ((np.arange(image_size, dtype=np.float32) + 0.5) * pixel - 1)[None]
    right, down = axis[:, None, :] - f.shift_x, axis[:, :, None] - f.shift_y
    head_x = (right * np.cos(f.roll) + down * np.sin(f.roll)) / f.scale
    head_y = (down * np.cos(f.roll) - right * np.sin(f.roll)) / f.scale
    x = head_x - f.yaw * np.maximum(1 - head_x**2, 0)
    y = head_y - f.pitch * np.maximum(1 - head_y**2, 0)
    canvas = _Canvas(np.broadcast_to(f.background, x.shape).copy(), pixel, head_x, head_y, x, y, np.abs(x))
    face = _head(canvas, f)
    _brows(canvas, f, face)
    _eyes(canvas, f)
    _nose(canvas, f)
    _mouth(canvas, f)
    _folds(canvas, f)
    light = 1 + f.light_x * axis[:, None, :] + f.light_y * axis[:, :, None]
    return 0.5 + f.brightness + f.contrast * (canvas.image * light - 0.5)


def _head(canvas: _Canvas, f: SimpleNamespace) -> Cover:
    """Paint neck and hair, then ears, face and beard; return the cover of the face."""
    head_x, head_y = canvas.head_x, canvas.head_y
    chin = f.head_height * (1 + 0.06 * f.jaw_drop)
    below = np.clip(head_y, 0, 1)
    width = f.head_width * (1 - f.jaw * below**2)
    canvas.paint(0.7 * f.skin, canvas.inside(0.45 - np.abs(head_x)) * canvas.inside(head_y - 0.5))
    hair = canvas.ellipse(head_x, head_y, f.head_width + 0.1, chin + 0.06) * canvas.inside(f.hair_length - head_y)
    canvas.paint(f.hair, hair)
    canvas.paint(0.8 * f.skin, canvas.ellipse(np.abs(head_x) - f.head_width, head_y - f.eye_height - 0.1, 0.09, 0.16))
    face = canvas.ellipse(head_x, head_y, width, chin) * canvas.inside(head_y - f.hairline - f.fringe * head_x**2)
    shade = 1.05 - 0.3 * (head_x / f.head_width) ** 4 - 0.1 * below**2
    canvas.paint(f.skin * shade, face)
    beard = np.maximum(f.beard, 0) * face * np.clip(4 * (head_y - 0.25 + 0.4 * (1 - canvas.side)), 0, 1)
    canvas.paint(f.hair, beard)
    return face


def _brows(canvas: _Canvas, f: SimpleNamespace, face: Cover) -> None:
    """Paint the brows, the furrow of a frown between them, and lines on the forehead above raised brows."""
    x, y, side, inside = canvas.x, canvas.y, canvas.side, canvas.inside
    frown = f.brow_lowerer + 0.5 * f.nose_wrinkler
    inner, outer = f.eye_distance - 0.19 - 0.05 * frown, f.eye_distance + 0.2
    along = np.clip((side - inner) / (outer - inner), 0, 1)
    brow = f.eye_height - f.brow_height - f.brow_arch * 4 * along * (1 - along)
    brow += -0.15 * f.inner_brow_raiser * (1 - along) ** 2 - 0.16 * f.outer_brow_raiser * along + 0.01
    brow += frown * (0.14 * (1 - along) + 0.02)
    thickness = f.brow_thickness * (1.15 - 0.6 * along)
    canvas.paint(0.6 * f.hair, inside(thickness - np.abs(y - brow)) * inside(side - inner) * inside(outer - side))
    canvas.paint(0.55 * f.skin, 0.7 * np.minimum(frown, 1) * _glow(side - 0.06, y - f.eye_height + 0.16, 0.03, 0.11))
    raised = np.minimum(f.inner_brow_raiser + f.outer_brow_raiser, 2) / 2
    lines = np.maximum(np.cos(2 * np.pi * (y - brow) / 0.13), 0) ** 2
    canvas.paint(0.7 * f.skin, 0.35 * raised * lines * _glow(x, y - f.eye_height + 0.48, 0.4, 0.13) * face)


def _eyes(canvas: _Canvas, f: SimpleNamespace) -> None:
    """Paint the eyes between two lids, the iris, and a dark line of upper lashes."""
    x, side, inside = canvas.x, canvas.side, canvas.inside
    squint = 0.5 * f.lid_tightener + 0.3 * f.nose_wrinkler
    upper = f.eye_opening * np.maximum(1 + 0.9 * f.upper_lid_raiser - 0.7 * squint - 0.2 * f.cheek_raiser, 0.15)
    lower = f.eye_opening * np.maximum(0.8 + 0.2 * f.upper_lid_raiser - 0.7 * squint - 0.9 * f.cheek_raiser, -0.1)
    bend = 1 - ((side - f.eye_distance) / f.eye_width) ** 2
    eye_y = canvas.y - f.eye_height
    canvas.paint(0.75 * f.skin, 0.6 * _glow(side - f.eye_distance, eye_y, 0.2, 0.15))
    opening = np.minimum(inside(eye_y + upper * bend), inside(lower * bend - eye_y)) * (bend > 0)
    canvas.paint(np.minimum(f.skin + 0.35, 0.97), opening)
    gaze_x = side - f.eye_distance - f.gaze * np.sign(x)
    canvas.paint(f.iris, opening * canvas.ellipse(gaze_x, eye_y, 0.085, 0.085))
    lash = inside(0.022 - np.abs(eye_y + upper * bend)) * inside(bend * 0.15)
    canvas.paint(0.12, 0.9 * lash)
    canvas.paint(0.6 * f.skin, 0.5 * inside(0.015 - np.abs(eye_y - lower * bend)) * inside(bend * 0.15))


def _nose_shape(f: SimpleNamespace) -> tuple[np.ndarray, np.ndarray]:
    """Return the y of the nose's tip, and the distance of its wings from the middle."""
    tip = f.eye_height + f.nose_length * (1 - 0.12 * f.nose_wrinkler)
    wing = f.nose_width * (1 + 0.25 * f.nose_wrinkler + 0.1 * f.upper_lip_raiser)
    return tip, wing


def _nose(canvas: _Canvas, f: SimpleNamespace) -> None:
    """Paint a shaded side, nostrils, and wrinkles across the bridge."""
    x, y, side = canvas.x, canvas.y, canvas.side
    tip, wing = _nose_shape(f)
    canvas.paint(0.7 * f.skin, 0.45 * _glow(x - 0.6 * wing, y - tip + 0.14, 0.05, 0.16))
    canvas.paint(np.minimum(1.15 * f.skin, 1), 0.6 * _glow(x, y - tip + 0.1, 0.05, 0.16))
    canvas.paint(0.5 * f.skin, 0.7 * _glow(side - wing, y - tip + 0.03, 0.04, 0.06))
    canvas.paint(0.3 * f.skin, 0.9 * _glow(side - 0.5 * wing, y - tip - 0.02, 0.045, 0.03))
    eye_y = y - f.eye_height
    lines = np.maximum(np.cos(2 * np.pi * (eye_y - 0.5 * side) / 0.13), 0)
    canvas.paint(0.55 * f.skin, 0.8 * np.minimum(f.nose_wrinkler, 1) * lines * _glow(x, eye_y - 0.02, 0.13, 0.12))


def _mouth_width(f: SimpleNamespace) -> np.ndarray:
    """Return the distance of the corners of the mouth from its middle."""
    stretch = 0.22 * f.lip_corner_puller + 0.30 * f.lip_stretcher - 0.12 * f.lip_tightener - 0.25 * f.jaw_drop
    return f.mouth_width * (1 + stretch)


def _mouth(canvas: _Canvas, f: SimpleNamespace) -> None:
    """Paint two lips along a curve, and teeth and darkness between open lips."""
    x, inside = canvas.x, canvas.inside
    width = _mouth_width(f)
    corner = 0.05 * f.lip_stretcher + 0.13 * f.lip_corner_depressor - 0.17 * f.lip_corner_puller
    apart = 0.09 * f.lips_part + 0.06 * f.lower_lip_depressor
    middle = f.mouth_height - 0.5 * corner - 0.05 * f.chin_raiser - 0.03 * f.upper_lip_raiser
    bend = np.maximum(1 - (x / width) ** 2, 0)
    curve = canvas.y - middle - corner * (1 - bend)
    top = curve + (0.35 * apart + 0.07 * f.upper_lip_raiser + 0.06 * f.jaw_drop) * bend
    bottom = curve - (0.65 * apart + 0.24 * f.jaw_drop) * bend
    lip = f.lip * np.maximum(1 - 0.6 * f.lip_tightener - 0.2 * f.lip_stretcher, 0.3) * np.sqrt(bend)
    span = inside(width - np.abs(x))
    canvas.paint(f.lip_tone * f.skin, inside(top + lip) * inside(1.2 * lip - bottom) * span)
    gap = inside(top) * inside(-bottom) * span
    canvas.paint(0.08, gap)
    canvas.paint(0.9, 0.9 * gap * inside(0.09 * np.sqrt(bend) - top))
    canvas.paint(0.3 * f.skin, 0.8 * inside(0.016 - np.minimum(np.abs(top), np.abs(bottom))) * span)


def _folds(canvas: _Canvas, f: SimpleNamespace) -> None:
    """Paint the folds from nose to mouth, the cheeks and the chin."""
    x, y, side = canvas.x, canvas.y, canvas.side
    (tip, wing), mouth_width = _nose_shape(f), _mouth_width(f)
    fold = np.clip(0.8 * f.lip_corner_puller + 0.7 * f.upper_lip_raiser + 0.5 * f.nose_wrinkler, 0, 1)
    down = np.clip((y - tip) / (f.mouth_height - tip), 0, 1)
    crease = wing + 0.06 + (mouth_width - wing + 0.03) * down
    canvas.paint(0.6 * f.skin, 0.7 * fold * _glow(side - crease, y - (tip + f.mouth_height) / 2 + 0.03, 0.03, 0.16))
    cheek = 0.5 * np.minimum(f.cheek_raiser, 1) * _glow(side - 0.42, y - 0.12, 0.15, 0.09)
    canvas.paint(np.minimum(1.2 * f.skin, 1), cheek)
    chin = 0.6 * np.minimum(f.chin_raiser, 1) * _glow(x, y - f.mouth_height - 0.2, 0.12, 0.035)
    canvas.paint(0.65 * f.skin, chin)
