"""Model: a trained network that classifies pictures, loaded from a checkpoint, a bundle or an ONNX file."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
from PIL import Image

from fer_lightning.data.decoding import flatten, open_upright, reason, to_face
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import to_distance
from fer_lightning.names import printable
from fer_lightning.runs.checkpoints import PRETRAINED, checkpoint_file
from fer_lightning.runs.description import Description
from fer_lightning.use.answers import BATCH, Answers, Backend, defect
from fer_lightning.use.detectors import Box, Detector, WholePicture, named_detector

log = logging.getLogger(__name__)

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
    neighbours: tuple[Neighbour, ...] | None = field(repr=False)  # that decided, nearest first; None without a gallery
    abstained: bool  # because the neighbours disagree or are far
    face: np.ndarray = field(compare=False, repr=False)  # (H, W) uint8, as the network sees it
    embedding: np.ndarray = field(compare=False, repr=False)  # (D,) float32, norm 1
    box: Box | None = None  # of the face in its picture; None if the picture was taken as the face
    track: int | None = None  # number of the followed face of a video, from 1
    smoothed_votes: Mapping[str, float] | None = None  # over time; they decide label, confidence and abstained

    @property
    def decisive_votes(self) -> Mapping[str, float]:
        """Votes that decide the label: the smoothed ones if there are any."""
        return self.smoothed_votes or self.votes

    @property
    def distance(self) -> float | None:
        """Euclidean distance, 0 to 2, to the embedding of the nearest training face."""
        return float(to_distance(np.array(self.neighbours[0].similarity))) if self.neighbours else None


class Model:
    """A trained network, ready to predict.

    Args:
        backend: The network.
        description: Its classes and preprocessing.
        detector: Finds the faces in the pictures of ``analyze``.
        path: Its file or folder.
    """

    def __init__(
        self,
        backend: Backend,
        description: Description,
        detector: Detector | None = None,
        path: Path | None = None,
    ) -> None:
        self.backend = backend
        self.path = path
        self.source = "the model"  # for messages: the option and path that gave it
        self.detector = detector or WholePicture()
        self.description = description
        self.classes: Sequence[str] = description.classes
        self.image_size = description.image_size
        self.calibration = description.calibration

    def __repr__(self) -> str:
        """Return the file with its size, the classes, the accuracy and the detector, for people."""
        parts = [f"{len(self.classes)} classes ({', '.join(self.classes)})"]
        if self.path is not None:
            files = [self.path] if self.path.is_file() else self.path.glob("*")
            parts.insert(0, f"{self.path}, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")
        parts.append(self.tested)
        parts.append(f"faces of {self.image_size} x {self.image_size} pixels")
        return f"Model({'; '.join([*parts, self.detector.note])})"

    @property
    def tested(self) -> str:
        """Accuracy on the test faces of its run, in words."""
        return printable(self.description.origin.get("tested", "accuracy not known"))

    @overload
    def predict(self, pictures: Iterator[Picture], batch_size: int = BATCH) -> Iterator[Prediction]: ...
    @overload
    def predict(self, pictures: Sequence[Picture] | np.ndarray, batch_size: int = BATCH) -> list[Prediction]: ...
    def predict(self, pictures: Iterable[Picture], batch_size: int = BATCH) -> Iterator[Prediction] | list[Prediction]:
        """Return a prediction for each picture: a list, or an iterator for an iterator, such as a camera's frames.

        A picture is taken as one face. An iterator is read one batch ahead of the predictions, so it may be endless.

        Args:
            pictures: Arrays (H, W) or (H, W, 3) uint8 in the order red, green, blue (OpenCV's is the reverse), pictures
                of Pillow, or paths of picture files.
            batch_size: Faces that are computed at once. It changes speed and memory, no prediction.

        Raises:
            UserError: If a picture cannot be read.
        """
        if isinstance(pictures, str | Path | Image.Image) or _is_picture(pictures):
            raise UserError("predict takes a list of pictures: write predict([picture])")
        predictions = self.predict_faces(map(self.face, pictures), batch_size)
        return predictions if isinstance(pictures, Iterator) else list(predictions)

    def analyze(self, picture: Picture, batch_size: int = BATCH) -> list[Prediction]:
        """Return a prediction for each face that the detector finds in a picture, from left to right.

        Args:
            picture: Array (H, W) or (H, W, 3) uint8 in the order red, green, blue, a picture of Pillow, or a path.
            batch_size: As in ``predict``.

        Raises:
            UserError: If the picture cannot be read.
        """
        faces = self.find(open_picture(picture))
        predictions = self.predict_faces((face for _, face in faces), batch_size)
        return [replace(prediction, box=box) for (box, _), prediction in zip(faces, predictions, strict=True)]

    def find(self, picture: Image.Image) -> list[tuple[Box | None, np.ndarray]]:
        """Return the box of each face in an 8-bit picture, and the face (H, W) uint8 of ``image_size``."""
        return [(box, to_face(face, self.image_size, [])) for box, face in self.detector(picture)]

    def predict_faces(self, faces: Iterable[np.ndarray], batch_size: int) -> Iterator[Prediction]:
        """Yield a prediction for each face (H, W) uint8 of ``image_size``; read one batch of faces ahead."""
        remaining = iter(faces)
        while batch := list(islice(remaining, batch_size)):
            yield from self._predictions(batch, self.answer(np.stack(batch), batch_size))

    def face(self, picture: Picture) -> np.ndarray:
        """Return a picture as a face (H, W) uint8 of ``image_size``, converted as in training."""
        return to_face(open_picture(picture), self.image_size, [])

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
            raise UserError(f"{self.source} is damaged or no model of fer_lightning: its {flaw}")
        return answers._replace(votes=self.calibration.probabilities(answers.votes))

    def _predictions(self, faces: Sequence[np.ndarray], answers: Answers) -> Iterator[Prediction]:
        confidence = answers.votes[np.arange(len(answers.labels)), answers.labels]
        distances = None if answers.similarities is None else to_distance(answers.similarities[:, 0])
        abstained = self.calibration.abstains(confidence, distances).tolist()
        for row, label in enumerate(answers.labels):
            votes = dict(zip(self.classes, answers.votes[row].tolist(), strict=True))
            name, neighbours = self.classes[label], self._neighbours(answers, row)
            yield Prediction(name, votes, votes[name], neighbours, abstained[row], faces[row], answers.embeddings[row])

    def _neighbours(self, answers: Answers, row: int) -> tuple[Neighbour, ...] | None:
        if answers.neighbours is None or answers.neighbour_labels is None or answers.similarities is None:
            return None
        columns = (answers.neighbours[row], answers.neighbour_labels[row], answers.similarities[row])
        names = self.description.gallery
        return tuple(
            Neighbour(position, names[position] if position < len(names) else "", self.classes[label], similarity)
            for position, label, similarity in zip(*(column.tolist() for column in columns), strict=True)
        )


def _is_picture(values: object) -> bool:
    """Return whether the values are an array with the shape of one picture, grey or with three or four channels."""
    return isinstance(values, np.ndarray) and (values.ndim == 2 or values.shape[2:] in ((3,), (4,)))


def open_picture(picture: Picture) -> Image.Image:
    """Return a picture decoded, upright, grey or colour, 8 bits.

    Raises:
        UserError: If it cannot be read, or has no pixels.
    """
    try:
        if isinstance(picture, str | Path):
            with open(picture, "rb") as file:
                opened = open_upright(file, [])
        elif isinstance(picture, np.ndarray):
            if picture.dtype != np.uint8 or not _is_picture(picture):
                raise ValueError(f"{picture.dtype} of {picture.shape}, not uint8 of (H, W) or (H, W, 3)")
            opened = Image.fromarray(picture)
        else:
            opened = picture
        if not all(opened.size):
            raise ValueError("no pixels")
        return flatten(opened)
    except Exception as error:  # decoders raise almost anything on damaged files
        name = picture if isinstance(picture, str | Path) else "what was given"
        raise UserError(f"{name} is no picture that can be read: {reason(error)}") from error


def load_model(path: str | Path = PRETRAINED, detector: Detector | str | None = None) -> Model:
    """Return the model of a checkpoint (.ckpt), of a bundle's folder or of an ONNX file, on the CPU.

    Args:
        path: The checkpoint, bundle or ONNX file; by default the network that comes with the package.
        detector: Finds the faces for ``analyze``: a detector, or its name in conf/detector, such as "yuface". By
            default each picture is taken as one face.

    Raises:
        UserError: If the file is missing, damaged, of a newer version, or names code to run.
    """
    if isinstance(detector, str):
        detector = named_detector(detector)
    if Path(path).suffix.lower() == ".onnx":
        from fer_lightning.use.onnx_model import read_onnx

        return _tried(Model(*read_onnx(Path(path)), detector, Path(path)), path)
    from fer_lightning.use.bundles import TorchBackend, read_checkpoint  # these import torch

    network, description = read_checkpoint(path)
    return _tried(Model(TorchBackend(network), description, detector, checkpoint_file(str(path), "checkpoint")), path)


def _tried(model: Model, path: str | Path) -> Model:
    """Classify an empty face to see that the parts fit, then return the model.

    Warn if its classifier has only a draw of the training faces.

    Raises:
        UserError: If its parts do not fit, or its answer is none that a whole network gives.
    """
    model.source = f"checkpoint={path}"
    try:
        model.answer(np.zeros((1, model.image_size, model.image_size), np.uint8))
    except UserError:
        raise
    except Exception as error:  # a stranger's model may raise anything
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"checkpoint={path} cannot judge a face ({line:.200}): give another, or export it again"
        ) from error
    if draw := model.description.origin.get("draw"):
        log.warning("%s: %s", model.source, printable(draw))
    return model
