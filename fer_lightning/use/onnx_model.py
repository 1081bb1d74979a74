"""ONNX models: exported from a network, quantised, read, and run by onnxruntime. Reading needs no torch."""

import logging
import os
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fer_lightning.errors import UserError, install_command
from fer_lightning.names import printable
from fer_lightning.runs.description import Description, is_whole, read_description, seal
from fer_lightning.use.answers import BATCH, Answers

KEY = "fer_lightning"  # of the description in the model's metadata
OPSET = 18
LARGEST = 2**31  # bytes of a protobuf message
PATIENCE = 5.0  # seconds for a batch, and one more for each face: a stranger's graph may never end
TYPES = {
    "labels": "tensor(int64)",
    "votes": "tensor(float)",
    "embeddings": "tensor(float)",
    "neighbours": "tensor(int64)",
    "similarities": "tensor(double)",
    "neighbour_labels": "tensor(int64)",
}


def threads(setting: str) -> int:
    """Return the number of threads that OMP_NUM_THREADS gives, like torch: the first of several; 0 for all cores."""
    first = setting.partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


class OnnxBackend:
    """Backend that runs an ONNX model.

    Args:
        model: Path or content of the model.

    Raises:
        UserError: If onnxruntime is not installed, or the model is damaged.
    """

    def __init__(self, model: str | bytes) -> None:
        self.source = f"checkpoint={model}" if isinstance(model, str) else "the exported model"
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(f"an ONNX model needs onnxruntime: {install_command('onnx')}") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only; its warnings are about its own optimiser
        options.intra_op_num_threads = threads(os.environ.get("OMP_NUM_THREADS", ""))
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            self.names = [output.name for output in self.session.get_outputs()]
            self.description = self.session.get_modelmeta().custom_metadata_map.get(KEY, "")
        except Exception as error:
            raise UserError(f"{self.source} is no whole ONNX model: {_line(error)}") from error

    def answer(self, faces: np.ndarray, batch_size: int = BATCH) -> Answers:
        """Return the answers about faces (N, H, W) uint8; ``batch_size`` of them are computed at once."""
        names, starts = list(Answers._fields[: len(self.names)]), range(0, len(faces), batch_size)
        parts = [self._run(names, faces[start : start + batch_size]) for start in starts]
        return Answers(*map(np.concatenate, zip(*parts, strict=True)))

    def _run(self, names: list[str], faces: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for one batch.

        Raises:
            UserError: If the graph fails, or does not end: the parts of a stranger's model may fit no face.
        """
        import onnxruntime

        options = onnxruntime.RunOptions()
        timer = threading.Timer(PATIENCE + len(faces), setattr, (options, "terminate", True))
        timer.start()
        try:
            return self.session.run(names, {"faces": faces}, options)
        except Exception as error:
            raise UserError(
                f"{self.source} cannot judge a face ({_line(error)}): give another, or export it again"
            ) from error
        finally:
            timer.cancel()


def _line(error: Exception) -> str:
    """Return the first line of an exception of onnxruntime; they share no base class."""
    return printable((str(error).strip() or type(error).__name__).splitlines()[0][:200])


def read_onnx(path: Path) -> tuple[OnnxBackend, Description]:
    """Return the backend and the description of an ONNX model.

    Raises:
        UserError: If the file is missing, damaged, of another program or of a newer format, or if onnxruntime is not
            installed.
    """
    source = f"checkpoint={path}"
    if not path.is_file():
        raise UserError(f"{source} does not exist: give a .onnx file that export format=onnx has written")
    size = path.stat().st_size
    if size >= LARGEST:
        raise UserError(f"{source} ({size:,} bytes) is no ONNX model: one has less than {LARGEST:,} bytes")
    content = path.read_bytes()
    if not is_whole(content):
        raise UserError(f"{source} ({size:,} bytes) is damaged: its hash does not fit its content; export it again")
    backend = OnnxBackend(str(path))
    description = read_description(backend.description, source)
    if flaw := _interface_flaw(backend.session, description):
        raise UserError(f"{source} is damaged or no model of fer_lightning ({flaw}): export it again")
    return backend, description


def _interface_flaw(session: Any, description: Description) -> str | None:
    """Return how the inputs and outputs of a session differ from those of our exports, or None."""
    inputs = [(entry.name, entry.type) for entry in session.get_inputs()]
    if inputs != [("faces", "tensor(uint8)")]:
        return f"it takes {inputs}, not faces of uint8"
    outputs = {entry.name: entry for entry in session.get_outputs()}
    if outputs.keys() not in (set(Answers._fields[:3]), set(Answers._fields)):
        return f"it gives {', '.join(outputs)}, not labels, votes and embeddings"
    if wrong := [f"{name} are {entry.type}" for name, entry in outputs.items() if entry.type != TYPES[name]]:
        return wrong[0]
    shapes = {
        "faces": (session.get_inputs()[0].shape, [None, description.image_size, description.image_size]),
        "votes": (outputs["votes"].shape, [None, len(description.classes)]),
    }
    for name, (shape, expected) in shapes.items():
        fixed = [size if isinstance(size, int) else None for size in shape]
        if len(fixed) != len(expected) or any(a not in (None, b) for a, b in zip(fixed, expected, strict=True) if b):
            return f"{name} have the shape {shape}, not {expected}"
    return None


def to_onnx(network: Any, image_size: int) -> bytes:
    """Return the ONNX model of a ``Network``: "faces" (N, H, W) uint8 -> the fields of ``Answers``, by name.

    Raises:
        UserError: If a package of the extra onnx is missing, or the network cannot be exported.
    """
    try:
        import onnx  # noqa: F401  torch exports by these two
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"format=onnx needs {error.name}: {install_command('onnx')}") from error
    import torch

    from fer_lightning.models.classifiers import QUERIES
    from fer_lightning.use.bundles import FaceReader

    reader = FaceReader(network).eval()
    example = torch.zeros(2, image_size, image_size, dtype=torch.uint8)
    with torch.inference_mode():
        names = list(Answers._fields[: len(reader(example))])
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):  # they log every step
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns about itself
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
    except Exception as error:  # the exporter raises almost anything
        line = str(error).strip().partition("\n")[0]
        raise UserError(f"this network cannot be written as ONNX ({line:.200}): use format=bundle") from error
    return program.model_proto.SerializeToString()


def describe(model: bytes, description: Description) -> bytes:
    """Return an ONNX model with a description in its metadata, which has a hash of all of it."""
    import onnx

    described = onnx.load_from_string(model)
    onnx.helper.set_model_props(described, {KEY: description.with_room().to_json()})
    return seal(described.SerializeToString())


def to_int8(model: bytes, faces: np.ndarray) -> bytes:
    """Return an ONNX model with the convolutions and matrix products of its embedder in int8.

    The search among the gallery's faces stays exact.

    Args:
        model: Result of ``to_onnx``.
        faces: (N, H, W) uint8, some hundred, which set the ranges of the activations.

    Raises:
        UserError: If a package of the extra onnx is missing.
    """
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise UserError(f"int8=true needs {error.name}: {install_command('onnx')}") from error
    batches = iter([{"faces": faces[start : start + BATCH]} for start in range(0, len(faces), BATCH)])

    class Reader(CalibrationDataReader):
        """Batches of faces by the name of the input."""

        def get_next(self) -> dict[str, np.ndarray] | None:
            """Return the next batch; None after the last."""
            return next(batches, None)

    with tempfile.TemporaryDirectory() as folder:
        original, merged, quantised = (Path(folder) / f"{name}.onnx" for name in ("original", "merged", "quantised"))
        original.write_bytes(model)
        # This merges batch norms into convolutions.
        quant_pre_process(str(original), str(merged), skip_symbolic_shape=True)
        logging.disable(logging.WARNING)  # quantize_static logs to the root logger which nodes it skips
        try:
            quantize_static(
                str(merged),
                str(quantised),
                Reader(),
                per_channel=True,
                reduce_range=True,  # 7 bits: sums of two products overflow 16 bits on x86 processors without VNNI
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv", "Gemm"],
            )
        finally:
            logging.disable(logging.NOTSET)
        return quantised.read_bytes()
