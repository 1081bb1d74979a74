"""Pictures that a device renders: the draws of albumentations, and its pixels within a grey level."""

import albumentations
import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from fer_lightning.data.augmentation import Chain, Cover
from fer_lightning.data.demo import draw_faces
from fer_lightning.data.rendering import render, resize, size_at, unchanged
from fer_lightning.errors import UserError
from tests.conftest import ROOT

SHAPE = (48, 48)
NAMES = {path.stem for path in (ROOT / "conf" / "augmentation").glob("*.yaml")}
OTHERS = [
    albumentations.Affine(translate_percent=0.2, shear=(-9, 9), scale=(0.7, 1.3), rotate=90, fill=77, p=0.6),
    albumentations.RandomResizedCrop(size=SHAPE, scale=(0.3, 1.0), p=0.5),
    Cover(left=0.2, right=0.6, top=0.0, bottom=0.3, fill=9, p=0.5),
    albumentations.CoarseDropout(num_holes_range=(1, 3), hole_height_range=(3, 9), hole_width_range=(3, 9), fill=50),
    albumentations.HorizontalFlip(p=0.5),
]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return draw_faces(100, 0, 0, 48).images


@pytest.mark.parametrize("name", [*sorted(NAMES - {"none"}), OTHERS])
def test_pictures_are_those_of_albumentations(make_cfg, images, name):
    transforms = instantiate(make_cfg(f"augmentation={name}").augmentation.transforms) if name is not OTHERS else OTHERS
    chain = Chain(transforms, seed=3)
    steps = chain.steps(SHAPE)
    draws = [chain.draw(steps, SHAPE, 2, picture) for picture in range(len(images))]
    rendered = render(torch.tensor(images), torch.tensor(draws), steps).numpy()
    expected = np.stack([chain(image, 2, picture) for picture, image in enumerate(images)])
    assert np.abs(rendered - expected.astype(float)).mean(axis=(1, 2)).max() <= 1  # of each picture
    assert np.abs(rendered - expected.astype(float)).mean() <= 0.25
    assert np.array_equal(rendered, rendered.round())
    plain = torch.tensor([unchanged(steps)] * len(images))
    assert np.array_equal(render(torch.tensor(images), plain, steps).numpy(), images)


@pytest.mark.parametrize(
    "transform",
    [
        albumentations.Rotate(interpolation=2),
        albumentations.Rotate(border_mode=4),
        albumentations.Rotate(crop_border=True),
        albumentations.RandomResizedCrop(size=(24, 24)),
        albumentations.CoarseDropout(fill="random"),
        albumentations.VerticalFlip(),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_what_a_device_cannot_render_albumentations_does(transform):
    assert Chain([albumentations.HorizontalFlip(), transform], seed=0).steps(SHAPE) is None


def test_training_renders_on_the_device(make_cfg, refusal):
    batches = {}
    for device in ("auto", "accelerator"):
        cfg = make_cfg(f"augmentation.device={device}")
        datamodule = instantiate(cfg.data)
        datamodule.trainer = instantiate(cfg.trainer)
        datamodule.setup("fit")
        batches[device] = next(iter(datamodule.train_dataloader()))
        if device == "accelerator":
            assert batches[device].images.shape == (16, 0)
        batches[device] = datamodule.on_after_batch_transfer(batches[device], 0)
    images = [255 / 2 * batch.images for batch in batches.values()]
    assert (images[0] - images[1]).abs().mean() <= 1
    assert torch.equal(batches["auto"].rows, batches["accelerator"].rows)
    datamodule.augmentation.chain = Chain([albumentations.VerticalFlip()], seed=0)
    with pytest.raises(UserError, match=r"use augmentation\.device=auto"):
        datamodule.train_dataloader()
    assert "needs mixing=none" in refusal("augmentation.device=accelerator", "mixing=mixup", "loss=softmax_smoothed")
    assert "needs augmentation.online=true" in refusal("augmentation.device=accelerator", "augmentation=figure7")


def test_training_pictures_grow(make_cfg, refusal):
    assert [size_at([32, 40, 48], epoch, 5) for epoch in range(6)] == [32, 32, 40, 40, 48, 48]
    assert [size_at([32, 40, 48], epoch, -1) for epoch in (0, 9)] == [48, 48]
    halves = resize(torch.tensor([[[[-1.0, 1.0]] * 2]]).repeat_interleave(8, 2).repeat_interleave(8, 3), 4)
    assert halves.shape == (1, 1, 4, 4)
    assert halves[0, 0, 0, [0, 3]].tolist() == pytest.approx([-1, 1])

    cfg = make_cfg("embedder=resnet48", "data.training_sizes=[16,32]", "trainer.max_epochs=4")
    datamodule = instantiate(cfg.data)
    datamodule.trainer = instantiate(cfg.trainer)
    datamodule.setup("fit")
    batch = next(iter(datamodule.train_dataloader()))
    assert datamodule.on_after_batch_transfer(batch, 0).images.shape == (16, 1, 16, 16)
    datamodule.trainer.fit_loop.epoch_progress.current.completed = 2
    datamodule.trainer.fit_loop.epoch_progress.current.processed = 2
    assert datamodule.on_after_batch_transfer(batch, 0).images.shape == (16, 1, 32, 32)
    faces = next(iter(datamodule.loader(datamodule.partition.validation)))
    assert datamodule.on_after_batch_transfer(faces, 0).images.shape[1:] == (1, *datamodule.faces.images.shape[1:])
    assert "needs embedder=resnet48:" in refusal("data.training_sizes=[32,48]")
