"""Results of a test: a score that is too good."""

import pytest

from fer_lightning.report.results import too_good
from fer_lightning.runs.record import Record


@pytest.mark.parametrize(
    ("leaks", "end"),
    [
        (None, "Whether it leaks is unknown"),
        ("", "Nothing was found that leaks; keep looking"),
        ("twins in training", "twins in training"),
    ],
)
def test_alarm_says_what_is_known_of_leaks(leaks, end):
    record = Record(figures={"test/accuracy": 0.91, "test/accuracy_low": 0.9}, leaks=leaks)
    start = "test/accuracy 91.0 % lies above the 80.0 % that can be believed here (a reason): it cannot be honest. "
    assert too_good(record, 0.8, "a reason") == start + end
    assert too_good(record, 0.9, "a reason") == ""
