"""A network as one ONNX model from uint8 faces to votes, and whether it says what the network says."""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fer_lightning.errors import UserError, install_command
from fer_lightning.models.classifiers import QUERIES
from fer_lightning.models.network import Network
from fer_lightning.use.description import Description
from fer_lightning.use.model import BATCH, Answers, Backend
from fer_lightning.use.networks import FaceReader
from fer_lightning.use.session import KEY

OPSET = 18
TOLERANCE = 1e-4  # of a vote
EDGE = 2**-18  # similarities that two libraries' float32 embeddings may bring into another order


def to_onnx(network: Network, image_size: int) -> bytes:
    """Return the ONNX model: "faces" (N, H, W) uint8 -> the fields of ``Answers``, by name.

    Raises:
        UserError: If the packages of the extra onnx are missing.
    """
    try:
        import onnx  # noqa: F401  torch exports by these two
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"format=onnx needs {error.name}: {install_command('onnx')}") from error
    reader = FaceReader(network).eval()
    example = torch.zeros(2, image_size, image_size, dtype=torch.uint8)
    with torch.inference_mode():
        names = list(Answers._fields[: len(reader(example))])
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):  # they tell of every step
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's, about itself
            program: Any = torch.onnx.export(
                reader,
                (example,),
                dynamo=True,
                input_names=["faces"],
                output_names=names,
                dynamic_shapes={"faces": {0: torch.export.Dim("N", min=1, max=QUERIES)}},
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter's own, which are many
        line = str(error).strip().partition("\n")[0]
        raise UserError(f"this network cannot be written as ONNX ({line:.200}): use format=bundle") from error
    return program.model_proto.SerializeToString()


def describe(model: bytes, description: Description) -> bytes:
    """Return an ONNX model that says what it is."""
    import onnx

    described = onnx.load_from_string(model)
    onnx.helper.set_model_props(described, {KEY: description.to_json()})
    return described.SerializeToString()


@dataclass(frozen=True)
class Agreement:
    """How far two models say the same of some faces.

    Attributes:
        faces: How many.
        other_class: Faces whose class differs.
        largest_difference: Of a vote, over the faces that are not tied.
        tied: Faces whose votes differ by more than ``TOLERANCE`` because two gallery faces are equally far, to within
            ``EDGE``, and only one of them is among the neighbours: rounding chooses.
    """

    faces: int
    other_class: int
    largest_difference: float
    tied: int

    def __str__(self) -> str:
        """Return it for people."""
        ties = f"; of {self.tied:,} more votes differ, since rounding chooses between equally far neighbours" * (
            self.tied > 0
        )
        return f"votes apart by {self.largest_difference:.1e} at most{ties}"


def compare(one: Backend, other: Backend, faces: np.ndarray) -> Agreement:
    """Return how far two models agree on faces (N, H, W) uint8."""
    differing, largest, tied = 0, 0.0, 0
    for batch in batches(faces):
        first, second = one.answer(batch, BATCH), other.answer(batch, BATCH)
        differing += int((first.labels != second.labels).sum())
        apart = np.abs(first.votes - second.votes).max(axis=1)  # (B,)
        ties = [apart[row] > TOLERANCE and _tie(first, second, row) for row in range(len(batch))]
        tied += int(np.sum(ties))
        largest = max(largest, float(np.where(ties, 0.0, apart).max()))
    return Agreement(len(faces), differing, largest, tied)


def _tie(first: Answers, second: Answers, row: int) -> bool:
    """Return whether the neighbours that only one of two answers names are as far as its farthest, to within EDGE."""
    for one, other in ((first, second), (second, first)):
        if one.neighbours is None or one.similarities is None or other.neighbours is None:
            return False
        alone = ~np.isin(one.neighbours[row], other.neighbours[row])
        if not alone.any() or (one.similarities[row][alone] - one.similarities[row][-1]).max() > EDGE:
            return False
    return True


def accuracy(model: Backend, faces: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of faces (N, H, W) uint8 that a model gives their label (N,)."""
    return float((model.answer(faces, BATCH).labels == labels).mean())


def batches(faces: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the faces in batches."""
    return (faces[start : start + BATCH] for start in range(0, len(faces), BATCH))
