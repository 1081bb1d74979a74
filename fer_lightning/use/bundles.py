"""Networks in torch: read from checkpoints and bundles, written as bundles, run on faces.

A bundle is read without unpickling. Nothing here imports Lightning.
"""

import hashlib
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from fer_lightning.config import CONF
from fer_lightning.config.overrides import allowed
from fer_lightning.data.classes import classes_of
from fer_lightning.data.pictures import scale
from fer_lightning.errors import UserError
from fer_lightning.files import write_text
from fer_lightning.models.calibration import read_calibration
from fer_lightning.models.network import Network
from fer_lightning.runs import checkpoints
from fer_lightning.runs.rebuilding import part_config, rebuild
from fer_lightning.runs.record import read_tested
from fer_lightning.use.answers import BATCH, Answers
from fer_lightning.use.description import Description, is_whole, read_description, read_gallery, seal
from fer_lightning.words import counted, percent

WEIGHTS, CONFIG = "model.safetensors", "config.json"


class FaceReader(nn.Module):
    """Steps from pixels to votes as one module, for ONNX. The network is fitted and in evaluation mode."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> tuple[Tensor, ...]:
        """Return the fields of ``Answers`` for up to ``QUERIES`` faces (N, H, W) uint8."""
        embeddings = self.network(scale(faces))
        labels, votes, neighbours = self.network.classifier.classify(embeddings)
        return labels, votes, embeddings, *(neighbours or ())


class TorchBackend:
    """Backend that runs a network in torch. The network is fitted and in evaluation mode."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @torch.inference_mode()
    def answer(self, faces: np.ndarray, batch_size: int = BATCH) -> Answers:
        """Return the answers about faces (N, H, W) uint8; ``batch_size`` of them are embedded at once."""
        embeddings = self.embed(faces, batch_size)
        labels, votes, neighbours = self.network.classifier.decide(embeddings)
        return Answers(*(values.numpy() for values in (labels, votes, embeddings, *(neighbours or ()))))

    @torch.inference_mode()
    def embed(self, faces: np.ndarray, batch_size: int = BATCH) -> Tensor:
        """Return the embeddings (N, D) of faces (N, H, W) uint8."""
        return torch.cat([self.network(scale(batch)) for batch in torch.from_numpy(faces).split(batch_size)])


def read_checkpoint(path: Path) -> tuple[Network, Description]:
    """Return the network and the description of a checkpoint.

    Raises:
        UserError: As ``runs.checkpoints.load`` and ``runs.rebuilding.rebuild``.
    """
    source = f"checkpoint={path}"
    checkpoint = checkpoints.load(str(path), "checkpoint")
    record = checkpoint[checkpoints.KEY]
    network, classes = rebuild(checkpoint, source, Network), classes_of(record, source)
    _check_number(network, classes, source)
    embedder = part_config("embedder", checkpoint, source)
    origin = {key: str(record[key]) for key in ("version", "code", "data", "data_fingerprint", "draw") if key in record}
    with suppress(UserError):  # a damaged record of the run is no reason to refuse its network
        tested = read_tested(path, checkpoints.fingerprint(network.state_dict()))
        if accuracy := tested.figures.get("test/accuracy"):
            leaks = ", leaky" if tested.leaks else ""
            origin["tested"] = f"accuracy {percent(accuracy)} of {counted(tested.test_faces or 0, 'test face')}{leaks}"
    return network, Description(
        classes=classes,
        image_size=int(record.get("image_size") or _image_size(embedder, record["overrides"], source)),
        embedder=embedder,
        classifier=part_config("classifier", checkpoint, source),
        mirrored=network.mirrored,
        origin=origin,
        gallery=read_gallery(record),
        calibration=read_calibration(checkpoint, source),
    )


def write_bundle(folder: Path, network: Network, description: Description, card: str) -> None:
    """Write a network as a folder: weights with the gallery, config.json, README.md."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
    (folder / WEIGHTS).write_bytes(weights)
    origin = {**description.origin, "weights": hashlib.sha256(weights).hexdigest()}
    text = replace(description, origin=origin).with_room().to_json().encode()
    write_text(folder / CONFIG, seal(text + weights)[: len(text)].decode())
    write_text(folder / "README.md", card)


def read_bundle(folder: Path) -> tuple[Network, Description]:
    """Return the network and the description of a bundle.

    Raises:
        UserError: If a file is missing, damaged, of a newer format or of another bundle; or as ``rebuild``.
    """
    source = f"bundle {folder}"
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            best = folder / "checkpoints" / "best.ckpt"
            hint = f"give {best}" if best.is_file() else "give a folder that export format=bundle has written"
            raise UserError(f"{source} holds no {name}: {hint}")
    text, content = ((folder / name).read_bytes() for name in (CONFIG, WEIGHTS))
    text = text.replace(b"\r\n", b"\n")  # which git writes on Windows
    if not is_whole(text + content):
        raise UserError(f"{source} is damaged: the hash in {CONFIG} does not fit the two files; export it again")
    description = read_description(text.decode(errors="replace"), source)
    if hashlib.sha256(content).hexdigest() != description.origin.get("weights"):
        raise UserError(f"{source} is damaged: {WEIGHTS} is not the one that {CONFIG} describes; export it again")
    try:
        weights = load(content)
    except SafetensorError as error:
        raise UserError(f"{source} is damaged: {WEIGHTS} cannot be read ({error}); export it again") from error
    saved: dict[str, Any] = {"hyper_parameters": asdict(description), "state_dict": weights}
    network = rebuild(saved, source, Network)
    _check_number(network, description.classes, source)
    return network, description


def _check_number(network: Network, classes: tuple[str, ...], source: str) -> None:
    """Refuse a number of names that is not the classifier's number of classes."""
    if len(classes) != network.classifier.num_classes:
        raise UserError(
            f"{source} is damaged: it names {len(classes)} classes, and its classifier votes for "
            f"{network.classifier.num_classes}"
        )


def _image_size(embedder: dict[str, Any], overrides: list[str], source: str) -> int:
    """Return the face size of an old checkpoint: from its embedder, its overrides or the default."""
    if isinstance(embedder.get("image_size"), int):
        return embedder["image_size"]
    options = OverridesParser.create().parse_overrides(allowed(overrides, source))
    sizes = [option.value() for option in options if option.key_or_group == "data.image_size"]
    return int(str(sizes[-1])) if sizes else int(OmegaConf.load(CONF / "data" / "faces.yaml").image_size)
