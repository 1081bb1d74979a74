"""Classes have colours and markers of their own."""

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.style import CLASS_COLORS, CLASS_MARKERS, by_class


def test_classes_have_colours_and_markers_of_their_own():
    for classes in (CLASSES, (*CLASSES, "contempt"), ("calm", "joy", "sad")):
        colors, markers = by_class(classes, CLASS_COLORS), by_class(classes, CLASS_MARKERS)
        assert len(set(colors.values())) == len(set(markers.values())) == len(classes)
        assert colors.get("sad") == "#0072B2"  # whatever stands beside it
    assert by_class(("calm", "joy", "sad"), CLASS_COLORS)["calm"] == "#D55E00"
    assert len(by_class([str(number) for number in range(40)], CLASS_COLORS)) == 40
