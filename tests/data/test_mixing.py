"""Mixing: pictures and targets by the same share, the same again for a resumed run, and none at the end."""

import pytest
import torch

from fer_lightning.data.mixing import mixup, no_mixing
from fer_lightning.data.pictures import Batch

LABELS = torch.tensor([0, 1, 2])
BATCH = Batch(torch.arange(3.0).reshape(3, 1, 1, 1), LABELS, torch.tensor([7, 8, 9]), LABELS)


def mix(batch=BATCH, epoch=0, batches=1.0):
    return mixup(batch, epoch, 5, alpha=1.0, batches=batches, plain_epochs=1, num_classes=3, seed=0)


def test_pictures_and_targets_are_mixed_by_the_same_share():
    mixed = mix()
    share = mixed.targets[0, 0].item()
    assert 0 < share < 1
    assert mixed.images.flatten().tolist() == pytest.approx([(1 - share) * 2, 1, share * 2])
    torch.testing.assert_close(mixed.targets, torch.tensor([[share, 0, 1 - share], [0, 1, 0], [1 - share, 0, share]]))
    assert torch.equal(mixed.labels, LABELS)
    again = mix(mixed)  # shares are mixed as well as classes
    assert again.targets[0, 0].item() == pytest.approx(share**2 + (1 - share) ** 2)


def test_targets_have_the_classes_of_the_model(make_cfg):
    cfg = make_cfg("mixing=mixup", "loss=softmax_smoothed", "data.map={disgust:null}")
    assert cfg.data.mixing.num_classes == cfg.loss.num_classes == 6


def test_the_share_depends_on_epoch_and_first_picture_alone():
    assert torch.equal(mix().targets, mix().targets)
    other = BATCH._replace(rows=torch.tensor([8, 7, 9]))
    assert len({mix().targets[0, 0].item(), mix(epoch=1).targets[0, 0].item(), mix(other).targets[0, 0].item()}) == 3


def test_a_run_without_an_end_mixes_all_epochs():
    endless = mixup(BATCH, 4, -1, alpha=1.0, batches=1.0, plain_epochs=1, num_classes=3, seed=0)
    assert 0 < endless.targets[0, 0].item() < 1


def test_plain_batches():
    for plain in (mix(epoch=4), mix(batches=0.0)):
        assert torch.equal(plain.images, BATCH.images)
        assert plain.targets.argmax(dim=1).tolist() == [0, 1, 2]
    assert no_mixing(BATCH, 0, 1) is BATCH
