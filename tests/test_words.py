"""Figures and metrics in words, at the borders of their units."""

import re

import pytest

from fer_lightning.words import counted, duration, named, number, percent, points, removed, value
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (119.4, "119 s"),
        (119.6, "120 s"),
        (120, "2 min"),
        (119 * 60 + 29, "119 min"),
        (119 * 60 + 30, "2 h 0 min"),
        (26 * 3600 + 300, "26 h 5 min"),
    ],
)
def test_duration_changes_its_unit_after_two(seconds, text):
    assert duration(seconds) == text


def test_faces_that_a_protocol_removes():
    assert removed(1, 0) == "1 training face removed because a copy is in the test set"
    assert removed(0, None, persons=9) == "0 training faces removed because a copy or the person is in the test set"
    assert removed(0, 1528) == "1,528 test faces removed because a copy is in the training set"


def test_shares_and_their_differences():
    assert (percent(0.43149), percent(0.43149, 2), number(1)) == ("43.1 %", "43.15 %", "100.0")
    assert (points(0.0114), points(-0.0114)) == ("+1.1", "-1.1")


def test_one_is_singular():
    assert (counted(0, "face"), counted(1, "face"), counted(2800, "face")) == ("0 faces", "1 face", "2,800 faces")


def test_metrics_that_are_shares_and_others():
    assert value("val/macro_f1", 0.5) == value("test/recall_sad", 0.5) == "50.0 %"
    assert value("test/aurc", 0.123456) == "0.1235"
    assert (named("test/macro_f1"), named("test/aurc")) == ("test macro F1", "test/aurc")


def test_shares_are_written_in_one_way():
    """As ``43.1 %``: neither by Python's own format, which leaves no space, nor by hand."""
    files = [path for path in (ROOT / "fer_lightning").rglob("*") if path.suffix in (".py", ".html", ".md")]
    assert [path.name for path in files if re.search(r":\.\d%|100 \* \w+:\.\df\} %", path.read_text())] == []
