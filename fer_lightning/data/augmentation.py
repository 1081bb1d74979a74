"""Augmentation of training faces; the only module that knows albumentations."""

import random
import warnings
from collections.abc import Sequence

import albumentations
import numpy as np

# albumentations only warns of an argument that it does not know, and then ignores it.
warnings.filterwarnings("error", message="Argument.* not valid", category=UserWarning)


class Augmentation:
    """A chain of albumentations transforms whose stream depends on (seed, epoch, picture) alone.

    A training face stands ``copies`` times in the training table. With ``keep_original`` the first of them is
    the face as it is; every other one is augmented, once before training or, with ``online``, anew each epoch.

    Args:
        transforms: albumentations transforms, applied in order.
        copies: Pictures of each face in an epoch.
        keep_original: Whether the first picture stays as it is.
        online: Whether augmented pictures are drawn anew each epoch.
        seed: Of every stream.
    """

    def __init__(
        self,
        transforms: Sequence[albumentations.BasicTransform],
        copies: int,
        keep_original: bool,
        online: bool,
        seed: int,
    ) -> None:
        self.chain = albumentations.Compose(list(transforms))
        self.copies = copies
        self.keep_original = keep_original
        self.online = online
        self.seed = seed

    def augments(self, copy: int) -> bool:
        """Return whether pictures number ``copy`` (0 to ``copies`` - 1) are augmented."""
        return bool(self.chain.transforms) and not (copy == 0 and self.keep_original)

    def __call__(self, image: np.ndarray, epoch: int, picture: int) -> np.ndarray:
        """Return an augmented copy of one face.

        Args:
            image: (H, W) uint8.
            epoch: 0 for copies that are drawn once.
            picture: Position in the training table; gives each picture a stream of its own.

        Returns:
            (H, W) uint8.
        """
        # One pair of generators for the whole chain: a seed given to Compose would start every transform on the
        # same stream, and correlate them.
        self.chain.set_random_state(
            np.random.default_rng((self.seed, epoch, picture)),
            random.Random(f"{self.seed}/{epoch}/{picture}"),
        )
        return self.chain(image=image[:, :, np.newaxis])["image"].reshape(image.shape)
