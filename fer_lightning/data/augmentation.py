"""Augmentation of training faces; the only module that knows albumentations."""

import random
from collections.abc import Sequence
from typing import Any, TypeAlias

import albumentations
import numpy as np

Transform: TypeAlias = albumentations.BasicTransform | albumentations.BaseCompose


class Chain:
    """A chain of albumentations transforms whose stream depends on (seed, epoch, picture) alone.

    Args:
        transforms: albumentations transforms, applied in order.
        seed: Decides every stream.

    Raises:
        ValueError: If a transform was given an argument that it does not know.
    """

    def __init__(self, transforms: Sequence[Transform], seed: int) -> None:
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
            epoch: 0 for copies that are drawn once.
            picture: Position in a table of pictures; gives each picture a stream of its own.

        Returns:
            (H, W) uint8.
        """
        # One pair of generators for the whole chain: a seed given to Compose would start every transform on the
        # same stream, and correlate them.
        self.transforms.set_random_state(
            np.random.default_rng((self.seed, epoch, picture)),
            random.Random(f"{self.seed}/{epoch}/{picture}"),
        )
        return self.transforms(image=image[:, :, np.newaxis])["image"].reshape(image.shape)


class Augmentation:
    """What becomes of a training face: ``copies`` pictures of it in an epoch.

    With ``keep_original`` the first of them is the face as it is; every other one is augmented, once before
    training or, with ``online``, anew each epoch.

    Args:
        transforms: albumentations transforms, applied in order.
        copies: Pictures of each face in an epoch.
        keep_original: Whether the first picture stays as it is.
        online: Whether augmented pictures are drawn anew each epoch.
        seed: Decides every stream.
    """

    def __init__(
        self,
        transforms: Sequence[Transform],
        copies: int,
        keep_original: bool,
        online: bool,
        seed: int,
    ) -> None:
        self.chain = Chain(transforms, seed)
        self.copies = copies
        self.online = online
        # Pictures stand copy by copy, so these many copies come before the first augmented one.
        self.plain_copies = (1 if keep_original else 0) if len(self.chain) else copies


class Cover(albumentations.ImageOnlyTransform):
    """Cover the same part of every picture with one grey; the patches of albumentations lie anywhere.

    Args:
        left: Where it begins, as a share of the width.
        right: Where it ends.
        top: Where it begins, as a share of the height.
        bottom: Where it ends.
        fill: The grey, 0 to 255.
        p: Share of the pictures that are covered.
    """

    def __init__(self, left: float, right: float, top: float, bottom: float, fill: int, p: float) -> None:
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


def _check_arguments(transform: Transform) -> None:
    """Refuse what albumentations itself only warns of, and then ignores."""
    if isinstance(transform, albumentations.BaseCompose):  # OneOf and the like
        for part in transform.transforms:
            _check_arguments(part)
    elif transform.invalid_args:
        names = ", ".join(transform.invalid_args)
        raise ValueError(f"Argument(s) '{names}' are not valid for transform {type(transform).__name__}")
