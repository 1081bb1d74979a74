"""Boxes become squares by a margin, reach beyond the picture, and are found where yuface is at hand."""

import sys

import numpy as np
import pytest
from PIL import Image

from fer_lightning.errors import UserError
from fer_lightning.use.detectors import Box, BoxDetector, WholePicture, YuFace, YuNet, cut, named_detector


class Stub(BoxDetector):
    """Finds two boxes, one of them doubtful."""

    def find(self, pixels):
        self.pixels = pixels
        return np.array([[10.0, 20.0, 30.0, 40.0, 0.9], [0.0, 0.0, 10.0, 10.0, 0.3]])


def test_box_is_widened_to_a_square_about_its_middle():
    picture = Image.new("RGB", (320, 240), (10, 20, 30))
    stub = Stub(margin=0.5, min_confidence=0.5)
    ((box, face),) = stub(picture)
    assert box == Box(-5, 10, 60, 60, 0.9)  # 40 * 1.5 about (25, 40)
    assert face.size == (60, 60)
    assert stub.pixels[0, 0].tolist() == [30, 20, 10]  # OpenCV's order
    ((box, _),) = stub(Image.new("L", (1280, 960)))  # searched at half the size
    assert stub.pixels.shape == (480, 640, 3)
    assert box == Box(-10, 20, 120, 120, 0.9)


def test_faces_are_ordered_from_left_to_right():
    stub = Stub(margin=0.0, min_confidence=0.2)
    assert [box for box, _ in stub(Image.new("L", (320, 240)))] == [Box(0, 0, 10, 10, 0.3), Box(5, 20, 40, 40, 0.9)]


def test_detector_has_a_name():
    assert isinstance(named_detector("none"), WholePicture)
    with pytest.raises(UserError, match=r"^detector='haar' does not exist: use one of none, yuface, yunet, or a Det"):
        named_detector("haar")
    with pytest.raises(UserError, match=r"^detector='yunet' needs model: give YuNet\(\.\.\.\) of fer_lightning\.use"):
        named_detector("yunet")


def test_border_goes_on_beyond_the_picture():
    picture = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    assert np.asarray(cut(picture, Box(-1, 2, 3, 3, 1.0))).tolist() == [[8, 8, 9], [12, 12, 13], [12, 12, 13]]


def test_without_a_detector_the_picture_is_the_face():
    picture = Image.new("L", (5, 7))
    assert WholePicture()(picture) == [(None, picture)]
    assert "taken as one face" in WholePicture.note


def test_missing_extra_and_missing_model(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "yuface", None)
    with pytest.raises(UserError, match=r"detector=yuface needs yuface: pip install -e '\.\[detect\]'$"):
        YuFace(0.0, 0.5)
    with pytest.raises(UserError, match=r"detector\.model=no\.onnx does not exist: .*detector=yuface"):
        YuNet("no.onnx", 0.0, 0.5)
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"bad\.onnx is no model that OpenCV can read"):
        YuNet(str(tmp_path / "bad.onnx"), 0.0, 0.5)


def test_yuface_finds_drawn_faces_on_a_larger_picture(onto):
    pytest.importorskip("yuface", reason="needs the extra detect")
    detector = YuFace(0.0, 0.5)
    assert detector(Image.new("RGB", (300, 200), "white")) == []
    found = [box for box, _ in detector(onto((800, 400), (80, 90, 220), (480, 100, 220)))]
    middles = sorted((box.left + box.width / 2, box.top + box.height / 2) for box in found if box is not None)
    assert len(middles) == 2, found
    np.testing.assert_allclose(middles, [(190, 200), (590, 210)], atol=45)
