"""The same training as people write it: a folder of pictures, albumentations for each of them, stock Lightning."""

from pathlib import Path

import albumentations
import cv2
import lightning
import numpy as np
import torch
from hydra.utils import instantiate
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder


def write(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write faces as a folder of PNG files."""
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        directory = folder / str(label)
        directory.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(directory / f"{row}.png"), image)


class Reader:
    """Make a tensor of a picture, augmented as in the paper or as it is; a class, so that workers can be handed it."""

    def __init__(self, image_size: int, augmented: bool) -> None:
        augmentation = [
            albumentations.Rotate(limit=(-15, 15), border_mode=1, p=1.0),
            albumentations.RandomResizedCrop(size=(image_size, image_size), scale=(0.8, 1.0), ratio=(0.9, 1.1), p=1.0),
            albumentations.Affine(translate_px={"x": (-4, 4), "y": (-4, 4)}, border_mode=1, p=1.0),
        ]
        tensor = [albumentations.Normalize(mean=0.5, std=0.5), albumentations.ToTensorV2()]
        self.chain = albumentations.Compose([*augmentation, *tensor] if augmented else tensor)

    def __call__(self, image):
        """Return (1, H, W) float32."""
        return self.chain(image=np.asarray(image.convert("L"))[..., np.newaxis])["image"]


def loader(folder: Path, image_size: int, batch_size: int, workers: int, augmented: bool = True) -> DataLoader:
    """Return batches of the pictures of a folder."""
    files = ImageFolder(folder, transform=Reader(image_size, augmented))
    return DataLoader(files, batch_size=batch_size, shuffle=True, drop_last=augmented, num_workers=workers)


class People(lightning.LightningModule):
    """The network, miner, loss and optimizer of a configuration, and nothing else."""

    def __init__(self, cfg) -> None:
        super().__init__()
        self.embedder, self.loss, self.miner = instantiate(cfg.embedder), instantiate(cfg.loss), instantiate(cfg.miner)
        self.optimizer = instantiate(cfg.optimizer)

    def training_step(self, batch, batch_idx):
        """Mine, lose, log."""
        images, labels = batch
        embeddings = self.embedder(images)
        loss = self.loss(embeddings, labels, self.miner(embeddings, labels))
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        """Return the configured optimizer."""
        return self.optimizer(self.parameters())

    @torch.no_grad()
    def embed(self, batches: DataLoader) -> torch.Tensor:
        """Return the embeddings of a folder's pictures."""
        self.eval()
        embeddings = torch.cat([self.embedder(images) for images, _ in batches])
        self.train()
        return embeddings
