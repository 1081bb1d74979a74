"""An ONNX model answers as its checkpoint."""

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
    assert other.description == model.description
    said = [[one.abstained for one in which.predict(list(drawn[0]))] for which in (other, model)]
    assert said[0] == said[1]
    for count in (1, 7, 100):  # any number of faces
        assert other.votes(drawn[0][:count]).shape == (count, 7)
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "model.onnx").read_bytes()[:5000])
    with pytest.raises(UserError, match=r"cut\.onnx \(5,000 bytes\) is no whole ONNX model: "):
        load_model(tmp_path / "cut.onnx")


@pytest.mark.parametrize(("k", "last"), [(60, 4.4), (5, 4.4), (5, 1.7999995)])  # all; some; some of equals
def test_onnx_finds_the_neighbours_that_torch_finds(tmp_path, k, last):
    """Similarities below 0 lie on the same grid in both."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    from fer_lightning.models.knn import KNNClassifier
    from fer_lightning.use.onnx_model import OnnxBackend

    knn = KNNClassifier(k, [], "similarity", 0.1, 3, 2)
    angle = torch.linspace(1.8, last, 50)
    knn.fit(torch.stack([angle.cos(), angle.sin()], dim=1), torch.arange(50) % 3)

    class Search(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.knn = knn

        def forward(self, queries):
            labels, votes, near = self.knn.classify(queries)
            return labels, votes, *near

    queries = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    shapes = {"queries": {0: torch.export.Dim("N", min=1, max=128)}}
    program = torch.onnx.export(Search().eval(), (queries,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    program.save(str(tmp_path / "search.onnx"))
    session = OnnxBackend(str(tmp_path / "search.onnx")).session
    for count in (1, 2):
        found = session.run(None, {session.get_inputs()[0].name: queries[:count].numpy()})
        for one, other in zip(found, Search()(queries[:count]), strict=True):
            np.testing.assert_array_equal(one, other.numpy())
    assert found[3].min() < -0.2


def test_onnx_without_onnxruntime_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(UserError, match=r"an ONNX model needs onnxruntime: pip install -e '\.\[onnx\]'$"):
        load_model(tmp_path / "model.onnx")
