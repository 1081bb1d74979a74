"""Augmentation of training faces; the only module that imports albumentations."""

import math
import random
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeAlias

import albumentations
import cv2
import numpy as np

from fer_lightning.kinds import Copies, Grey, Part, Seed, Share

Transform: TypeAlias = albumentations.BasicTransform | albumentations.BaseCompose


class Chain:
    """A chain of albumentations transforms whose random numbers depend only on (seed, epoch, picture).

    Args:
        transforms: albumentations transforms, applied in order.
        seed: Decides every stream.

    Raises:
        ValueError: If a transform has an unknown argument.
    """

    def __init__(self, transforms: list[Part[Transform]], seed: Seed) -> None:
        for transform in transforms:
            _check_arguments(transform)
        self.transforms = albumentations.Compose(list(transforms))
        self.seed = seed

    def __len__(self) -> int:
        return len(self.transforms.transforms)

    def __call__(self, image: np.ndarray, epoch: int, picture: int) -> np.ndarray:
        """Return an augmented copy of one face.

        Args:
            image: (H, W) uint8.
            epoch: Number of the epoch; 0 if copies are drawn once for all epochs.
            picture: Position in the table of pictures.

        Returns:
            (H, W) uint8.
        """
        # All transforms share one pair of generators. With a seed for Compose each would draw the same numbers.
        stream = random.Random(f"{self.seed}/{epoch}/{picture}")
        self.transforms.set_random_state(_LateGenerator((self.seed, epoch, picture)), stream)
        stream.random()  # Compose draws this first, to decide whether it changes the picture at all
        result = image[:, :, np.newaxis]
        for transform in self.transforms:
            result = FAST.get(type(transform), _apply)(transform, result)
        return result.reshape(image.shape)


class _LateGenerator:
    """A numpy generator that is made at its first use: few transforms use it, and it costs 50 us."""

    def __init__(self, seed: tuple[int, ...]) -> None:
        self._seed = seed

    @cached_property
    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self._seed)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pickle and copy look for such names
            raise AttributeError(name)
        return getattr(self._generator, name)


class Augmentation:
    """Augmentation of each training face: ``copies`` pictures of it in an epoch.

    With ``keep_original`` the first picture is the face itself. The others are augmented: once before training, or anew
    in each epoch with ``online``.

    Args:
        transforms: albumentations transforms, applied in order.
        copies: Pictures of each face in an epoch.
        keep_original: Whether the first picture stays as it is.
        online: Whether augmented pictures are drawn anew each epoch.
        seed: Decides every stream.
    """

    def __init__(
        self,
        transforms: list[Part[Transform]],
        copies: Copies,
        keep_original: bool,
        online: bool,
        seed: Seed,
    ) -> None:
        self.chain = Chain(transforms, seed)
        self.copies = copies
        self.online = online
        unchanged = 1 if keep_original else 0
        self.plain_copies = unchanged if len(self.chain) else copies  # they come first in the table of pictures


class Cover(albumentations.ImageOnlyTransform):
    """Cover the same part of every picture with one grey, where albumentations covers random parts.

    Args:
        left: Where it begins, as a share of the width.
        right: Where it ends.
        top: Where it begins, as a share of the height.
        bottom: Where it ends.
        fill: The grey, 0 to 255.
        p: Share of the pictures that are covered.
    """

    def __init__(self, left: Share, right: Share, top: Share, bottom: Share, fill: Grey, p: Share) -> None:
        super().__init__(p=p)
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1 and 0 <= fill <= 255):
            raise ValueError("left < right and top < bottom must be shares of the side, and fill a grey, 0 to 255")
        self.left, self.right, self.top, self.bottom, self.fill = left, right, top, bottom, fill

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        """Return a covered copy of a picture (H, W, 1) uint8."""
        height, width = img.shape[:2]
        covered = img.copy()
        rows = slice(round(self.top * height), round(self.bottom * height))
        covered[rows, round(self.left * width) : round(self.right * width)] = self.fill
        return covered


def _apply(transform: Transform, image: np.ndarray) -> np.ndarray:
    """Return the transformed picture (H, W, 1)."""
    return transform(image=image)["image"]


# Albumentations takes 160 us to rotate or shift a face, and only 11 us of them in OpenCV. The functions below draw the
# same numbers in the same order and make the same pixels in 20 us. They use private methods of albumentations, whose
# version is fixed in pyproject.toml.


def _rotate(transform: albumentations.Rotate, image: np.ndarray) -> np.ndarray:
    """Return the picture (H, W, 1) that ``_apply`` would return."""
    if transform.crop_border:
        return _apply(transform, image)
    if not transform.should_apply():
        return image
    angle = transform.py_random.uniform(*transform.limit)
    return _warp(transform, image, {"x": 0, "y": 0}, {"x": 0, "y": 0}, {"x": 1, "y": 1}, angle)


def _affine(transform: albumentations.Affine, image: np.ndarray) -> np.ndarray:
    """Return the picture (H, W, 1) that ``_apply`` would return."""
    if transform.fit_output:
        return _apply(transform, image)
    if not transform.should_apply():
        return image
    shift, shear = transform._get_translate_params(image.shape), transform._get_shear_params()
    scale = transform._get_scale(transform.scale, transform.keep_ratio, transform.balanced_scale, transform.py_random)
    return _warp(transform, image, shift, shear, scale, transform.py_random.uniform(*transform.rotate))


def _warp(
    transform: albumentations.Affine | albumentations.Rotate,
    image: np.ndarray,
    shift: Mapping[str, float],
    shear: Mapping[str, float],
    scale: Mapping[str, float],
    angle: float,
) -> np.ndarray:
    """Return a picture (H, W, 1) scaled, rotated, sheared (degrees) about its centre, then shifted (pixels)."""
    height, width = image.shape[:2]
    x, y = width / 2 - 0.5, height / 2 - 0.5
    turn = math.radians(angle % 360)
    cos, sin = math.cos(turn), math.sin(turn)
    along, across = math.tan(math.radians(shear["x"])), math.tan(math.radians(shear["y"]))
    a, b = scale["x"] * (cos - along * sin), scale["y"] * (sin + along * cos)
    c, d = scale["x"] * (across * cos - sin), scale["y"] * (across * sin + cos)
    matrix = np.array([[a, b, x + shift["x"] - a * x - b * y], [c, d, y + shift["y"] - c * x - d * y]])
    flags, border, fill = transform.interpolation, transform.border_mode, transform.fill
    return cv2.warpAffine(image, matrix, (width, height), None, flags, border, fill)[:, :, np.newaxis]


FAST = {albumentations.Affine: _affine, albumentations.Rotate: _rotate}  # not for subclasses, which differ


def _check_arguments(transform: Transform) -> None:
    """Refuse an unknown argument, which albumentations only warns about and then ignores."""
    if isinstance(transform, albumentations.BaseCompose):  # OneOf and the like
        for part in transform.transforms:
            _check_arguments(part)
    elif transform.invalid_args:
        names = ", ".join(transform.invalid_args)
        raise ValueError(f"Argument(s) '{names}' are not valid for transform {type(transform).__name__}")
