"""Classes have colours and markers of their own."""

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.style import class_colors, class_markers


def test_classes_have_colours_and_markers_of_their_own():
    for classes in (CLASSES, (*CLASSES, "contempt"), ("calm", "joy", "sad")):
        colors, markers = class_colors(classes), class_markers(classes)
        assert len(set(colors.values())) == len(set(markers.values())) == len(classes)
        assert colors.get("sad") == "#0072B2"  # whatever stands beside it
    assert class_colors(("calm", "joy", "sad"))["calm"] == "#D55E00"
    assert len(class_colors([str(number) for number in range(40)])) == 40
