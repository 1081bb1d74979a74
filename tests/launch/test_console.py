"""A console that goes away, and text that it cannot show."""

import subprocess
import sys

import pytest

from tests.conftest import ENVIRONMENT, ROOT

TRAIN = str(ROOT / "train.py")


@pytest.mark.parametrize("console", ["full", pytest.param("gone", marks=pytest.mark.long)])
def test_a_console_that_cannot_be_written(tmp_path, console):
    """The command goes on: what it does is worth more than what it says."""
    done = {"full": "> /dev/full", "gone": "| true; exit ${PIPESTATUS[0]}"}[console]
    shell = f"{sys.executable} {TRAIN} --help {done}"
    ended = subprocess.run(
        ["bash", "-c", shell], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    reason = {"full": "No space left on device", "gone": "Broken pipe"}[console]
    assert ended.stderr.startswith(f"standard output cannot be written ({reason}): the command goes on without it")
    assert ended.stderr.count("\n") == 1
