"""A trained network as one object that classifies pictures, wherever it was loaded from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from fer_lightning.data.decoding import open_upright, reason, to_face
from fer_lightning.errors import UserError
from fer_lightning.models.certainty import to_distance
from fer_lightning.use.description import Description

BATCH = 32  # faces that are computed at once unless told: they fit a core's cache, 128 take 1.7 times as long each
Picture = np.ndarray | Image.Image | str | Path


class Answers(NamedTuple):
    """What a backend says of N faces; the last three are None where no single faces decide."""

    labels: np.ndarray  # (N,) int64
    votes: np.ndarray  # (N, C) float32, shares of the vote; a Model makes them probabilities
    embeddings: np.ndarray  # (N, D) float32, norm 1
    neighbours: np.ndarray | None = None  # (N, K) int64, rows of the gallery, nearest first
    similarities: np.ndarray | None = None  # (N, K) float64, cosine
    neighbour_labels: np.ndarray | None = None  # (N, K) int64


class Backend(Protocol):
    """What computes: the network in torch, or an ONNX model."""

    def answer(self, faces: np.ndarray, batch_size: int) -> Answers:
        """Return what is said of faces (N, H, W) uint8, of which so many are embedded at once."""


class Neighbour(NamedTuple):
    """A training face that decided about another."""

    position: int  # row of the gallery
    name: str  # of its file in the training's data; empty where it is not known
    label: str
    similarity: float  # cosine


@dataclass(frozen=True)
class Prediction:
    """What is said of one face.

    Attributes:
        label: The winning class.
        votes: Of every class, summing to 1: a probability where the model is calibrated, else its share of the vote.
        confidence: Vote for ``label``.
        neighbours: The training faces that decided, nearest first; None where no single faces do.
        abstained: Whether the model would rather not say: the neighbours disagree, or are far.
    """

    label: str
    votes: Mapping[str, float]
    confidence: float
    neighbours: tuple[Neighbour, ...] | None
    abstained: bool

    @property
    def distance(self) -> float | None:
        """Euclidean distance of the embedding from that of the nearest training face, 0 to 2."""
        return float(to_distance(np.array(self.neighbours[0].similarity))) if self.neighbours else None


class Model:
    """A trained network, ready to predict.

    Args:
        backend: What computes.
        description: What the model says of itself.
    """

    def __init__(self, backend: Backend, description: Description) -> None:
        self.backend = backend
        self.description = description
        self.classes: Sequence[str] = description.classes
        self.image_size = description.image_size
        self.calibration = description.calibration

    def predict(self, pictures: Iterable[Picture], batch_size: int = BATCH) -> list[Prediction]:
        """Return what is said of each picture, which is taken as one face.

        Args:
            pictures: Arrays (H, W) or (H, W, 3) uint8, Pillow's pictures, or paths of picture files.
            batch_size: Faces that are computed at once; changes speed and memory, no answer.

        Raises:
            UserError: If one is no picture.
        """
        if isinstance(pictures, str | Path | Image.Image):
            raise UserError("predict takes a list of pictures: write predict([picture])")
        return list(self.predict_faces(map(self.face, pictures), batch_size))

    def predict_faces(self, faces: Iterable[np.ndarray], batch_size: int) -> Iterator[Prediction]:
        """Yield what is said of each of some faces (H, W) uint8 of ``image_size``, reading a batch of them ahead."""
        remaining = iter(faces)
        while batch := list(islice(remaining, batch_size)):
            yield from self._tell(self.answer(np.stack(batch), batch_size))

    def face(self, picture: Picture) -> np.ndarray:
        """Return a picture as the training has seen faces: (H, W) uint8 of ``image_size``."""
        try:
            if isinstance(picture, str | Path):
                with open(picture, "rb") as file:
                    return to_face(open_upright(file, []), self.image_size, [])
            if isinstance(picture, np.ndarray):
                if picture.dtype != np.uint8 or not (picture.ndim == 2 or picture.shape[2:] in ((3,), (4,))):
                    raise ValueError(f"{picture.dtype} of {picture.shape}, not uint8 of (H, W) or (H, W, 3)")
                picture = Image.fromarray(picture)
            return to_face(picture, self.image_size, [])
        except Exception as error:  # decoders raise almost anything on damaged files
            name = picture if isinstance(picture, str | Path) else "what was given"
            raise UserError(f"{name} is no picture that can be read: {reason(error)}") from error

    def votes(self, faces: np.ndarray) -> np.ndarray:
        """Return the votes (N, C) float32, calibrated, for faces (N, H, W) uint8 of ``image_size``."""
        return self.answer(faces).votes

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """Return the embeddings (N, D) float32, norm 1, of faces (N, H, W) uint8 of ``image_size``."""
        return self.answer(faces).embeddings

    def answer(self, faces: np.ndarray, batch_size: int = BATCH) -> Answers:
        """Return all that is said of faces (N, H, W) uint8 of ``image_size``, N at least 1."""
        size = self.image_size
        if faces.dtype != np.uint8 or faces.shape[1:] != (size, size) or not len(faces):
            raise UserError(f"faces are {faces.dtype} of {faces.shape}, not uint8 of (N, {size}, {size})")
        answers = self.backend.answer(faces, batch_size)
        return answers._replace(votes=self.calibration.probabilities(answers.votes))

    def _name(self, position: int) -> str:
        names = self.description.gallery
        return names[position] if position < len(names) else ""

    def _tell(self, answers: Answers) -> Iterator[Prediction]:
        confidence = answers.votes[np.arange(len(answers.labels)), answers.labels]
        distances = None if answers.similarities is None else to_distance(answers.similarities[:, 0])
        abstained = self.calibration.abstains(confidence, distances).tolist()
        for row, label in enumerate(answers.labels):
            votes = dict(zip(self.classes, answers.votes[row].tolist(), strict=True))
            name, near = self.classes[label], None
            if answers.neighbours is not None:
                columns = (answers.neighbours, answers.neighbour_labels, answers.similarities)
                found = zip(*(column[row].tolist() for column in columns if column is not None), strict=True)
                near = tuple(
                    Neighbour(at, self._name(at), self.classes[kind], likeness) for at, kind, likeness in found
                )
            yield Prediction(name, votes, votes[name], near, abstained[row])


def load_model(path: str | Path) -> Model:
    """Return the model of a checkpoint (.ckpt), of a bundle's folder or of an ONNX file, on the CPU.

    Raises:
        UserError: If there is none, or it is damaged, of a newer version, or names code to run.
    """
    place = Path(path)
    if place.suffix.lower() == ".onnx":
        from fer_lightning.use.session import read_onnx

        return Model(*read_onnx(place))
    from fer_lightning.use.networks import TorchBackend, read_bundle, read_checkpoint  # these import torch

    network, description = read_bundle(place) if place.is_dir() else read_checkpoint(place)
    return Model(TorchBackend(network), description)
