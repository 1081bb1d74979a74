"""Exports of a trained network: a bundle or an ONNX model, compared with the network and described by a card."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from fer_lightning import __version__
from fer_lightning.data.demo import SOURCE
from fer_lightning.errors import UserError
from fer_lightning.files import replacing, write_text
from fer_lightning.models.network import Network
from fer_lightning.report.html import TEMPLATES
from fer_lightning.report.stress import Outcome, by_change, mean_remains
from fer_lightning.runs.description import Description
from fer_lightning.runs.record import Record
from fer_lightning.use.answers import TOLERANCE, Backend, compare
from fer_lightning.use.bundles import TorchBackend, halved, in_words, read_checkpoint, write_bundle
from fer_lightning.use.galleries import Reduce, shrink
from fer_lightning.use.onnx_model import OnnxBackend, describe, to_int8, to_onnx
from fer_lightning.words import number, percent

log = logging.getLogger(__name__)

BEFORE = " before its export changed it"
CALIBRATION = 256  # validation faces that set the ranges of int8


@dataclass(frozen=True)
class Trial:
    """Faces to test an export on. Labels are None if they cannot measure the accuracy of the network."""

    name: str  # for people
    test: np.ndarray  # (N, H, W) uint8, on which the export must agree with the network
    labels: np.ndarray | None  # (N,) int64
    validation: np.ndarray  # (M, H, W) uint8, to choose the options that an export changes
    validation_labels: np.ndarray | None  # (M,) int64
    leaks: str | None = None  # from training to the test faces, "" for none; None if that is not known


@dataclass
class Exporter:
    """Write one network in other formats."""

    network: Network  # fitted, in evaluation mode
    description: Description
    record: Record  # of the network's run, for the card
    stress: Sequence[Outcome]  # for the card; empty if not measured
    find_trial: Callable[[], Trial]  # not called for a bundle with the full gallery: it has nothing to compare
    costs: list[str] = field(default_factory=list)  # changes and comparisons, one sentence each

    @cached_property
    def trial(self) -> Trial:
        """The faces to test the export on."""
        return self.find_trial()

    def shrink(self, reduce: Reduce, name: str) -> None:
        """Make the network's gallery smaller, and note the cost."""
        backend, validation = TorchBackend(self.network), None
        before = self._accuracy(backend)
        if self.trial.validation_labels is not None:
            validation = (backend.embed(self.trial.validation), torch.from_numpy(self.trial.validation_labels))
        self.description, change = shrink(self.network, self.description, reduce, validation)
        self._note_change(f"gallery={name}: {change}", before, backend)

    def halve(self) -> None:
        """Round weights and gallery to half precision, and note the cost."""
        backend = TorchBackend(self.network)
        before = self._accuracy(backend)
        state = self.network.state_dict()
        self.network.load_state_dict({name: half.to(state[name].dtype) for name, half in halved(state).items()})
        self._note_change("half=true: weights and gallery in 16 bits", before, backend)

    def bundle(self, folder: Path) -> None:
        """Write a bundle and check it by reading it again."""
        log.info("writing the bundle, and reading it again to check it")
        card = write_card(self.description, self.record, folder.name, self.costs, self.stress)
        with replacing(folder) as temporary:
            write_bundle(temporary, self.network, self.description, card)
            state = read_checkpoint(temporary)[0].state_dict()
            if not all(torch.equal(tensor, state[name]) for name, tensor in self.network.state_dict().items()):
                raise UserError(f"{folder} does not hold the network's weights after writing: look at the disk")

    def onnx(self, file: Path, int8: bool) -> None:
        """Write an ONNX model and its card beside it.

        Raises:
            UserError: If the model does not agree with the network.
        """
        log.info("reading the faces to compare the model on")
        faces = self.trial.test
        log.info("converting the network to ONNX")
        model = to_onnx(self.network, self.description.image_size)
        log.info("comparing the model with torch on %s", f"{len(faces):,} {self.trial.name}")
        agreement = compare(TorchBackend(self.network), OnnxBackend(model), faces)
        if agreement.other_class or agreement.largest_difference > TOLERANCE:
            raise UserError(
                f"the ONNX model does not say what the network says: another class of {agreement.other_class:,} of "
                f"{len(faces):,} {self.trial.name}, {agreement} (allowed: {TOLERANCE:.0e}): nothing was written"
            )
        self.costs.append(
            f"compared with torch on {len(faces):,} {self.trial.name}: the same class of each, {agreement}"
        )
        if int8:
            model = self._quantise(model)
        model = describe(model, self.description)
        origin = {**self.description.origin, "model": hashlib.sha256(model).hexdigest()}
        card = write_card(replace(self.description, origin=origin), self.record, file.name, self.costs, self.stress)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_bytes(model)
        write_text(file.with_suffix(".md"), card)

    def _quantise(self, model: bytes) -> bytes:
        """Return the model in int8, and note the cost."""
        log.info("converting the model to int8, and comparing it again")
        quantised, faces = to_int8(model, self.trial.validation[:CALIBRATION]), self.trial.test
        exact, backend = OnnxBackend(model), OnnxBackend(quantised)
        differing = compare(exact, backend, faces).other_class
        change = f"int8=true: another class of {differing:,} of {len(faces):,} {self.trial.name}"
        self._note_change(change, self._accuracy(exact), backend)
        return quantised

    def _note_change(self, change: str, before: float | None, backend: Backend) -> None:
        """Add a change and its cost in accuracy to the card and to the description."""
        accuracy, name, origin = self._accuracy(backend), self.trial.name, dict(self.description.origin)
        if accuracy is None or before is None:
            cost = f"cost in accuracy unknown: {name} cannot measure it"
            if "tested" in origin:
                origin["tested"] = f"{origin['tested'].removesuffix(BEFORE)}{BEFORE}"
        else:
            faces = f"{len(self.trial.test):,} {name}"
            cost = f"accuracy {percent(accuracy, 2)} in place of {percent(before, 2)} of {faces}"
            origin["tested"] = in_words(accuracy, len(self.trial.test), self.trial.leaks)
        self.costs.append(f"{change}; {cost}")
        changes = (*self.description.changes, self.costs[-1])
        self.description = replace(self.description, changes=changes, origin=origin)

    def _accuracy(self, backend: Backend) -> float | None:
        """Return the accuracy on the test faces; None without labels."""
        if self.trial.labels is None:
            return None
        return float((backend.answer(self.trial.test).labels == self.trial.labels).mean())


def write_card(
    description: Description, record: Record, name: str, costs: Sequence[str], stress: Sequence[Outcome]
) -> str:
    """Return the card of the file or folder ``name``.

    ``record`` is the record of the network's run. ``costs`` holds a sentence per change or comparison of the export.
    ``record`` and ``stress`` are empty if they are unknown.
    """

    def score(metric: str) -> str:
        """Return a share of the test in percent."""
        share = record.figures.get(f"test/{metric}")
        return "unknown" if share is None else number(share)

    source = record.data or description.origin.get("data", "unknown")
    changes = {
        change.replace("_", " "): [number(outcome.accuracy) for outcome in outcomes]
        for change, outcomes in by_change(stress).items()
    }
    versions = {
        "fer_lightning that exported": __version__,
        "torch that exported": version("torch"),
        **{f"{package} of the training": text for package, text in record.environment.items()},
        **description.origin,
        "format": description.format,
    }
    template = TEMPLATES.overlay(autoescape=False).get_template("card.md")
    return template.render(
        name=name,
        description=description,
        embedder=description.embedder["_target_"].rpartition(".")[2],
        classifier=description.classifier["_target_"].rpartition(".")[2],
        source=source,
        drawn=source == SOURCE,
        record=record,
        score=score,
        changes=changes,
        remains=mean_remains(stress),
        costs=costs,
        versions=versions,
    )
