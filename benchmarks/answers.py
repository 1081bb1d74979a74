"""Claim 8: train.py --help, a misspelt option and a wrong value answer sooner than lightning is imported."""

import tempfile
from functools import partial
from pathlib import Path

from harness import ROOT, Claim, command, compare_ways, main

ASKED = {  # the option, and the code that the answer ends with
    "--help": ("--help", 0),
    "a misspelt option": ("data.batchsize=3", 1),
    "a wrong value": ("data.batch_size=-3", 1),
}


def measure(tiny: bool) -> list[Claim]:
    """Return a claim for each question."""
    with tempfile.TemporaryDirectory() as folder:
        run = partial(command, folder=Path(folder))
        ways = {
            f"train.py with {name}, over import lightning": partial(run, str(ROOT / "train.py"), option, code=code)
            for name, (option, code) in ASKED.items()
        }
        return compare_ways(8, ways, partial(run, "-c", "import lightning"), "s", 0.15, "at most", 1 if tiny else 3)


if __name__ == "__main__":
    main(measure)
