"""What every benchmark shares: two sides measured in turn, what is claimed of their ratio, and a table of it all."""

import fer_lightning  # noqa: F401, I001  sets the environment before the libraries are imported

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache"  # of faces that were read once
LIBRARIES = ("torch", "lightning", "numpy", "albumentations", "opencv-python-headless", "pytorch-metric-learning")

MARK = "CLAIM"  # before each line that ``--json`` prints

THREADS = int(os.environ.get("BENCH_THREADS", "1"))  # of torch and of processes that are measured

Clock = Callable[[], float]
CLOCK: Clock = time.process_time if THREADS == 1 else time.perf_counter


@dataclass(frozen=True)
class Claim:
    """What was measured of two sides, and what is claimed of their ratio.

    Attributes:
        number: The claim's, in the order of the table.
        name: What is measured.
        ours: Median of our side.
        theirs: Median of the other side.
        unit: Of both.
        ratios: Ours over theirs, one a round, both sides of a round measured one after the other.
        target: What the median of the ratios should keep to.
        bound: Whether the target is the least or the most.
    """

    number: int
    name: str
    ours: float
    theirs: float
    unit: str
    ratios: Sequence[float]
    target: float
    bound: Literal["at least", "at most"]

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.ratios)

    @property
    def holds(self) -> bool:
        """Whether the ratio keeps to the target."""
        return self.ratio >= self.target if self.bound == "at least" else self.ratio <= self.target


def compare(
    number: int,
    name: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    unit: str,
    target: float,
    bound: Literal["at least", "at most"],
    rounds: int,
) -> Claim:
    """Measure both sides in turn, A B A B, and return the claim.

    Args:
        number: The claim's.
        name: What is measured.
        ours: Measures our side once and returns a figure in ``unit``.
        theirs: As ``ours``, of the other side.
        unit: Of both figures.
        target: What the ratio should keep to.
        bound: Whether the target is the least or the most.
        rounds: Measurements of each side.
    """
    return compare_ways(number, {name: ours}, theirs, unit, target, bound, rounds)[0]


def compare_ways(
    number: int,
    ways: Mapping[str, Callable[[], float]],
    theirs: Callable[[], float],
    unit: str,
    target: float,
    bound: Literal["at least", "at most"],
    rounds: int,
) -> list[Claim]:
    """Measure several ways of ours and one other side in turn, A B C A B C, and return the claim of each way.

    Args:
        number: The claims'.
        ways: What is measured, and what measures it once, as ``ours`` of ``compare``.
        theirs: As of ``compare``.
        unit: As of ``compare``.
        target: As of ``compare``.
        bound: As of ``compare``.
        rounds: As of ``compare``.
    """
    *ours, others = zip(*([side() for side in (*ways.values(), theirs)] for _ in range(rounds)), strict=True)
    return [
        Claim(
            *(number, name, statistics.median(own), statistics.median(others), unit),
            *([one / other for one, other in zip(own, others, strict=True)], target, bound),
        )
        for name, own in zip(ways, ours, strict=True)
    ]


def seconds(work: Callable[[], object], clock: Clock = CLOCK) -> float:
    """Return how long some work takes.

    One thread is timed in seconds of the processor, which do not count what others do; several by the clock.
    """
    start = clock()
    work()
    return clock() - start


def configure(folder: Path, *options: str) -> Any:
    """Return the configuration of a training on the faces of FER_DATA, or on synthetic ones, with a run's folder."""
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig

    import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes

    own = [f"hydra.runtime.output_dir={folder}", f"paths.cache_dir={CACHE}", *COMMON, *source(), *options]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=own, return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    return cfg


COMMON = ["logger=csv", "trainer.accelerator=cpu", "trainer.enable_progress_bar=false", "~callbacks.media"]


def source() -> list[str]:
    """Return the options that name the faces."""
    place = os.environ.get("FER_DATA")
    return [f"data.root={Path(place).absolute()}"] if place else []  # each side has a folder of its own


def command(*arguments: str, folder: Path, code: int = 0) -> float:
    """Run Python in a process of its own; return its seconds of wall time.

    Raises:
        RuntimeError: If it ends with another code than the expected one.
    """
    began = time.perf_counter()
    process = start(*arguments, folder=folder)
    _, errors = process.communicate()
    if process.returncode != code:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}: {errors[-2000:]}")
    return time.perf_counter() - began


def start(*arguments: str, folder: Path, stderr: int = subprocess.PIPE) -> subprocess.Popen:
    """Start Python in a process of its own."""
    own = [sys.executable, *arguments]
    return subprocess.Popen(own, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=stderr, text=True)


def environment() -> dict[str, str]:
    """Return the environment of processes that are measured: ``BENCH_THREADS`` threads, W&B off the network."""
    return {**os.environ, "OMP_NUM_THREADS": str(THREADS), "WANDB_MODE": "offline", "PYTHONPATH": str(ROOT)}


def main(measure: Callable[[bool], list[Claim]]) -> None:
    """Measure the claims of one file and print them, with ``--json`` a line of JSON each; ``--tiny`` tries it."""
    import logging
    import warnings

    import torch

    torch.set_num_threads(THREADS)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # Lightning's advice about short trainings
    claims = measure("--tiny" in sys.argv)
    if "--json" in sys.argv:
        for claim in claims:
            print(MARK, json.dumps(asdict(claim)), flush=True)
    else:
        print(table(claims))


def read(text: str) -> list[Claim]:
    """Return the claims that a benchmark has printed with ``--json``."""
    lines = (line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK))
    return [Claim(**json.loads(line)) for line in lines]


def table(claims: Sequence[Claim]) -> str:
    """Return the claims as a table in Markdown."""
    rows = [["#", "claim", "ours", "theirs", "ratio (of the rounds)", "target", "holds"]]
    for claim in claims:
        lowest, highest = min(claim.ratios), max(claim.ratios)
        rows.append(
            [
                str(claim.number),
                claim.name,
                f"{claim.ours:,.3g}",
                f"{claim.theirs:,.3g} {claim.unit}",
                f"{claim.ratio:.3g} ({lowest:.3g} to {highest:.3g})",
                f"{'≥' if claim.bound == 'at least' else '≤'} {claim.target:g}",
                "yes" if claim.holds else "no",
            ]
        )
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows)


def machine() -> str:
    """Return what was measured on: processor, cores, load, versions, faces."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = {line.split(": ")[1] for line in lines if line.startswith("model name")}
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    load = ", ".join(f"{share:.1f}" for share in os.getloadavg())
    faces = "the faces of FER_DATA" if os.environ.get("FER_DATA") else "synthetic faces"
    return (
        f"{', '.join(sorted(names)) or platform.processor()}, {os.cpu_count()} cores, load {load}; "
        f"Python {platform.python_version()}, {versions}; {faces}."
    )
