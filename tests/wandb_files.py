"""Read the offline runs of W&B by W&B's own reader."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

WANDB = sys.executable, "-m", "wandb"


@cache
def inspect(path: Path) -> dict:
    """Return what W&B's own reader finds in an offline run."""
    command = [*WANDB, "leet", "inspect", "--summary", "--json", path]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@cache
def every_record(path: Path) -> list[dict]:
    """Return the records of an offline run, again by W&B's own reader."""
    done = subprocess.run([*WANDB, "leet", "inspect", "--json", path], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def records(path: Path, kind: str) -> list[dict]:
    return [record[kind] for record in every_record(path) if record["type"] == kind]
