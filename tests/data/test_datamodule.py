"""The datamodule: loaders in the order of the partition, sizes, and a protocol of one's own."""

from dataclasses import replace

import numpy as np
import torch
from hydra.utils import instantiate

from fer_lightning.data.protocols import folder


class Reversed:
    """A protocol that is neither a function nor a functools.partial: the archive's folders change their parts."""

    def __call__(self, faces, twins):
        parts = folder(faces, twins)
        return replace(parts, protocol="reversed", train=parts.test, gallery=parts.test, test=parts.train)


def test_loaders_give_the_partition_in_order(make_cfg):
    cfg = make_cfg("augmentation=none")
    datamodule = instantiate(cfg.data)
    datamodule.trainer = instantiate(cfg.trainer)
    parts = datamodule.partition
    assert parts.protocol == "honest"
    for loader, rows in zip(
        [*datamodule.val_dataloader(), datamodule.test_dataloader()],
        [parts.gallery, parts.validation, parts.test],
        strict=True,
    ):
        batches = list(loader)
        assert torch.cat([batch.rows for batch in batches]).tolist() == rows.tolist()
        assert torch.cat([batch.labels for batch in batches]).tolist() == parts.faces.labels[rows].tolist()
    first = batches[0].images[0, 0].double()
    np.testing.assert_allclose(first * 127.5 + 127.5, parts.faces.images[rows[0]], atol=1e-4)


def test_a_protocol_of_ones_own_gives_the_parts(make_cfg):
    own = ("protocol=folder", "protocol._target_=tests.data.test_datamodule.Reversed", "protocol._partial_=false")
    parts = instantiate(make_cfg(*own).data).partition
    assert (parts.protocol, len(parts.test)) == ("reversed", 150)


def test_augmented_faces_have_the_size_of_the_data(make_cfg):
    face = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    chains = [
        instantiate(make_cfg("data.image_size=64", f"augmentation={choice}").augmentation).chain
        for choice in ("paper", "figure7", "occlusion")
    ]
    chains += instantiate(make_cfg("data.image_size=64", "protocol=paper").protocol).keywords["pictures"].values()
    assert len(chains) == 8
    for chain in chains:
        assert chain(face, 0, 0).shape == (64, 64)
