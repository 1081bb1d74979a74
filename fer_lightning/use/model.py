"""Model: a trained network that classifies pictures, loaded from a checkpoint, a bundle or an ONNX file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fer_lightning.data.decoding import open_upright, reason, to_face
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import to_distance
from fer_lightning.use.answers import BATCH, Answers, Backend, defect
from fer_lightning.use.description import Description

Picture = np.ndarray | Image.Image | str | Path


class Neighbour(NamedTuple):
    """Training face that decided about another face."""

    position: int  # row of the gallery
    name: str  # of its file in the training data; empty if unknown
    label: str
    similarity: float  # cosine


@dataclass(frozen=True)
class Prediction:
    """Prediction for one face. A vote is a probability if the model is calibrated, else a share of the vote."""

    label: str  # the winning class
    votes: Mapping[str, float]  # of every class, summing to 1
    confidence: float  # vote for the label
    neighbours: tuple[Neighbour, ...] | None  # training faces that decided, nearest first; None without a gallery
    abstained: bool  # because the neighbours disagree or are far

    @property
    def distance(self) -> float | None:
        """Euclidean distance, 0 to 2, to the embedding of the nearest training face."""
        return float(to_distance(np.array(self.neighbours[0].similarity))) if self.neighbours else None


class Model:
    """A trained network, ready to predict."""

    def __init__(self, backend: Backend, description: Description) -> None:
        self.backend = backend
        self.description = description
        self.classes: Sequence[str] = description.classes
        self.image_size = description.image_size
        self.calibration = description.calibration

    def predict(self, pictures: Iterable[Picture], batch_size: int = BATCH) -> list[Prediction]:
        """Return a prediction for each picture. A picture is taken as one face.

        Args:
            pictures: Arrays (H, W) or (H, W, 3) uint8, pictures of Pillow, or paths of picture files.
            batch_size: Faces that are computed at once. It changes speed and memory, no prediction.

        Raises:
            UserError: If a picture cannot be read.
        """
        if isinstance(pictures, str | Path | Image.Image):
            raise UserError("predict takes a list of pictures: write predict([picture])")
        return list(self.predict_faces(map(self.face, pictures), batch_size))

    def predict_faces(self, faces: Iterable[np.ndarray], batch_size: int) -> Iterator[Prediction]:
        """Yield a prediction for each face (H, W) uint8 of ``image_size``; read one batch of faces ahead."""
        remaining = iter(faces)
        while batch := list(islice(remaining, batch_size)):
            yield from self._predictions(self.answer(np.stack(batch), batch_size))

    def face(self, picture: Picture) -> np.ndarray:
        """Return a picture as a face (H, W) uint8 of ``image_size``, converted as in training."""
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
        """Return calibrated votes (N, C) float32 for faces (N, H, W) uint8 of ``image_size``."""
        return self.answer(faces).votes

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """Return embeddings (N, D) float32, norm 1, of faces (N, H, W) uint8 of ``image_size``."""
        return self.answer(faces).embeddings

    def answer(self, faces: np.ndarray, batch_size: int = BATCH) -> Answers:
        """Return answers with calibrated votes about faces (N, H, W) uint8 of ``image_size``.

        Raises:
            UserError: If the faces have another shape, or the answers are none that a whole network gives.
        """
        size = self.image_size
        if faces.dtype != np.uint8 or faces.shape[1:] != (size, size):
            raise UserError(f"faces are {faces.dtype} of {faces.shape}, not uint8 of (N, {size}, {size})")
        if not len(faces):
            answers = self.answer(np.zeros((1, size, size), np.uint8))
            return Answers._make(None if values is None else values[:0] for values in answers)
        answers = self.backend.answer(faces, batch_size)
        if flaw := defect(answers, len(faces), len(self.classes)):
            raise UserError(f"the model is damaged, or none of fer_lightning: its {flaw}")
        return answers._replace(votes=self.calibration.probabilities(answers.votes))

    def _predictions(self, answers: Answers) -> Iterator[Prediction]:
        confidence = answers.votes[np.arange(len(answers.labels)), answers.labels]
        distances = None if answers.similarities is None else to_distance(answers.similarities[:, 0])
        abstained = self.calibration.abstains(confidence, distances).tolist()
        for row, label in enumerate(answers.labels):
            votes = dict(zip(self.classes, answers.votes[row].tolist(), strict=True))
            name = self.classes[label]
            yield Prediction(name, votes, votes[name], self._neighbours(answers, row), abstained[row])

    def _neighbours(self, answers: Answers, row: int) -> tuple[Neighbour, ...] | None:
        if answers.neighbours is None or answers.neighbour_labels is None or answers.similarities is None:
            return None
        columns = (answers.neighbours[row], answers.neighbour_labels[row], answers.similarities[row])
        names = self.description.gallery
        return tuple(
            Neighbour(position, names[position] if position < len(names) else "", self.classes[label], similarity)
            for position, label, similarity in zip(*(column.tolist() for column in columns), strict=True)
        )


def load_model(path: str | Path) -> Model:
    """Return the model of a checkpoint (.ckpt), of a bundle's folder or of an ONNX file, on the CPU.

    Raises:
        UserError: If the file is missing, damaged, of a newer version, or names code to run.
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        from fer_lightning.use.onnx_model import read_onnx

        return _tried(Model(*read_onnx(path)), path)
    from fer_lightning.use.bundles import TorchBackend, read_bundle, read_checkpoint  # these import torch

    network, description = read_bundle(path) if path.is_dir() else read_checkpoint(path)
    return _tried(Model(TorchBackend(network), description), path)


def _tried(model: Model, path: Path) -> Model:
    """Return the model after an empty face, which shows what its parts alone do not.

    Raises:
        UserError: If its parts do not fit, or its answer is none that a whole network gives.
    """
    try:
        model.answer(np.zeros((1, model.image_size, model.image_size), np.uint8))
    except Exception as error:  # a stranger's model may raise anything
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"checkpoint={path} cannot judge a face ({line:.200}): give another, or export it again"
        ) from error
    return model
