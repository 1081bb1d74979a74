"""The base of every benchmark: two sides measured in turn, a claim about their ratio, and a table of claims."""

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
    """Measurements of two sides, and a claim about their ratio.

    Attributes:
        number: Number of the claim; the table is ordered by it.
        name: Name of the claim.
        ours: Median of our side.
        theirs: Median of the other side.
        unit: Unit of both.
        ratios: Ours over theirs, one ratio a round. The two sides of a round are measured one after the other.
        target: Bound of the median of the ratios.
        bound: "at least" or "at most".
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
        """Median of the rounds."""
        return statistics.median(self.ratios)

    @property
    def holds(self) -> bool:
        """True if the ratio keeps to the target."""
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
        number: Number of the claim.
        name: Name of the claim.
        ours: Function that measures our side once and returns a figure in ``unit``.
        theirs: The same for the other side.
        unit: Unit of both figures.
        target: Bound of the ratio.
        bound: "at least" or "at most".
        rounds: Number of measurements of each side.
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
        number: Number of all these claims.
        ways: Name of each way -> function that measures it once, as ``ours`` of ``compare``.
        theirs: As in ``compare``.
        unit: As in ``compare``.
        target: As in ``compare``.
        bound: As in ``compare``.
        rounds: As in ``compare``.
    """
    measured = [[side() for side in (*ways.values(), theirs)] for _ in range(rounds)]
    claims = []
    for column, name in enumerate(ways):
        ours = [figures[column] for figures in measured]
        others = [figures[-1] for figures in measured]
        ratios = [ours / other for ours, other in zip(ours, others, strict=True)]
        medians = statistics.median(ours), statistics.median(others)
        claims.append(Claim(number, name, *medians, unit, ratios, target, bound))
    return claims


def seconds(work: Callable[[], object], clock: Clock = CLOCK) -> float:
    """Return the seconds that ``work`` takes.

    One thread is timed in processor seconds, which leave out other processes. Several threads are timed by the clock.
    """
    start = clock()
    work()
    return clock() - start


def now(device: str) -> float:
    """Return the seconds of the clock on the wall when a GPU has done all its work; for the CPU those of ``CLOCK``."""
    import torch

    if device != "gpu":
        return CLOCK()
    torch.cuda.synchronize()
    return time.perf_counter()


def configure(folder: Path, *options: str) -> Any:
    """Return the configuration of a training on the faces of FER_DATA, or on synthetic ones, with a run's folder."""
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig

    import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes

    folders = [f"hydra.runtime.output_dir={folder}", f"paths.cache_dir={CACHE}"]
    overrides = [*folders, *COMMON, *source(), *options]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    return cfg


COMMON = ["logger=csv", "trainer.accelerator=cpu", "trainer.enable_progress_bar=false", "~callbacks.media"]


def source() -> list[str]:
    """Return the options that name the faces."""
    faces = os.environ.get("FER_DATA")
    return [f"data.root={Path(faces).absolute()}"] if faces else []  # absolute: each side runs in another folder


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
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=stderr, text=True)


def environment() -> dict[str, str]:
    """Return the environment of the measured processes: ``BENCH_THREADS`` threads, W&B offline."""
    return {**os.environ, "OMP_NUM_THREADS": str(THREADS), "WANDB_MODE": "offline", "PYTHONPATH": str(ROOT)}


def main(measure: Callable[[bool], list[Claim]]) -> None:
    """Measure and print the claims of one file; ``--json``: as lines of JSON, ``--tiny``: on very little data."""
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
    """Return the claims in the output of a benchmark with ``--json``."""
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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows)


def machine() -> str:
    """Return a line about the machine: processor, cores, load, versions, faces."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = {line.split(": ")[1] for line in lines if line.startswith("model name")}
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    load = ", ".join(f"{share:.1f}" for share in os.getloadavg())
    faces = "the faces of FER_DATA" if os.environ.get("FER_DATA") else "synthetic faces"
    return (
        f"{', '.join(sorted(names)) or platform.processor()}, {os.cpu_count()} cores, load {load}; "
        f"Python {platform.python_version()}, {versions}; {faces}."
    )
