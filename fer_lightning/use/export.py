"""A trained network written as a bundle or as ONNX, shown to say what it said before, with its card."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from fer_lightning.data.scaling import scale
from fer_lightning.errors import UserError
from fer_lightning.files import replacing, write_text
from fer_lightning.models.network import Network
from fer_lightning.report.stress import Outcome
from fer_lightning.runs.record import Record
from fer_lightning.use.card import write_card
from fer_lightning.use.description import Description
from fer_lightning.use.galleries import Shrink, shrink
from fer_lightning.use.graph import TOLERANCE, Agreement, accuracy, batches, compare, describe, to_onnx
from fer_lightning.use.model import Backend
from fer_lightning.use.networks import TorchBackend, read_bundle, write_bundle
from fer_lightning.use.quantisation import to_int8
from fer_lightning.use.session import OnnxBackend

CALIBRATION = 256  # validation faces by which int8 finds its ranges


@dataclass(frozen=True)
class Trial:
    """Faces on which an export is tried.

    Attributes:
        name: What they are, for people.
        test: (N, H, W) uint8; what is written must say the same of them.
        labels: (N,) int64; None where they say nothing of the accuracy of this network.
        validation: (M, H, W) uint8, by which what changes is chosen.
        validation_labels: (M,) int64; None as for ``labels``.
    """

    name: str
    test: np.ndarray
    labels: np.ndarray | None
    validation: np.ndarray
    validation_labels: np.ndarray | None


class Exporter:
    """Write one network.

    Args:
        network: As it was trained; a smaller gallery changes it.
        description: What its checkpoint says of it.
        record: What its run measured.
        stress: How it does on changed faces, where that was measured.
        find_trial: What finds the faces to try the export on; a bundle that changes nothing needs none.
    """

    def __init__(
        self,
        network: Network,
        description: Description,
        record: Record,
        stress: Sequence[Outcome],
        find_trial: Callable[[], Trial],
    ) -> None:
        self.network, self.description, self.record, self.stress = network, description, record, stress
        self.find_trial = find_trial
        self.costs: list[str] = []

    @cached_property
    def trial(self) -> Trial:
        """The faces to try the export on."""
        return self.find_trial()

    def shrink(self, by: Shrink, name: str) -> None:
        """Make the gallery smaller, and note what that costs."""
        trial, validation, before = self.trial, None, self._accuracy(TorchBackend(self.network))
        if trial.validation_labels is not None:
            with torch.inference_mode():
                faces = [self.network(scale(torch.from_numpy(batch))) for batch in batches(trial.validation)]
            validation = (torch.cat(faces).clone(), torch.from_numpy(trial.validation_labels))
        self.description, sizes = shrink(self.network, self.description, by, validation)
        k = self.description.classifier["k"]
        line = f"gallery={name}: {sizes[1]:,} vectors in place of {sizes[0]:,}, k={k}"
        self._change(f"{line}; {self._cost(before, TorchBackend(self.network))}")

    def bundle(self, folder: Path) -> None:
        """Write a bundle under another name, read it again, and give it its own."""
        card = write_card(self.description, self.record, folder.name, self.costs, self.stress)
        with replacing(folder) as temporary:
            write_bundle(temporary, self.network, self.description, card)
            again = read_bundle(temporary)[0].state_dict()
            if not all(torch.equal(tensor, again[name]) for name, tensor in self.network.state_dict().items()):
                raise UserError(f"{folder} does not hold the network's weights after writing: look at the disk")

    def onnx(self, file: Path, int8: bool) -> None:
        """Write an ONNX model and its card beside it, checked before it is written.

        Raises:
            UserError: If it does not say what the network says.
        """
        model = to_onnx(self.network, self.description.image_size)
        found = compare(TorchBackend(self.network), OnnxBackend(model), self.trial.test)
        self._check(found, "the ONNX model")
        self.costs.append(f"compared with torch on {found.faces:,} {self.trial.name}: the same class of each, {found}")
        if int8:
            model = self._quantise(model)
        model = describe(model, self.description)
        origin = {**self.description.origin, "model": hashlib.sha256(model).hexdigest()}
        card = write_card(replace(self.description, origin=origin), self.record, file.name, self.costs, self.stress)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(model)
        write_text(file.with_suffix(".md"), card)

    def _quantise(self, model: bytes) -> bytes:
        """Return the model in int8, and note what that costs."""
        small = to_int8(model, self.trial.validation[:CALIBRATION])
        whole, backend = OnnxBackend(model), OnnxBackend(small)
        found = compare(whole, backend, self.trial.test)
        line = f"int8=true: another class of {found.other_class:,} of {found.faces:,} {self.trial.name}"
        self._change(f"{line}; {self._cost(self._accuracy(whole), backend)}")
        return small

    def _change(self, line: str) -> None:
        self.costs.append(line)
        self.description = replace(self.description, changes=(*self.description.changes, line))

    def _check(self, found: Agreement, what: str) -> None:
        if found.other_class or found.largest_difference > TOLERANCE:
            raise UserError(
                f"{what} does not say what the network says: another class of {found.other_class:,} of {found.faces:,} "
                f"{self.trial.name}, {found} (allowed: {TOLERANCE:.0e}): nothing was written"
            )

    def _accuracy(self, backend: Backend) -> float | None:
        return None if self.trial.labels is None else accuracy(backend, self.trial.test, self.trial.labels)

    def _cost(self, before: float | None, backend: Backend) -> str:
        now, name = self._accuracy(backend), self.trial.name
        if now is None or before is None:
            return f"its cost in accuracy is not known, since {name} say nothing of it"
        return f"accuracy {100 * now:.2f} % in place of {100 * before:.2f} % of {len(self.trial.test):,} {name}"
