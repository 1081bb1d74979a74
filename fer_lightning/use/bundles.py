"""Networks in torch: read from checkpoints and bundles, written as bundles, run on faces. Imports no Lightning."""

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from fer_lightning.config.nodes import Role, role
from fer_lightning.data.classes import classes_of
from fer_lightning.data.pictures import scale
from fer_lightning.errors import UserError
from fer_lightning.files import write_text
from fer_lightning.models.calibration import read_calibration
from fer_lightning.models.network import Network
from fer_lightning.runs import checkpoints
from fer_lightning.runs.command import key
from fer_lightning.runs.description import CONFIG, WEIGHTS, Description, read_gallery, seal
from fer_lightning.runs.rebuilding import part_config, rebuild
from fer_lightning.runs.record import read_tested
from fer_lightning.use.answers import BATCH, Answers
from fer_lightning.words import counted, percent

PLACES = {"data.root", "data.labels", "data.votes", "data.corrections"}  # options that hold paths


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


def read_checkpoint(path: Path | str) -> tuple[Network, Description]:
    """Return the network and the description of a checkpoint or a bundle.

    Raises:
        UserError: As ``runs.checkpoints.load`` and ``runs.rebuilding.rebuild``.
    """
    source = f"checkpoint={path}"
    checkpoint = checkpoints.load(str(path), "checkpoint")
    record = checkpoint[checkpoints.KEY]
    network, classes = rebuild(checkpoint, source, Network), classes_of(record, source)
    if len(classes) != network.classifier.num_classes:
        raise UserError(
            f"{source} is damaged: it names {len(classes)} classes, and its classifier votes for "
            f"{network.classifier.num_classes}"
        )
    if isinstance(checkpoint.get("description"), Description):
        return network, checkpoint["description"]
    if not isinstance(record.get("image_size"), int):
        raise UserError(f"{source} is damaged: it names no image_size")
    origin = {key: str(record[key]) for key in ("version", "code", "data", "data_fingerprint", "draw") if key in record}
    if past := record.get("past"):
        origin["past"] = ", ".join(training["name"] for training in past)
    with suppress(UserError):  # a damaged record of the run is no reason to refuse its network
        tested = read_tested(path, checkpoints.fingerprint(network.state_dict()))
        if accuracy := tested.figures.get("test/accuracy"):
            origin["tested"] = in_words(accuracy, tested.test_faces or 0, tested.leaks)
    return network, Description(
        classes=classes,
        image_size=record["image_size"],
        embedder=part_config("embedder", checkpoint, source),
        classifier=part_config("classifier", checkpoint, source),
        mirrored=network.mirrored,
        origin=origin,
        gallery=read_gallery(record),
        overrides=_portable(record.get("overrides")),
        calibration=read_calibration(checkpoint, source),
    )


def in_words(accuracy: float, faces: int, leaks: str | None) -> str:
    """Return an accuracy on test faces, and whether it is honest or leaky; ``leaks`` is None if that is not known."""
    honesty = "" if leaks is None else ", leaky" if leaks else ", honest"
    return f"accuracy {percent(accuracy)} of {counted(faces, 'test face')}{honesty}"


def _portable(overrides: object) -> tuple[str, ...] | None:
    """Return the options that define a network and its faces, with names of files and folders in place of paths."""
    if not isinstance(overrides, list):
        return None
    options = [option for option in map(str, overrides) if role(key(option)) <= Role.RESULT]
    return tuple(re.sub(r"[^=\[,'\"]*/", "", option) if key(option) in PLACES else option for option in options)


def write_bundle(folder: Path, network: Network, description: Description, card: str) -> None:
    """Write a network as a folder: weights with the gallery, config.json, README.md.

    Where half precision can hold every number exactly, the weights are written in half precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    halves = halved(tensors)
    if all(torch.equal(half.to(tensors[name].dtype), tensors[name]) for name, half in halves.items()):
        tensors = halves
    weights = save(tensors)
    (folder / WEIGHTS).write_bytes(weights)
    origin = {**description.origin, "weights": hashlib.sha256(weights).hexdigest()}
    text = replace(description, origin=origin).with_room().to_json().encode()
    write_text(folder / CONFIG, seal(text + weights)[: len(text)].decode())
    write_text(folder / "README.md", card)


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by name, those of floating-point numbers in half precision."""
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
