"""An ONNX model whose embedder computes in 8 bits."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fer_lightning.errors import UserError, install_command
from fer_lightning.use.graph import batches


def to_int8(model: bytes, faces: np.ndarray) -> bytes:
    """Return an ONNX model with the convolutions and matrix products of its embedder in int8.

    The search among the gallery's faces stays exact.

    Args:
        model: As ``to_onnx`` writes it.
        faces: (N, H, W) uint8, some hundred from which the ranges of the activations are taken.

    Raises:
        UserError: If the packages of the extra onnx are missing.
    """
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise UserError(f"int8=true needs {error.name}: {install_command('onnx')}") from error

    class Reader(CalibrationDataReader):
        """Batches of faces by the name of the input."""

        def __init__(self) -> None:
            self.batches: Iterator[np.ndarray] = batches(faces)

        def get_next(self) -> dict[str, np.ndarray] | None:
            """Return the next batch; None after the last."""
            batch = next(self.batches, None)
            return None if batch is None else {"faces": batch}

    with tempfile.TemporaryDirectory() as folder:
        given, whole, small = (Path(folder) / f"{name}.onnx" for name in ("given", "whole", "small"))
        given.write_bytes(model)
        quant_pre_process(str(given), str(whole), skip_symbolic_shape=True)  # batch norms become part of convolutions
        logging.disable(logging.WARNING)  # it speaks to the root logger of what it leaves as it is
        try:
            quantize_static(
                str(whole),
                str(small),
                Reader(),
                per_channel=True,
                reduce_range=True,  # 7 bits: sums of two products overflow 16 bits on x86 processors without VNNI
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv", "Gemm"],
            )
        finally:
            logging.disable(logging.NOTSET)
        return small.read_bytes()
