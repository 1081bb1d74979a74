"""ONNX models of strangers: other names, types, shapes, opsets and descriptions; damaged and endless ones."""

import json
import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_lightning import load_model
from fer_lightning.use import onnx_model
from fer_lightning.use.bundles import read_checkpoint
from tests.bad.attempts import ANSWER, REFUSAL, attempts, flipped, is_sentence
from tests.bad.test_bundles import as_described, edits
from tests.use.test_onnx_model import write_constant

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

ROWS = 1  # of the constant answers; faces are given one at a time
UINT8, FLOAT, INT64 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
GOOD = {  # answers about any faces
    "labels": np.zeros(ROWS, np.int64),
    "votes": np.full((ROWS, 7), 1 / 7, np.float32),
    "embeddings": np.eye(ROWS, 4, dtype=np.float32),
    "neighbours": np.zeros((ROWS, 2), np.int64),
    "similarities": np.ones((ROWS, 2)),
    "neighbour_labels": np.zeros((ROWS, 2), np.int64),
}
CHANGES: dict[str, Callable[[np.ndarray], Any]] = {
    "missing": lambda _: None,
    "of an int": lambda values: values.astype(np.int32),
    "of a float": lambda values: values.astype(np.float32 if values.dtype != np.float32 else np.float64),
    "texts": lambda values: np.full(values.shape, "a", object),
    "no row": lambda values: values[:0],
    "30 rows": lambda values: np.repeat(values, 10, axis=0),
    "no column": lambda values: values[:, :0] if values.ndim > 1 else values[:0],
    "fewer columns": lambda values: values[:, :-1] if values.ndim > 1 else values[:-1],
    "more columns": lambda values: np.concatenate([values, values], axis=-1),
    "flat": lambda values: values.reshape(-1),
    "one more dimension": lambda values: values[..., None],
    "a number": lambda values: values.reshape(-1)[0],
    "not finite": lambda values: values * np.nan if values.dtype.kind == "f" else np.full_like(values, 2**63 - 1),
    "negative": lambda values: values - 10,
    "large": lambda values: values + 99,
    "slightly negative": lambda values: values - 1 if values.dtype.kind == "i" else values - 0.3,
}
NODES = {
    "custom": onnx.helper.make_node("Evil", ["faces"], ["labels"], domain="evil"),
    "unknown": onnx.helper.make_node("NoSuchOperator", ["faces"], ["labels"]),
    "dangling": onnx.helper.make_node("Identity", ["nowhere"], ["labels"]),
}


def constant(name: str, value: Any) -> Any:
    return onnx.helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(np.asarray(value)))


def loop(trips: Any) -> list[Any]:
    """Return the nodes of a loop of so many steps, given as the name of a node's output."""
    shapes = {"step": (INT64, []), "goes": (onnx.TensorProto.BOOL, []), "state": (INT64, [ROWS])}
    values = {name: onnx.helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()}
    steps = [onnx.helper.make_node("Identity", [name], [f"{name}2"]) for name in ("goes", "state")]
    ends = [onnx.helper.make_tensor_value_info(f"{name}2", *shapes[name]) for name in ("goes", "state")]
    body = onnx.helper.make_graph(steps, "body", list(values.values()), ends)
    nodes = [constant("go", np.bool_(True)), constant("start", GOOD["labels"])]
    return [*nodes, onnx.helper.make_node("Loop", [trips, "go", "start"], ["labels"], body=body)]


def brightest() -> list[Any]:
    """Return nodes whose output "light" is the value of the brightest pixel: 0 for the empty face of the first use."""
    make = onnx.helper.make_node
    return [make("Cast", ["faces"], ["cast"], to=INT64), make("ReduceMax", ["cast"], ["light"], keepdims=0)]


def graphs() -> Iterator[tuple[str, list[Any]]]:
    """Yield nodes that compute some of the answers."""
    make = onnx.helper.make_node
    for name, node in NODES.items():
        yield name, [node]
    yield "endless", [constant("trips", np.int64(2**62)), *loop("trips")]
    for name, shape in (("280 GB", [100_000, 100_000, 7]), ("negative shape", [-5, 7]), ("2^60", [2**60])):
        yield name, [constant("shape", np.array(shape)), make("ConstantOfShape", ["shape"], ["votes"])]
    late = brightest()
    yield "fails later", [*late, constant("table", GOOD["labels"]), make("Gather", ["table", "light"], ["labels"])]
    wide = [constant("2^40", np.int64(2**40)), make("Mul", ["light", "2^40"], ["trips"])]
    yield "endless later", [*late, *wide, *loop("trips")]
    shape = [constant("axis", np.array([0])), make("Unsqueeze", ["trips", "axis"], ["shape"])]
    yield (
        "huge later",
        [
            *late,
            *wide,
            *shape,
            make("ConstantOfShape", ["shape"], ["labels"], value=onnx.numpy_helper.from_array(np.zeros(1, np.int64))),
        ],
    )
    nan = [
        make("Cast", ["light"], ["bright"], to=FLOAT),
        make("Log", ["bright"], ["log"]),
        constant("v", GOOD["votes"]),
    ]
    minus = [constant("minus", np.float32(-1)), make("Mul", ["bright", "minus"], ["dark"])]
    root = [make("Sqrt", ["dark"], ["root"]), make("Add", ["v", "root"], ["votes"])]
    yield "not finite later", [*late, nan[0], nan[2], *minus, *root]


def external(location: str, length: int = 4 * 7 * ROWS) -> Any:
    """Return votes that are said to stand in another file."""
    tensor = onnx.TensorProto(name="v", data_type=FLOAT, dims=[ROWS, 7], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def write_models(
    folder: Path, description: Any, descriptions: dict[str, str], good: bytes
) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of each model."""
    paths = (folder / f"model {number}.onnx" for number in range(10**6))
    write = partial(write_constant, description=description)

    def edited(edit: Callable[[Any], object]) -> Path:
        model = onnx.load(write(next(paths), changes=GOOD))
        edit(model)
        path = next(paths)
        path.write_bytes(model.SerializeToString())
        return path

    def content(data: bytes) -> Path:
        path = next(paths)
        path.write_bytes(data)
        return path

    yield "constant", write(next(paths), changes=GOOD)
    for name, values in GOOD.items():
        for kind, change in CHANGES.items():
            yield f"{name}: {kind}", write(next(paths), changes=GOOD | {name: change(values)})
    yield "another output", write(next(paths), changes=GOOD | {"more": np.zeros(3)})
    yield "none of them", write(next(paths), changes=dict.fromkeys(GOOD) | {"more": np.zeros(3)})
    for inputs in (("x", UINT8, ("n", 48, 48)), ("faces", FLOAT, ("n", 48, 48)), ("faces", INT64, ("n", 48, 48))):
        yield f"input {inputs}", write(next(paths), changes=GOOD, inputs=inputs)
    for shape in (("n", 3, 48, 48), ("n", 32, 32), ("n", 48), (), (1, 48, 48), (0, 48, 48), ("n", "h", "w"), None):
        yield f"input of {shape}", write(next(paths), changes=GOOD, inputs=("faces", UINT8, shape))
    for name, nodes in graphs():
        yield f"graph: {name}", write(next(paths), changes=GOOD, nodes=nodes)
    for version in (1, 7, 99, 2**40):
        yield (
            f"opset {version}",
            edited(lambda model, version=version: setattr(model.opset_import[0], "version", version)),
        )
        yield f"ir {version}", edited(lambda model, version=version: setattr(model, "ir_version", version))
    yield "no opset", edited(lambda model: model.ClearField("opset_import"))
    yield "outputs reversed", edited(lambda model: model.graph.output.reverse())
    yield "no graph", edited(lambda model: model.ClearField("graph"))
    yield "twice a node", edited(lambda model: model.graph.node.extend([model.graph.node[0]]))
    for name in ("null", "[]", "", '{"format":' + "9" * 5000 + "}", '{"format":1', "\x00"):
        descriptions[f"text {name:.20}"] = name
    for name, text in descriptions.items():
        yield (
            f"described {name}",
            edited(lambda model, text=text: onnx.helper.set_model_props(model, {onnx_model.KEY: text})),
        )
    yield "not described", edited(lambda model: model.ClearField("metadata_props"))
    (folder / "link.bin").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.bin")
    for place in ("/etc/passwd", "../../../etc/passwd", "/dev/zero", "nowhere.bin", "link.bin", "pipe.bin", ""):
        for length in (4 * 7 * ROWS, 2**62):
            nodes = [onnx.helper.make_node("Identity", ["v"], ["votes"])]
            model = onnx.load(write(next(paths), changes=GOOD, nodes=nodes))
            model.graph.initializer.append(external(place, length))
            yield f"weights in {place}, {length:,} bytes", content(model.SerializeToString())
    yield "whole", content(good)
    chance = random.Random(0)
    for number in range(20):
        yield f"flipped {number}", content(flipped(good, chance))
        yield f"flipped head {number}", content(flipped(good[:3000], chance) + good[3000:])
        yield f"cut {number}", content(good[: chance.randrange(len(good))])
        yield f"flipped constants {number}", content(flipped((folder / "model 0.onnx").read_bytes(), chance, 3))
    for name, data in (("text", b"hello" * 100), ("zip", b"PK\3\4" * 100), ("zeros", bytes(5000)), ("nothing", b"")):
        yield name, content(data)


def answer(path: Path, faces: np.ndarray) -> str:
    """Return the answers of a model about faces: labels, votes, and its description."""
    model = load_model(path)
    size = model.image_size
    faces = faces if size == 48 else np.full((len(faces), size, size), 9, np.uint8)
    predictions = model.predict(list(faces), batch_size=1)
    votes = [list(prediction.votes.values()) for prediction in predictions]
    assert len(votes) == len(faces), f"{len(votes)} answers"
    assert np.isfinite(votes).all(), "votes are not finite"
    assert all(0 <= prediction.distance <= 2.001 for prediction in predictions if prediction.neighbours), "distances"
    return json.dumps([[round(vote, 3) for row in votes for vote in row], json.loads(model.description.to_json())])


@pytest.mark.attack
def test_onnx_models_of_strangers(calibrated, drawn, tally, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    network, description = read_checkpoint(calibrated)
    good = onnx_model.describe(onnx_model.to_onnx(network, 48), description)
    descriptions = {name: json.dumps(edited) for name, edited in edits(json.loads(description.to_json()))}
    paths = dict(write_models(tmp_path, description, descriptions, good))
    tries = {name: partial(answer, path, drawn[0][:3]) for name, path in paths.items()}
    right_answers = []
    for name, (kind, value) in attempts(tries):
        if name in ("constant", "whole"):
            right_answers.append(value)
        if kind == ANSWER:  # of a constant model without a hash, flipped bits of its answers cannot be known
            described = descriptions.get(name.removeprefix("described "))
            right = value in right_answers or name.startswith("flipped constants") or as_described(value, described)
        else:
            right = kind == REFUSAL and is_sentence(value, paths[name].name)
        tally.judge(f"{name:.80}", right, f"{kind}: {value:.400}")
    assert {json.loads(value)[0][0] for value in right_answers} == {
        round(1 / 7, 3),
        json.loads(answer(calibrated, drawn[0][:3]))[0][0],
    }
