"""Claim 10: with one busy competitor a core, a training keeps about half of its speed."""

import os
import subprocess
import sys

from harness import Claim, compare, main
from whole_machine import together


def beside(steps: int) -> float:
    """Return the pictures a second of a training beside one busy process a core."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        return together("ours", steps)
    finally:
        for process in busy:
            process.kill()
            process.wait()


def measure(tiny: bool) -> list[Claim]:
    """Return the claim."""
    steps = 2 if tiny else 40
    name = "training beside one busy process a core, over training alone"
    sides = (lambda: beside(steps)), (lambda: together("ours", steps))
    return [compare(10, name, *sides, "pictures/s", 0.45, "at least", 1 if tiny else 3)]


if __name__ == "__main__":
    main(measure)
