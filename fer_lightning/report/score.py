"""What the console says of a test that has ended."""

import logging
from collections.abc import Sequence

import numpy as np

from fer_lightning.models.calibration import Calibration
from fer_lightning.runs.record import Record
from fer_lightning.words import percent

log = logging.getLogger(__name__)


def say(record: Record, labels: np.ndarray, classes: Sequence[str], calibration: Calibration) -> None:
    """Print the score beside what asks for no skill and what no skill can exceed, what it is worth, and how sure it is.

    Args:
        record: What the test measured.
        labels: (B,) int64 of the test faces.
        classes: Their names.
        calibration: That of the checkpoint.
    """
    found = record.figures
    counts = np.bincount(labels, minlength=len(classes))
    allowed = record.labels_allow or 1.0
    log.info(
        "test/accuracy %s (95 %% interval %.1f to %.1f); guessing scores %s, always answering %s %s%s",
        percent(found["test/accuracy"]),
        *(100 * found[f"test/{name}"] for name in ("accuracy_low", "accuracy_high")),
        *(percent(1 / len(classes)), classes[int(counts.argmax())], percent(counts.max() / counts.sum())),
        f"; the labels allow {percent(allowed)}" if allowed < 1 else "",
    )
    log.info(
        "balanced %s, macro F1 %s; %d test faces of %s, protocol %s%s",
        percent(found["test/balanced_accuracy"]),
        percent(found["test/macro_f1"]),
        record.test_faces,
        record.data,
        record.protocol,
        f"; leaky: {record.leaks}" if record.leaks else "",
    )
    number = int(found["test/faces_without_twins"])
    if number and number != record.test_faces:
        log.info(
            "test/accuracy_without_twins %s on the %d of them without a twin in training",
            percent(found["test/accuracy_without_twins"]),
            number,
        )
    _say_how_sure(record, calibration)
    if record.too_good:
        log.warning(record.too_good)


def _say_how_sure(record: Record, calibration: Calibration) -> None:
    """Print what validation faces have chosen, and what comes of it on the test faces."""
    log.info("%s", calibration)
    found = record.figures
    if "test/calibration_error" in found:
        log.info(
            "on the test faces: calibration error %s, %s before; %s are answered, %s of them rightly",
            percent(found["test/calibration_error"]),
            percent(found["test/calibration_error_raw"]),
            percent(found["test/answered"]),
            percent(found.get("test/accuracy_answered", 0.0)),
        )
