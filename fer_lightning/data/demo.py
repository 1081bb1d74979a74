"""Faces drawn by the project itself: what it trains on where no data set is at hand.

Each face is one of seven expressions made of facial action units (AU; P. Ekman and W. V. Friesen, Facial Action Coding
System, 1978), on a random person in a random pose and light. Some labels are wrong on purpose, as in real data sets of
expressions, and their share is known.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from fer_lightning.data.faces import CLASSES, IMAGE_SIZE, Faces, fingerprint

TEST_SHARE = 0.25
FACES_PER_PERSON = 8
CLASS_SHARES = {  # unbalanced in the order of FER2013, but mildly
    "angry": 0.14,
    "disgust": 0.09,
    "fear": 0.14,
    "happy": 0.20,
    "neutral": 0.16,
    "sad": 0.14,
    "surprise": 0.13,
}

# FACS number and name of each action unit that the pen knows.
UNITS = {
    "inner_brow_raiser": 1,
    "outer_brow_raiser": 2,
    "brow_lowerer": 4,
    "upper_lid_raiser": 5,
    "cheek_raiser": 6,
    "lid_tightener": 7,
    "nose_wrinkler": 9,
    "upper_lip_raiser": 10,
    "lip_corner_puller": 12,
    "lip_corner_depressor": 15,
    "lower_lip_depressor": 16,
    "chin_raiser": 17,
    "lip_stretcher": 20,
    "lip_tightener": 23,
    "lips_part": 25,
    "jaw_drop": 26,
}

# Intensity of the action units (by FACS number) of an expression at its strongest: the prototypes of emotional FACS.
EXPRESSIONS = {
    "angry": {4: 1.0, 5: 0.4, 7: 0.7, 17: 0.3, 23: 1.0},
    "disgust": {4: 0.4, 7: 0.4, 9: 1.0, 10: 0.9, 15: 0.4, 16: 0.5, 25: 0.4},
    "fear": {1: 1.0, 2: 0.5, 4: 0.3, 5: 1.0, 20: 1.0, 25: 0.7, 26: 0.2},
    "happy": {6: 0.8, 12: 1.0, 25: 0.6},
    "neutral": {},
    "sad": {1: 0.9, 4: 0.5, 7: 0.3, 15: 1.0, 17: 0.6},
    "surprise": {1: 0.9, 2: 1.0, 5: 0.9, 25: 0.4, 26: 0.9},
}

# Lengths are in half images: the picture spans [-1, 1] both ways, y down. Tones are grey values from 0 to 1.
PERSON = {
    "head_width": (0.70, 0.80),
    "head_height": (0.90, 1.00),
    "jaw": (0.05, 0.30),  # how much narrower the chin is
    "skin": (0.50, 0.86),
    "hair": (0.06, 0.42),
    "hairline": (-0.84, -0.70),
    "hair_length": (-0.5, 1.2),
    "fringe": (-0.15, 0.30),  # curve of the hairline
    "beard": (-0.6, 0.2),  # none below 0
    "eye_distance": (0.31, 0.39),  # from the middle of the face
    "eye_height": (-0.22, -0.17),
    "eye_width": (0.15, 0.19),
    "eye_opening": (0.065, 0.095),
    "iris": (0.05, 0.35),
    "brow_height": (0.19, 0.25),  # above the eye
    "brow_arch": (0.0, 0.06),
    "brow_thickness": (0.022, 0.05),
    "nose_width": (0.10, 0.16),
    "nose_length": (0.34, 0.44),
    "mouth_height": (0.49, 0.55),
    "mouth_width": (0.25, 0.33),
    "lip": (0.035, 0.065),
    "lip_tone": (0.60, 0.85),  # of the skin's
}
POSE = {
    "roll": (-0.07, 0.07),  # radians
    "scale": (1.14, 1.23),
    "shift_x": (-0.03, 0.03),
    "shift_y": (-0.03, 0.03),
    "yaw": (-0.07, 0.07),  # how far the features slide over the head
    "pitch": (-0.03, 0.03),
    "gaze": (-0.04, 0.04),
}
LIGHT = {
    "background": (0.25, 0.75),
    "light_x": (-0.20, 0.20),
    "light_y": (-0.12, 0.12),
    "contrast": (0.75, 1.00),
    "brightness": (-0.12, 0.12),
    "noise": (0.005, 0.03),  # standard deviation
}


def draw_faces(count: int, wrong_label_share: float, seed: int) -> Faces:
    """Return drawn faces, three quarters to train on and a quarter to test on, no person in both.

    Args:
        count: Number of faces, at least 100.
        wrong_label_share: Share of each split whose label is drawn from the six other classes, in [0, 1].
        seed: Same seed, same faces.

    Raises:
        ValueError: If ``count`` or ``wrong_label_share`` is out of range.
    """
    if count < 100 or not 0 <= wrong_label_share <= 1:
        raise ValueError(f"cannot draw {count} faces (at least 100) with {wrong_label_share} wrong labels (0 to 1)")
    rng = np.random.default_rng(seed)
    cast = _cast(count, wrong_label_share, rng)
    images = _draw(cast.expressions, cast.persons, rng)
    folders = zip(cast.splits, cast.labels, strict=True)
    test = cast.splits == "test"
    return Faces(
        images=images,
        labels=cast.labels,
        names=np.array([f"{split}/{CLASSES[label]}/{i:05d}.png" for i, (split, label) in enumerate(folders)]),
        splits=cast.splits,
        source="drawn faces",
        fingerprint=fingerprint(images, cast.labels, cast.splits),
        best_possible=float(np.mean(cast.labels[test] == cast.expressions[test])),
    )


@dataclass(frozen=True)
class _Cast:
    """Who shows what, before anything is drawn; each (N,).

    Attributes:
        expressions: int64, the expression that is drawn, a position in ``CLASSES``.
        labels: int64, the expression that the label claims.
        persons: int64, who is drawn.
        splits: str, "train" or "test".
    """

    expressions: np.ndarray
    labels: np.ndarray
    persons: np.ndarray
    splits: np.ndarray


def _cast(count: int, wrong_label_share: float, rng: np.random.Generator) -> _Cast:
    """Return a cast with the same share of every class and of wrong labels in both splits."""
    test = round(TEST_SHARE * count)
    expressions, labels, persons, first_person = [], [], [], 0
    for size in (count - test, test):
        bounds = np.round(np.cumsum([CLASS_SHARES[name] for name in CLASSES]) * size).astype(int)
        shown = rng.permutation(np.searchsorted(bounds, np.arange(size), side="right"))
        claimed = shown.copy()
        wrong = rng.choice(size, round(wrong_label_share * size), replace=False)
        claimed[wrong] += rng.integers(1, len(CLASSES), len(wrong))  # any class but its own
        last_person = first_person + -(-size // FACES_PER_PERSON)
        expressions.append(shown)
        labels.append(claimed % len(CLASSES))
        persons.append(rng.integers(first_person, last_person, size))
        first_person = last_person
    return _Cast(
        np.concatenate(expressions).astype(np.int64),
        np.concatenate(labels).astype(np.int64),
        np.concatenate(persons),
        np.repeat(["train", "test"], [count - test, test]),
    )


def _draw(expressions: np.ndarray, persons: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (N, 48, 48) uint8, one face per expression and person."""
    count = len(expressions)
    people = _uniform(PERSON, persons.max() + 1, rng)
    faces = {
        **{name: values[persons] for name, values in people.items()},
        **_uniform(POSE, count, rng),
        **_uniform(LIGHT, count, rng),
        **_act(expressions, rng),
    }
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    for start in range(0, count, 32):  # few enough at a time to stay in the processor's cache
        part = slice(start, start + 32)
        face = SimpleNamespace(**{name: values[part, None, None] for name, values in faces.items()})
        image = _paint(face)
        image += face.noise * rng.standard_normal(image.shape, np.float32)
        images[part] = np.round(255 * np.clip(image, 0, 1))
    return images


def _uniform(ranges: dict[str, tuple[float, float]], count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return ``count`` float32 values in each of the ranges."""
    return {name: rng.uniform(low, high, count).astype(np.float32) for name, (low, high) in ranges.items()}


def _act(expressions: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the intensity of every action unit, (N,) float32 each, 0 is relaxed and 1 is strong."""
    prototypes = np.array([[EXPRESSIONS[name].get(number, 0.0) for number in UNITS.values()] for name in CLASSES])
    count = len(expressions)
    strength = rng.uniform(0.35, 1.0, (count, 1))
    intensity = prototypes[expressions] * strength * rng.uniform(0.4, 1.2, (count, len(UNITS)))
    # Faces also do what their expression does not ask for: up to two units at random, as when people talk or squint.
    for _ in range(2):
        intensity[np.arange(count), rng.integers(len(UNITS), size=count)] += np.maximum(
            rng.uniform(-0.4, 0.4, count), 0
        )
    return dict(zip(UNITS, intensity.astype(np.float32).T, strict=True))


def _paint(f: SimpleNamespace) -> np.ndarray:
    """Return (n, 48, 48) float32 in about [0, 1]; every attribute of ``f`` is (n, 1, 1).

    Shapes are given by their signed distance and painted back to front, with an edge one pixel wide.
    """
    pixel = 2 / IMAGE_SIZE

    def inside(distance: np.ndarray) -> np.ndarray:  # 0 outside, 1 inside, in between on the edge
        return np.clip(distance / pixel + 0.5, 0, 1)

    def paint(tone: np.ndarray | float, cover: np.ndarray) -> None:
        nonlocal image
        image += (tone - image) * cover

    def ellipse(x: np.ndarray, y: np.ndarray, width: np.ndarray | float, height: np.ndarray | float) -> np.ndarray:
        return inside((1 - np.sqrt((x / width) ** 2 + (y / height) ** 2)) * np.minimum(width, height))

    def glow(x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
        return np.exp(-((x / width) ** 2) - (y / height) ** 2)

    # Pose: from the pixel to the head's own axes, then to those of the features, which slide over it as it turns.
    axis = ((np.arange(IMAGE_SIZE, dtype=np.float32) + 0.5) * pixel - 1)[None]
    right, down = axis[:, None, :] - f.shift_x, axis[:, :, None] - f.shift_y
    head_x = (right * np.cos(f.roll) + down * np.sin(f.roll)) / f.scale
    head_y = (down * np.cos(f.roll) - right * np.sin(f.roll)) / f.scale
    x = head_x - f.yaw * np.maximum(1 - head_x**2, 0)
    y = head_y - f.pitch * np.maximum(1 - head_y**2, 0)
    side = np.abs(x)  # both halves of a face at once

    # Head: neck and hair behind, then ears and face.
    image = np.broadcast_to(f.background, x.shape).copy()
    chin = f.head_height * (1 + 0.06 * f.jaw_drop)
    below = np.clip(head_y, 0, 1)
    width = f.head_width * (1 - f.jaw * below**2)
    paint(0.7 * f.skin, inside(0.45 - np.abs(head_x)) * inside(head_y - 0.5))
    paint(f.hair, ellipse(head_x, head_y, f.head_width + 0.1, chin + 0.06) * inside(f.hair_length - head_y))
    paint(0.8 * f.skin, ellipse(np.abs(head_x) - f.head_width, head_y - f.eye_height - 0.1, 0.09, 0.16))
    face = ellipse(head_x, head_y, width, chin) * inside(head_y - f.hairline - f.fringe * head_x**2)
    shade = 1.05 - 0.3 * (head_x / f.head_width) ** 4 - 0.1 * below**2
    paint(f.skin * shade, face)
    paint(f.hair, np.maximum(f.beard, 0) * face * np.clip(4 * (head_y - 0.25 + 0.4 * (1 - side)), 0, 1))

    # Brows: raised at either end, or lowered and drawn together with a furrow between them.
    frown = f.brow_lowerer + 0.5 * f.nose_wrinkler
    inner, outer = f.eye_distance - 0.19 - 0.05 * frown, f.eye_distance + 0.2
    along = np.clip((side - inner) / (outer - inner), 0, 1)
    brow = f.eye_height - f.brow_height - f.brow_arch * 4 * along * (1 - along)
    brow += -0.15 * f.inner_brow_raiser * (1 - along) ** 2 - 0.16 * f.outer_brow_raiser * along + 0.01
    brow += frown * (0.14 * (1 - along) + 0.02)
    thickness = f.brow_thickness * (1.15 - 0.6 * along)
    paint(0.6 * f.hair, inside(thickness - np.abs(y - brow)) * inside(side - inner) * inside(outer - side))
    paint(0.55 * f.skin, 0.7 * np.minimum(frown, 1) * glow(side - 0.06, y - f.eye_height + 0.16, 0.03, 0.11))
    raised = np.minimum(f.inner_brow_raiser + f.outer_brow_raiser, 2) / 2
    lines = np.maximum(np.cos(2 * np.pi * (y - brow) / 0.13), 0) ** 2
    paint(0.7 * f.skin, 0.35 * raised * lines * glow(x, y - f.eye_height + 0.48, 0.4, 0.13) * face)

    # Eyes: between two lids, iris and pupil inside, a dark upper lash line.
    squint = 0.5 * f.lid_tightener + 0.3 * f.nose_wrinkler
    upper = f.eye_opening * np.maximum(1 + 0.9 * f.upper_lid_raiser - 0.7 * squint - 0.2 * f.cheek_raiser, 0.15)
    lower = f.eye_opening * np.maximum(0.8 + 0.2 * f.upper_lid_raiser - 0.7 * squint - 0.9 * f.cheek_raiser, -0.1)
    bend = 1 - ((side - f.eye_distance) / f.eye_width) ** 2
    eye_y = y - f.eye_height
    paint(0.75 * f.skin, 0.6 * glow(side - f.eye_distance, eye_y, 0.2, 0.15))
    opening = np.minimum(inside(eye_y + upper * bend), inside(lower * bend - eye_y)) * (bend > 0)
    paint(np.minimum(f.skin + 0.35, 0.97), opening)
    gaze_x = side - f.eye_distance - f.gaze * np.sign(x)
    paint(f.iris, opening * ellipse(gaze_x, eye_y, 0.085, 0.085))
    lash = inside(0.022 - np.abs(eye_y + upper * bend)) * inside(bend * 0.15)
    paint(0.12, 0.9 * lash)
    paint(0.6 * f.skin, 0.5 * inside(0.015 - np.abs(eye_y - lower * bend)) * inside(bend * 0.15))

    # Nose: a shaded side, nostrils, wrinkles across the bridge.
    nose_y = f.eye_height + f.nose_length * (1 - 0.12 * f.nose_wrinkler)
    wing = f.nose_width * (1 + 0.25 * f.nose_wrinkler + 0.1 * f.upper_lip_raiser)
    paint(0.7 * f.skin, 0.45 * glow(x - 0.6 * wing, y - nose_y + 0.14, 0.05, 0.16))
    paint(np.minimum(1.15 * f.skin, 1), 0.6 * glow(x, y - nose_y + 0.1, 0.05, 0.16))
    paint(0.5 * f.skin, 0.7 * glow(side - wing, y - nose_y + 0.03, 0.04, 0.06))
    paint(0.3 * f.skin, 0.9 * glow(side - 0.5 * wing, y - nose_y - 0.02, 0.045, 0.03))
    lines = np.maximum(np.cos(2 * np.pi * (eye_y - 0.5 * side) / 0.13), 0)
    paint(0.55 * f.skin, 0.8 * np.minimum(f.nose_wrinkler, 1) * lines * glow(x, eye_y - 0.02, 0.13, 0.12))

    # Mouth: two lips along a curve, apart or pressed, teeth and darkness between them.
    stretch = 0.22 * f.lip_corner_puller + 0.30 * f.lip_stretcher - 0.12 * f.lip_tightener - 0.25 * f.jaw_drop
    mouth_width = f.mouth_width * (1 + stretch)
    corner = 0.05 * f.lip_stretcher + 0.13 * f.lip_corner_depressor - 0.17 * f.lip_corner_puller
    apart = 0.09 * f.lips_part + 0.06 * f.lower_lip_depressor
    middle = f.mouth_height - 0.5 * corner - 0.05 * f.chin_raiser - 0.03 * f.upper_lip_raiser
    bend = np.maximum(1 - (x / mouth_width) ** 2, 0)
    curve = y - middle - corner * (1 - bend)
    top = curve + (0.35 * apart + 0.07 * f.upper_lip_raiser + 0.06 * f.jaw_drop) * bend
    bottom = curve - (0.65 * apart + 0.24 * f.jaw_drop) * bend
    lip = f.lip * np.maximum(1 - 0.6 * f.lip_tightener - 0.2 * f.lip_stretcher, 0.3) * np.sqrt(bend)
    span = inside(mouth_width - np.abs(x))
    paint(f.lip_tone * f.skin, inside(top + lip) * inside(1.2 * lip - bottom) * span)
    gap = inside(top) * inside(-bottom) * span
    paint(0.08, gap)
    paint(0.9, 0.9 * gap * inside(0.09 * np.sqrt(bend) - top))
    paint(0.3 * f.skin, 0.8 * inside(0.016 - np.minimum(np.abs(top), np.abs(bottom))) * span)

    # Folds from the nose to the corners of the mouth, cheeks, chin.
    fold = np.clip(0.8 * f.lip_corner_puller + 0.7 * f.upper_lip_raiser + 0.5 * f.nose_wrinkler, 0, 1)
    down = np.clip((y - nose_y) / (f.mouth_height - nose_y), 0, 1)
    crease = wing + 0.06 + (mouth_width - wing + 0.03) * down
    paint(0.6 * f.skin, 0.7 * fold * glow(side - crease, y - (nose_y + f.mouth_height) / 2 + 0.03, 0.03, 0.16))
    paint(np.minimum(1.2 * f.skin, 1), 0.5 * np.minimum(f.cheek_raiser, 1) * glow(side - 0.42, y - 0.12, 0.15, 0.09))
    paint(0.65 * f.skin, 0.6 * np.minimum(f.chin_raiser, 1) * glow(x, y - f.mouth_height - 0.2, 0.12, 0.035))

    light = 1 + f.light_x * axis[:, None, :] + f.light_y * axis[:, :, None]
    return 0.5 + f.brightness + f.contrast * (image * light - 0.5)
