"""Augmentation of training faces; the only module that imports albumentations."""

import math
import random
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, TypeAlias

import albumentations
import cv2
import numpy as np

from fer_lightning.data.rendering import AS_IT_IS, Step
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
        self._set_stream(epoch, picture)
        result = image[:, :, np.newaxis]
        for transform in self.transforms:
            result = _apply(transform, result)
        return result.reshape(image.shape)

    def _set_stream(self, epoch: int, picture: int) -> None:
        # All transforms share one pair of generators. With a seed for Compose each would draw the same numbers.
        stream = random.Random(f"{self.seed}/{epoch}/{picture}")
        self.transforms.set_random_state(_LateGenerator((self.seed, epoch, picture)), stream)
        stream.random()  # Compose draws this first, to decide whether it changes the picture at all

    def steps(self, shape: tuple[int, int]) -> list[Step] | None:
        """Return how a device renders pictures of a shape; None if only albumentations can render a transform."""
        steps = [_step(transform, shape) for transform in self.transforms]
        return None if None in steps else steps  # type: ignore[return-value]

    def draw(self, steps: list[Step], shape: tuple[int, int], epoch: int, picture: int) -> list[float]:
        """Return the numbers of one picture for ``render``: what ``__call__`` would draw."""
        self._set_stream(epoch, picture)
        numbers: list[float] = []
        for transform, step in zip(self.transforms, steps, strict=True):
            drawn = _draw(transform, shape)
            numbers += drawn
            numbers += [0.0] * (step.size - len(drawn))  # patches that are not there
        return numbers


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
        device: Where pictures that are drawn anew are rendered: by albumentations on the processor, or on the device of
            the training, within a grey level of it. Auto is a GPU if it can render all transforms.
        seed: Decides every stream.
    """

    def __init__(
        self,
        transforms: list[Part[Transform]],
        copies: Copies,
        keep_original: bool,
        online: bool,
        device: Literal["auto", "cpu", "accelerator"],
        seed: Seed,
    ) -> None:
        self.chain = Chain(transforms, seed)
        self.copies = copies
        self.online = online
        self.device = device
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
        if not (left < right and top < bottom):
            raise ValueError("left must be below right, and top below bottom")
        self.left, self.right, self.top, self.bottom, self.fill = left, right, top, bottom, fill

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        """Return a covered copy of a picture (H, W, 1) uint8."""
        height, width = img.shape[:2]
        covered = img.copy()
        rows = slice(round(self.top * height), round(self.bottom * height))
        covered[rows, round(self.left * width) : round(self.right * width)] = self.fill
        return covered


# Albumentations takes 160 us to rotate or shift a face, and only 11 us of them in OpenCV. The functions below draw the
# same numbers in the same order and make the same pixels in 20 us. They use private methods of albumentations, whose
# version is fixed in pyproject.toml.


def _apply(transform: Transform, image: np.ndarray) -> np.ndarray:
    """Return the transformed picture (H, W, 1) that albumentations would return."""
    if not _is_warp(transform):
        return transform(image=image)["image"]
    matrix = _draw_warp(transform, image.shape)
    if matrix is None:
        return image
    flags, border, fill = transform.interpolation, transform.border_mode, transform.fill
    return cv2.warpAffine(image, matrix, image.shape[1::-1], None, flags, border, fill)[:, :, np.newaxis]


def _is_warp(transform: Transform) -> bool:
    """Return whether ``_draw_warp`` can draw for a transform. Subclasses differ."""
    if type(transform) is albumentations.Rotate:
        return not transform.crop_border
    return type(transform) is albumentations.Affine and not transform.fit_output


def _draw_warp(transform: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Draw a rotation or affine transform: its matrix (2, 3), or None if the picture stays as it is."""
    if not transform.should_apply():
        return None
    if isinstance(transform, albumentations.Rotate):
        angle = transform.py_random.uniform(*transform.limit)
        return _matrix(shape, {"x": 0, "y": 0}, {"x": 0, "y": 0}, {"x": 1, "y": 1}, angle)
    shift, shear = transform._get_translate_params(shape), transform._get_shear_params()
    scale = transform._get_scale(transform.scale, transform.keep_ratio, transform.balanced_scale, transform.py_random)
    return _matrix(shape, shift, shear, scale, transform.py_random.uniform(*transform.rotate))


def _matrix(
    shape: tuple[int, ...],
    shift: Mapping[str, float],
    shear: Mapping[str, float],
    scale: Mapping[str, float],
    angle: float,
) -> np.ndarray:
    """Return the matrix (2, 3) that scales, rotates and shears (degrees) about the centre, then shifts (pixels)."""
    height, width = shape[:2]
    x, y = width / 2 - 0.5, height / 2 - 0.5
    turn = math.radians(angle % 360)
    cos, sin = math.cos(turn), math.sin(turn)
    along, across = math.tan(math.radians(shear["x"])), math.tan(math.radians(shear["y"]))
    a, b = scale["x"] * (cos - along * sin), scale["y"] * (sin + along * cos)
    c, d = scale["x"] * (across * cos - sin), scale["y"] * (across * sin + cos)
    return np.array([[a, b, x + shift["x"] - a * x - b * y], [c, d, y + shift["y"] - c * x - d * y]])


def _step(transform: Any, shape: tuple[int, int]) -> Step | None:
    """Return how a device renders a transform; None if only albumentations can."""
    if _is_warp(transform):
        black = transform.border_mode == cv2.BORDER_CONSTANT and isinstance(transform.fill, int | float)
        if transform.interpolation == cv2.INTER_LINEAR and (black or transform.border_mode == cv2.BORDER_REPLICATE):
            return Step(fill=transform.fill if black else None)
    elif type(transform) is albumentations.RandomResizedCrop:
        if transform.interpolation == cv2.INTER_LINEAR and tuple(transform.size) == tuple(shape):
            return Step()
    elif type(transform) is albumentations.HorizontalFlip:
        return Step()
    elif type(transform) is albumentations.CoarseDropout:
        if isinstance(transform.fill, int | float) or transform.fill == "random_uniform":
            return Step(patches=transform.num_holes_range[1])
    elif type(transform) is Cover:
        return Step(patches=1)
    return None


def _draw(transform: Any, shape: tuple[int, int]) -> list[float]:
    """Draw for a device: the six numbers of a move of all pixels, or five of each patch; see ``render``."""
    height, width = shape
    if _is_warp(transform):
        matrix = _draw_warp(transform, shape)
        return AS_IT_IS if matrix is None else cv2.invertAffineTransform(matrix).ravel().tolist()
    changed, kind = transform.should_apply(), type(transform)
    if kind is Cover:
        box = transform.left * width, transform.top * height, transform.right * width, transform.bottom * height
        return [*map(round, box), transform.fill] if changed else []
    if kind is albumentations.CoarseDropout:
        if not changed:
            return []
        drawn = transform.get_params_dependent_on_data({"shape": shape}, {})
        greys = [transform.fill] * len(drawn["holes"])
        if transform.fill == "random_uniform":
            stream = np.random.default_rng(drawn["seed"])
            greys = [stream.integers(256, size=(1, 1), dtype=np.uint8).item() for _ in greys]
        return [number for hole, grey in zip(drawn["holes"].tolist(), greys, strict=True) for number in (*hole, grey)]
    if not changed:
        return AS_IT_IS
    if kind is albumentations.HorizontalFlip:
        return [-1, 0, width - 1, 0, 1, 0]
    left, top, right, bottom = transform.get_params_dependent_on_data({"shape": shape}, {})["crop_coords"]
    x, y = (right - left) / width, (bottom - top) / height  # a pixel is a square: its centre moves by a half
    return [x, 0, left + x / 2 - 0.5, 0, y, top + y / 2 - 0.5]


def _check_arguments(transform: Transform) -> None:
    """Refuse an unknown argument, which albumentations only warns about and then ignores."""
    if isinstance(transform, albumentations.BaseCompose):  # OneOf and the like
        for part in transform.transforms:
            _check_arguments(part)
    elif transform.invalid_args:
        names = ", ".join(transform.invalid_args)
        raise ValueError(f"Argument(s) '{names}' are not valid for transform {type(transform).__name__}")
