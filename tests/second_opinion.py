"""A second program for what a report says of runs. It reads their files alone and shares no code with the package."""

import csv
import math
from collections import defaultdict
from pathlib import Path


def read(run: Path) -> dict[str, tuple[bool, str]]:
    """Return file -> whether the prediction is the label, and the group of twins."""
    with (run / "predictions.csv").open() as file:
        return {row["file"]: (row["label"] == row["prediction"], row["twins"]) for row in csv.DictReader(file)}


def accuracy(run: Path) -> float:
    hits = [right for right, _ in read(run).values()]
    return sum(hits) / len(hits)


def mean_and_deviation(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def mcnemar(first: Path, second: Path) -> tuple[float, float, float, float]:
    """Return the difference, a 95 % interval by the variance between groups of twins, and the exact p."""
    one, other = read(first), read(second)
    gains = {file: right - other[file][0] for file, (right, _) in one.items()}
    difference = sum(gains.values()) / len(gains)
    groups = defaultdict(float)
    for file, (_, group) in one.items():
        groups[group] += gains[file] - difference
    half = 1.96 * math.sqrt(sum(excess**2 for excess in groups.values())) / len(gains)
    better, worse = sum(gain > 0 for gain in gains.values()), sum(gain < 0 for gain in gains.values())
    tail = sum(math.comb(better + worse, k) for k in range(min(better, worse) + 1)) / 2 ** (better + worse)
    return difference, difference - half, difference + half, min(1.0, 2 * tail)


def paired_t(gains: list[float]) -> float:
    """Return the two-sided p of Student's t-test, by integrating his density in 20,000 steps."""
    mean, deviation = mean_and_deviation(gains)
    degrees, t = len(gains) - 1, abs(mean) / (deviation / math.sqrt(len(gains)))
    scale = math.gamma((degrees + 1) / 2) / (math.sqrt(degrees * math.pi) * math.gamma(degrees / 2))
    step = t / 20_000
    middles = ((number + 0.5) * step for number in range(20_000))
    return 1 - 2 * step * sum(scale * (1 + x * x / degrees) ** (-(degrees + 1) / 2) for x in middles)
