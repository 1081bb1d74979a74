"""ONNX models, read and asked by onnxruntime; torch is not needed."""

import os
from pathlib import Path

import numpy as np

from fer_lightning.errors import UserError, install_command
from fer_lightning.use.description import Description, read_description
from fer_lightning.use.model import Answers

KEY = "fer_lightning"  # of the model's metadata


class OnnxBackend:
    """An ONNX model as what ``Model`` asks.

    Args:
        model: A path, or the model itself.

    Raises:
        UserError: If onnxruntime is not installed.
        Exception: Any of onnxruntime's, where the model is damaged.
    """

    def __init__(self, model: str | bytes) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(f"an ONNX model needs onnxruntime: {install_command('onnx')}") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; warnings tell of its own optimiser
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 0)  # as torch; 0 means all cores
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    def answer(self, faces: np.ndarray, batch_size: int) -> Answers:
        """Return what is said of faces (N, H, W) uint8, of which so many are computed at once."""
        names, starts = list(Answers._fields[: len(self.names)]), range(0, len(faces), batch_size)
        parts = [self.session.run(names, {"faces": faces[start : start + batch_size]}) for start in starts]
        return Answers(*map(np.concatenate, zip(*parts, strict=True)))


def read_onnx(path: Path) -> tuple[OnnxBackend, Description]:
    """Return an ONNX model of ours and what it says of itself.

    Raises:
        UserError: If it is missing, damaged, not ours or of a newer format, or onnxruntime is not installed.
    """
    source = f"checkpoint={path}"
    if not path.is_file():
        raise UserError(f"{source} does not exist: give a .onnx file that export format=onnx has written")
    try:
        backend = OnnxBackend(str(path))
    except UserError:
        raise
    except Exception as error:  # onnxruntime's own, which have no base of their own
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{source} ({path.stat().st_size:,} bytes) is no whole ONNX model: {line:.200}") from error
    description = read_description(backend.session.get_modelmeta().custom_metadata_map.get(KEY, ""), source)
    if not set(Answers._fields[:3]) <= set(backend.names):
        raise UserError(f"{source} gives {', '.join(backend.names)}, not labels, votes and embeddings: export it again")
    return backend, description
