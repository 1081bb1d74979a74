"""Chains of transforms: one random stream a picture, and the pixels of albumentations."""

import copy
import random

import albumentations
import numpy as np
import pytest
from hydra.errors import InstantiationException

from fer_lightning.config.instantiation import instantiate
from fer_lightning.data.augmentation import Augmentation, Chain

FACE = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)


@pytest.fixture
def paper(make_cfg):
    return instantiate(make_cfg().augmentation)


def test_stream_depends_on_seed_epoch_and_picture_alone(paper, make_cfg):
    first = paper.chain(FACE, 3, 7)
    paper.chain(FACE, 1, 1)  # what was drawn before changes nothing
    assert np.array_equal(first, paper.chain(FACE, 3, 7))
    assert not np.array_equal(first, paper.chain(FACE, 4, 7))
    assert not np.array_equal(first, paper.chain(FACE, 3, 8))
    assert not np.array_equal(first, instantiate(make_cfg("seed=1").augmentation).chain(FACE, 3, 7))


def test_transforms_of_one_chain_are_independent():
    flips = Chain([albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)], seed=0)
    seen = {flips(FACE, 0, picture).tobytes() for picture in range(64)}
    assert len(seen) == 4  # each of the two on and off: one shared stream would give two


@pytest.mark.parametrize(
    "transforms",
    [
        *("paper", "strong", "figure7", "occlusion"),
        [
            albumentations.Affine(translate_percent=0.2, shear=(-9, 9), scale=(0.7, 1.3), rotate=90, fill=77, p=0.6),
            albumentations.Affine(scale={"x": (0.5, 1.5), "y": (0.9, 1.1)}, interpolation=0, p=1),
            albumentations.Affine(scale=(0.5, 1.5), balanced_scale=True, keep_ratio=True, border_mode=4, p=1),
            albumentations.Rotate(limit=180, interpolation=2, p=0.5),
        ],
        [
            albumentations.Affine(rotate=45, fit_output=True, p=1),
            albumentations.Rotate(limit=45, crop_border=True, p=1),
            albumentations.OneOf([albumentations.Rotate(p=1), albumentations.Affine(scale=0.9, p=1)], p=0.9),
            albumentations.RandomBrightnessContrast(),
            albumentations.Resize(48, 48),
        ],
    ],
    ids=str,
)
def test_pictures_are_those_of_albumentations_alone(transforms, make_cfg):
    if isinstance(transforms, str):
        transforms = instantiate(make_cfg(f"augmentation={transforms}").augmentation.transforms)
    chain, plain = Chain(transforms, seed=3), albumentations.Compose(copy.deepcopy(transforms))
    for picture in range(40):
        plain.set_random_state(np.random.default_rng((3, 2, picture)), random.Random(f"3/2/{picture}"))
        expected = plain(image=FACE[:, :, np.newaxis])["image"][:, :, 0]
        assert np.array_equal(chain(FACE, 2, picture), expected)
        chain = copy.deepcopy(chain)  # as a process that is spawned gets it


def test_copies_that_stay_as_they_are_are_counted():
    def plain_copies(transforms, keep_original):
        return Augmentation(transforms, 3, keep_original, online=False, device="auto", seed=0).plain_copies

    flip = [albumentations.HorizontalFlip(p=1)]
    assert plain_copies(flip, keep_original=True) == 1
    assert plain_copies(flip, keep_original=False) == 0
    assert plain_copies([], keep_original=False) == 3  # nothing to do to them


def test_figure7_turns_by_45_degrees_and_shifts_right_and_down(make_cfg):
    figure7 = instantiate(make_cfg("augmentation=figure7").augmentation)
    dot = np.zeros((48, 48), np.uint8)
    dot[22:26, 22:26] = 255  # the centre stays the centre when turned
    rows, columns = np.nonzero(figure7.chain(dot, 0, 0) > 64)
    assert abs(rows.mean() - 33.5) <= 1
    assert abs(columns.mean() - 28.5) <= 1


def test_strong_flips_half_of_the_faces_and_erases_from_half(make_cfg):
    strong = instantiate(make_cfg("augmentation=strong").augmentation)
    assert (strong.online, strong.copies) == (True, 1)
    face = np.full((48, 48), 40, np.uint8)
    face[:, 24:] = 200
    drawn = np.stack([strong.chain(face, epoch, 0) for epoch in range(200)])
    flipped = drawn[:, :, :6].mean(axis=(1, 2)) > drawn[:, :, -6:].mean(axis=(1, 2))
    erased = (drawn == 127).sum(axis=(1, 2)) > 20
    assert 70 <= flipped.sum() <= 130
    assert 70 <= erased.sum() <= 130
    assert not (drawn < 40).any()  # no black wedges
    assert np.array_equal(drawn[7], strong.chain(face, 7, 0))


@pytest.mark.filterwarnings("ignore:Argument")  # albumentations goes on after it
def test_unknown_argument_is_an_error(make_cfg):
    cfg = make_cfg("+augmentation.transforms.0.lmit=3")
    with pytest.raises(InstantiationException, match="'lmit' are not valid for transform Rotate"):
        instantiate(cfg.augmentation)
    with pytest.raises(ValueError, match="'lmit' are not valid for transform Rotate"):
        Chain([albumentations.OneOf([albumentations.NoOp(), albumentations.Rotate(lmit=3)])], seed=0)
