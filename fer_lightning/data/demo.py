"""Synthetic faces, for training without a data set: their persons, expressions and labels.

Each face shows one of seven expressions, made of facial action units (AU; P. Ekman and W. V. Friesen, Facial Action
Coding System, 1978), on a random person in a random pose and light. Some labels are wrong on purpose, as in real data
sets of expressions, and their share is known. ``pen`` draws the pictures.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fer_lightning.data import pen
from fer_lightning.data.faces import CLASSES, Faces, fingerprint

SOURCE = "synthetic faces"  # name of the source in records and tables
TEST_SHARE = 0.25
FACES_PER_PERSON = 8
# The order of the frequencies is that of FER2013; the differences are smaller.
CLASS_SHARES = dict(zip(CLASSES, (0.14, 0.09, 0.14, 0.20, 0.16, 0.14, 0.13), strict=True))

# Name and FACS number of each action unit that the pen can draw.
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

# FACS number and intensity of the action units in an expression at full strength: the prototypes of emotional FACS.
EXPRESSIONS = {
    "angry": {4: 1.0, 5: 0.4, 7: 0.7, 17: 0.3, 23: 1.0},
    "disgust": {4: 0.4, 7: 0.4, 9: 1.0, 10: 0.9, 15: 0.4, 16: 0.5, 25: 0.4},
    "fear": {1: 1.0, 2: 0.5, 4: 0.3, 5: 1.0, 20: 1.0, 25: 0.7, 26: 0.2},
    "happy": {6: 0.8, 12: 1.0, 25: 0.6},
    "neutral": {},
    "sad": {1: 0.9, 4: 0.5, 7: 0.3, 15: 1.0, 17: 0.6},
    "surprise": {1: 0.9, 2: 1.0, 5: 0.9, 25: 0.4, 26: 0.9},
}

# Ranges of the random numbers for each person, pose and light; lengths and tones as in ``pen``.
PERSON = {
    "head_width": (0.70, 0.80),
    "head_height": (0.90, 1.00),
    "jaw": (0.05, 0.30),  # decrease of the width at the chin
    "skin": (0.50, 0.86),
    "hair": (0.06, 0.42),
    "hairline": (-0.84, -0.70),
    "hair_length": (-0.5, 1.2),
    "fringe": (-0.15, 0.30),  # curve of the hairline
    "beard": (-0.6, 0.2),  # no beard below 0
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
    "lip_tone": (0.60, 0.85),  # share of the skin's tone
}
POSE = {
    "roll": (-0.07, 0.07),  # radians
    "scale": (1.14, 1.23),
    "shift_x": (-0.03, 0.03),
    "shift_y": (-0.03, 0.03),
    "yaw": (-0.07, 0.07),  # shift of the features over the head
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


def draw_faces(count: int, wrong_label_share: float, seed: int, image_size: int) -> Faces:
    """Return synthetic faces: three quarters for training, a quarter for testing, no person in both.

    Args:
        count: Number of faces, at least 100.
        wrong_label_share: Share of each split with a label from the six other classes, in [0, 1].
        seed: Decides everything.
        image_size: Height and width, pixels.
    """
    rng = np.random.default_rng(seed)
    cast = _cast(count, wrong_label_share, rng)
    images = pen.draw(_describe(cast, rng), image_size, rng)
    folders = zip(cast.splits, cast.labels, strict=True)
    test = cast.splits == "test"
    return Faces(
        images=images,
        labels=cast.labels,
        names=np.array([f"{split}/{CLASSES[label]}/{i:05d}.png" for i, (split, label) in enumerate(folders)]),
        splits=cast.splits,
        source=SOURCE,
        fingerprint=fingerprint(images, cast.labels, cast.splits),
        best_possible=float(np.mean(cast.labels[test] == cast.expressions[test])),
        true_labels=cast.expressions,
    )


def drawing(drawn: Mapping[str, Any]) -> str:
    """Return a hash of all that decides the pictures: arguments of ``draw_faces``, version of numpy, and the code."""
    digest = hashlib.sha256(repr((sorted(drawn.items()), np.__version__)).encode())
    for module in (__file__, pen.__file__):
        digest.update(Path(module).read_bytes())
    return digest.hexdigest()[:32]


class _Cast(NamedTuple):
    """Persons, expressions and labels of N faces before they are drawn."""

    expressions: np.ndarray  # (N,) int64, the expression in the picture, a position in ``CLASSES``
    labels: np.ndarray  # (N,) int64, the expression in the label
    persons: np.ndarray  # (N,) int64
    splits: np.ndarray  # (N,) str, "train" or "test"


def _cast(count: int, wrong_label_share: float, rng: np.random.Generator) -> _Cast:
    """Return a cast whose two splits have the same shares of every class and of wrong labels."""
    test = round(TEST_SHARE * count)
    expressions, labels, persons, first_person = [], [], [], 0
    for size in (count - test, test):
        bounds = np.round(np.cumsum(list(CLASS_SHARES.values())) * size).astype(int)
        shown = rng.permutation(np.searchsorted(bounds, np.arange(size), side="right"))
        claimed = shown.copy()
        wrong = rng.choice(size, round(wrong_label_share * size), replace=False)
        claimed[wrong] += rng.integers(1, len(CLASSES), len(wrong))  # any class but the true one
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


def _describe(cast: _Cast, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return all numbers that the pen needs, (N,) float32 for each name."""
    count = len(cast.expressions)
    people = _uniform(PERSON, cast.persons.max() + 1, rng)
    return {
        **{name: values[cast.persons] for name, values in people.items()},
        **_uniform(POSE, count, rng),
        **_uniform(LIGHT, count, rng),
        **_act(cast.expressions, rng),
    }


def _uniform(ranges: dict[str, tuple[float, float]], count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return ``count`` float32 values from each range."""
    return {name: rng.uniform(low, high, count).astype(np.float32) for name, (low, high) in ranges.items()}


def _act(expressions: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the intensity of every action unit, (N,) float32 each: 0 is relaxed, 1 is strong."""
    prototypes = np.array([[EXPRESSIONS[name].get(number, 0.0) for number in UNITS.values()] for name in CLASSES])
    count = len(expressions)
    strength = rng.uniform(0.35, 1.0, (count, 1))
    intensity = prototypes[expressions] * strength * rng.uniform(0.4, 1.2, (count, len(UNITS)))
    # Up to two random units are added that do not belong to the expression, as when people talk or squint.
    for _ in range(2):
        unit = rng.integers(len(UNITS), size=count)
        intensity[np.arange(count), unit] += np.maximum(rng.uniform(-0.4, 0.4, count), 0)
    return dict(zip(UNITS, intensity.astype(np.float32).T, strict=True))
