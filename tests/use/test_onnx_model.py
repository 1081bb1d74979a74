"""An ONNX model answers as its checkpoint."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fer_lightning import load_model
from fer_lightning.errors import UserError
from fer_lightning.use.bundles import read_checkpoint


def test_onnx_answers_as_the_checkpoint(calibrated, drawn, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    from fer_lightning.use.onnx_model import describe, to_onnx

    network, description = read_checkpoint(calibrated)
    (tmp_path / "model.onnx").write_bytes(describe(to_onnx(network, 48), description))
    other, model = load_model(tmp_path / "model.onnx"), load_model(calibrated)
    found, wanted = other.answer(drawn[0]), model.answer(drawn[0])
    assert np.array_equal(found.labels, wanted.labels)
    np.testing.assert_allclose(found.votes, wanted.votes, atol=1e-4)
    np.testing.assert_allclose(found.similarities, wanted.similarities, atol=1e-5)
    assert (found.neighbours[:, 0] == wanted.neighbours[:, 0]).mean() > 0.95  # others may be equally near
    assert replace(other.description, origin=model.description.origin) == model.description
    said = [[one.abstained for one in which.predict(list(drawn[0]))] for which in (other, model)]
    assert said[0] == said[1]
    for count in (0, 1, 7, 100):  # any number of faces
        assert other.votes(drawn[0][:count]).shape == (count, 7)
        raw = other.backend.session.run(["labels", "votes", "neighbours"], {"faces": drawn[0][:count]})
        assert [values.shape for values in raw] == [(count,), (count, 7), (count, 9)]
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "model.onnx").read_bytes()[:5000])
    with pytest.raises(UserError, match=r"cut\.onnx is no whole ONNX model: "):
        load_model(tmp_path / "cut.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    digest = content.index(b'"model": "sha256:')
    places = [*range(3, len(content), len(content) // 7), *range(digest, digest + 90, 5), len(content) - 1]
    for place in places:  # graph, weights, description, the hash itself and the key that names it
        flipped = bytearray(content)
        flipped[place] ^= 0x40
        (tmp_path / "flipped.onnx").write_bytes(flipped)
        with pytest.raises(
            UserError, match=r"flipped\.onnx \(.* bytes\) is damaged: its hash does not fit its content"
        ):
            load_model(tmp_path / "flipped.onnx")


C, N = 7, 1
DAMAGES: dict[str, tuple[dict, str]] = {  # outputs that replace those of a stranger's model
    "nothing": ({}, ""),
    "rows": ({"labels": np.zeros(3, np.int64)}, r"labels have the shape \(3,\)"),
    "label": ({"labels": np.array([99])}, "labels are outside 0 to 6"),
    "negative label": ({"labels": np.array([-1])}, "labels are outside 0 to 6"),
    "type": ({"labels": np.zeros(N, np.float32)}, r"labels are tensor\(float\)"),
    "classes": ({"votes": np.full((N, 5), 0.2, np.float32)}, r"votes have the shape \[1, 5\]"),
    "nan": ({"votes": np.full((N, C), np.nan, np.float32)}, "votes are outside 0 to 1, or not finite"),
    "negative": ({"votes": np.full((N, C), -1, np.float32)}, "votes are outside 0 to 1"),
    "sum": ({"votes": np.full((N, C), 0.5, np.float32)}, "votes do not sum to 1"),
    "long": ({"embeddings": np.full((N, 4), 9, np.float32)}, "embeddings are outside -1 to 1"),
    "similarity": ({"similarities": np.full((N, 2), np.nan)}, "similarities are outside -1 to 1, or not finite"),
    "neighbour": ({"neighbours": np.full((N, 2), -1)}, "neighbours are outside 0 to inf"),
    "ragged": ({"similarities": np.zeros((N, 3))}, r"similarities have the shape \(1, 3\)"),
    "neighbour's label": ({"neighbour_labels": np.full((N, 2), 50)}, "neighbour_labels are outside 0 to 6"),
    "missing": ({"similarities": None}, "it gives labels, votes, embeddings, neighbours, neighbour_labels, not"),
}


@pytest.mark.parametrize(("name", "changes", "words"), [(name, *case) for name, case in DAMAGES.items()])
def test_answers_of_a_stranger_are_compared_before_the_first_use(name, changes, words, checkpoint, tmp_path):
    """The models have constant outputs and no hash, as those from before it."""
    path = write_constant(tmp_path / "model.onnx", read_checkpoint(checkpoint)[1], changes)
    if not words:
        assert load_model(path).predict([np.zeros((9, 9), np.uint8)])[0].label == "angry"
        return
    with pytest.raises(UserError, match=rf"checkpoint=.*model\.onnx .*{words}"):
        load_model(path)


def test_faces_of_another_name_type_or_size_are_refused(checkpoint, tmp_path):
    description = read_checkpoint(checkpoint)[1]
    for inputs in (("x", 2, ("n", 48, 48)), ("faces", 1, ("n", 48, 48)), ("faces", 2, ("n", 32, 32))):
        path = write_constant(tmp_path / "model.onnx", description, {}, inputs)
        with pytest.raises(
            UserError, match=r"model\.onnx is damaged or no model of fer_lightning \((it takes|faces have)"
        ):
            load_model(path)


def test_graph_that_does_not_end_is_stopped(checkpoint, tmp_path, monkeypatch):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    from onnx import TensorProto, helper, numpy_helper

    from fer_lightning.use import onnx_model

    monkeypatch.setattr(onnx_model, "PATIENCE", -0.7)
    tensors = {"trips": np.int64(2**62), "go": np.bool_(True), "start": np.zeros(N, np.int64)}
    steps = [helper.make_node("Identity", [name], [f"{name}2"]) for name in ("goes", "state")]
    shapes = {"step": (TensorProto.INT64, []), "goes": (TensorProto.BOOL, []), "state": (TensorProto.INT64, [N])}
    values = {name: helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()}
    ends = [helper.make_tensor_value_info(f"{name}2", *shapes[name]) for name in ("goes", "state")]
    body = helper.make_graph(steps, "body", list(values.values()), ends)
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value)))
        for name, value in tensors.items()
    ]
    nodes.append(helper.make_node("Loop", [*tensors], ["labels"], body=body))
    path = write_constant(tmp_path / "model.onnx", read_checkpoint(checkpoint)[1], {}, nodes=nodes)
    with pytest.raises(UserError, match=r"model\.onnx cannot judge a face \(.*terminate"):
        load_model(path)


def test_failure_about_a_later_face_names_the_model(checkpoint, tmp_path):
    """An empty face is answered, as its brightest pixel is a row of the table of labels; others are not."""
    pytest.importorskip("onnx", reason="needs the extra onnx")
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Constant", [], ["table"], value=numpy_helper.from_array(np.zeros(N, np.int64))),
        helper.make_node("Cast", ["faces"], ["cast"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["cast"], ["brightest"], keepdims=0),
        helper.make_node("Unsqueeze", ["brightest", "axis"], ["row"]),
        helper.make_node("Gather", ["table", "row"], ["labels"]),
    ]
    nodes.insert(0, helper.make_node("Constant", [], ["axis"], value=numpy_helper.from_array(np.array([0]))))
    model = load_model(write_constant(tmp_path / "model.onnx", read_checkpoint(checkpoint)[1], {}, nodes=nodes))
    assert model.predict([np.zeros((48, 48), np.uint8)])[0].label == "angry"
    with pytest.raises(UserError, match=r"checkpoint=.*model\.onnx cannot judge a face \(.*Gather"):
        model.predict([np.full((48, 48), 9, np.uint8)])


def test_description_that_is_no_text_is_refused(checkpoint, tmp_path):
    path = write_constant(tmp_path / "model.onnx", read_checkpoint(checkpoint)[1], {})
    path.write_bytes(path.read_bytes().replace(b"image_size", b"image\xffsize", 1))
    with pytest.raises(UserError, match=r"checkpoint=.*model\.onnx is no whole ONNX model: 'utf-8' codec"):
        load_model(path)


def write_constant(path, description, changes, inputs=("faces", 2, ("n", 48, 48)), nodes=()):
    """Write a model that gives the same answer about any faces; ``nodes`` may compute some outputs."""
    pytest.importorskip("onnx", reason="needs the extra onnx")
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    from onnx import helper, numpy_helper, save_model

    from fer_lightning.use.onnx_model import KEY

    answers = {
        "labels": np.zeros(N, np.int64),
        "votes": np.full((N, C), 1 / C, np.float32),
        "embeddings": np.eye(N, 4, dtype=np.float32),
        "neighbours": np.zeros((N, 2), np.int64),
        "similarities": np.ones((N, 2)),
        "neighbour_labels": np.zeros((N, 2), np.int64),
    } | changes
    answers = {name: values for name, values in answers.items() if values is not None}
    computed = {name for node in nodes for name in node.output}
    constants = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values))
        for name, values in answers.items()
        if name not in computed
    ]
    outputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
        for name, values in answers.items()
    ]
    graph = helper.make_graph([*nodes, *constants], "g", [helper.make_tensor_value_info(*inputs)], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {KEY: description.to_json()})
    save_model(model, path)
    return path


def test_onnx_finds_the_neighbours_that_torch_finds(tmp_path):
    """Similarities below 0 lie on the same grid in both. All, some, and some of equal neighbours are asked for."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    from fer_lightning.models.knn import KNNClassifier
    from fer_lightning.use.onnx_model import OnnxBackend

    searches = []
    for k, last in ((60, 4.4), (5, 4.4), (5, 1.7999995)):
        searches.append(KNNClassifier(k, [], "similarity", 0.1, 3, 2))
        angle = torch.linspace(1.8, last, 50)
        searches[-1].fit(torch.stack([angle.cos(), angle.sin()], dim=1), torch.arange(50) % 3)

    class Search(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.searches = torch.nn.ModuleList(searches)

        def forward(self, queries):
            answers = []
            for search in self.searches:
                labels, votes, near = search.classify(queries)
                answers += [labels, votes, *near]
            return tuple(answers)

    queries = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    shapes = {"queries": {0: torch.export.Dim("N", min=1, max=128)}}
    program = torch.onnx.export(Search().eval(), (queries,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    program.save(str(tmp_path / "search.onnx"))
    session = OnnxBackend(str(tmp_path / "search.onnx")).session
    for count in (1, 2):
        found = session.run(None, {session.get_inputs()[0].name: queries[:count].numpy()})
        for one, other in zip(found, Search()(queries[:count]), strict=True):
            np.testing.assert_array_equal(one, other.numpy())
    step = len(found) // 3
    assert all(similarities.min() < -0.2 for similarities in found[3::step])


def test_onnx_without_onnxruntime_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(UserError, match=r"an ONNX model needs onnxruntime: pip install -e '\.\[onnx\]'$"):
        load_model(tmp_path / "model.onnx")


def test_threads_are_those_of_openmp():
    from fer_lightning.use.onnx_model import threads

    settings = {"": 0, "3": 3, "4,2": 4, "abc": 0, "-1": 0, " 2 ": 2}
    assert {setting: threads(setting) for setting in settings} == settings
