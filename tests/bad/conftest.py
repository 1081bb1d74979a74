"""Count the cases of the long attacks, and those that went wrong."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.use.conftest import calibrated, checkpoint, drawn  # noqa: F401

COUNTED = "attack"


class Tally:
    """Counts the cases of one test, and names the wrong ones at its end."""

    def __init__(self) -> None:
        self.tried = 0
        self.mistakes: list[str] = []

    def judge(self, case: object, right: bool, result: object = "") -> None:
        """Count one case. Keep the result of a wrong one."""
        self.tried += 1
        if not right:
            self.mistakes.append(f"{case}: {result}")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Count cases. The test fails at its end where one was wrong."""
    counted = Tally()
    yield counted
    request.node.user_properties.append((COUNTED, (counted.tried, len(counted.mistakes))))
    assert counted.tried, "nothing was tried"
    assert not counted.mistakes, "\n".join(counted.mistakes)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a table: class of attack, tried, right, wrong."""
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "teardown":
                for tried, wrong in (value for name, value in report.user_properties if name == COUNTED):
                    row = rows[Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")]
                    row[0] += tried
                    row[1] += wrong
    if rows:
        terminalreporter.write_sep("=", "attacks")
        terminalreporter.write_line(f"{'class':<16}{'tried':>8}{'right':>8}{'wrong':>8}")
        for name, (tried, wrong) in sorted(rows.items()):
            terminalreporter.write_line(f"{name:<16}{tried:>8}{tried - wrong:>8}{wrong:>8}")
