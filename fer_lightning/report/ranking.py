"""Which run is better: single runs and repeated experiments, in the order of the objective."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev

from fer_lightning.runs.record import NAME, REPEATED, Record, Run, Status, read_run, read_runs

MEASURED = (
    "test/accuracy",
    "test/balanced_accuracy",
    "test/macro_f1",
    "test/accuracy_without_twins",
    "test/one_vs_rest_accuracy",
)
ENOUGH = 3  # repetitions of an experiment that give a standard deviation and allow a comparison


@dataclass(frozen=True)
class Entry:
    """One row of the leaderboard: a run, or the repetitions of one experiment over seeds or folds.

    Attributes:
        label: Short name for people.
        runs: The run, or the completed repetitions.
        overrides: Options of the run; for repetitions without seed and fold.
        figures: Metric -> value; for repetitions the mean.
        seconds: Length of the training; for repetitions the mean.
        values: Metric -> sorted values of the repetitions; empty for one run.
    """

    label: str
    runs: list[Run]
    overrides: str
    figures: Mapping[str, float]
    seconds: float | None
    values: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def record(self) -> Record:
        """Record of the first run. Repetitions share data, protocol and leaks."""
        return self.runs[0].record

    @property
    def repeated(self) -> bool:
        """Whether this entry stands for several runs."""
        return len(self.runs) > 1

    @property
    def status(self) -> str:
        """Status of the run, or "mean"."""
        return "mean" if self.repeated else self.record.status

    @property
    def leaky(self) -> bool:
        """Whether the score says nothing about new faces."""
        return bool(self.record.leaks)

    def deviation(self, metric: str) -> float | None:
        """Return the standard deviation over the repetitions, or None if there are fewer than ``ENOUGH``."""
        values = self.values.get(metric, [])
        return stdev(values) if len(values) >= ENOUGH else None


@dataclass(frozen=True)
class Board:
    """Runs and experiments, the best first.

    Attributes:
        objective: Metric that orders them.
        runs: All runs.
        names: Short name of each run.
        entries: Repeated experiments, then all runs.
    """

    objective: str
    runs: list[Run]
    names: list[str]
    entries: list[Entry]

    @property
    def scored(self) -> list[tuple[str, Run]]:
        """Name and run of the runs with predictions."""
        names = self.names
        if len(self.runs) == 1 and self.runs[0].record.data:  # a single run needs no name that tells it from others
            names = [f"{self.runs[0].record.data}, protocol {self.runs[0].record.protocol}"]
        return [(name, run) for name, run in zip(names, self.runs, strict=True) if run.predictions]


def rank_runs(runs: Iterable[Run], objective: str | None = None) -> Board:
    """Return the runs, and means over repeated runs, in the order of the objective.

    Args:
        runs: The runs.
        objective: Metric; if None, the one that the runs recorded.
    """
    runs = list(runs)
    if objective is None:
        objective = next((run.record.objective for run in runs if run.record.objective), "val/accuracy")
    runs = sorted(runs, key=lambda run: _rank(run.figures.get(objective), run.record))
    names = distinguish(runs)
    singles = [_single(run, name) for run, name in zip(runs, names, strict=True)]
    return Board(objective, runs, names, [*_means(singles, objective), *singles])


def _rank(score: float | None, record: Record) -> tuple[bool, bool, float]:
    """Return a sort key: the highest score first, then leaky runs, then those without a score."""
    return score is None, bool(record.leaks), -(score or 0.0)


def _single(run: Run, name: str) -> Entry:
    """Return the entry of one run."""
    overrides = " ".join(run.overrides) if run.record.overrides is None else run.record.overrides
    return Entry(name, [run], overrides, run.figures, run.record.elapsed_seconds)


def _means(singles: Sequence[Entry], objective: str) -> list[Entry]:
    """Return an entry for each experiment that was completed with several seeds or folds."""
    experiments = defaultdict(list)
    for entry in singles:
        if entry.status == Status.COMPLETED:
            experiments[experiment(entry.overrides)].append(entry.runs[0])
    repetitions = {overrides: runs for overrides, runs in experiments.items() if len(runs) > 1}
    options = [overrides.split() for overrides in [*repetitions, *(entry.overrides for entry in singles)]]
    entries = []
    for (overrides, runs), name in zip(repetitions.items(), unshared(options), strict=False):
        columns = {
            metric: sorted(run.figures[metric] for run in runs if metric in run.figures)
            for metric in (objective, *MEASURED)
        }
        values = {metric: column for metric, column in columns.items() if column}
        figures = {metric: fmean(column) for metric, column in values.items()}
        seconds = [run.record.elapsed_seconds for run in runs if run.record.elapsed_seconds is not None]
        label = f"mean of {len(runs)}: {name}" if name else f"mean of {len(runs)}"
        entries.append(Entry(label, runs, overrides, figures, fmean(seconds) if seconds else None, values))
    return sorted(entries, key=lambda entry: _rank(entry.figures.get(objective), entry.record))


def experiment(overrides: str) -> str:
    """Return the overrides without seed and fold."""
    return " ".join(o for o in overrides.split() if not o.lstrip("+").startswith(REPEATED))


def unshared(options: Sequence[Collection[str]]) -> list[str]:
    """Drop the options that every list has; join the rest of each list with spaces."""
    shared = set(options[0]).intersection(*options) if options else set()
    return [" ".join(option for option in row if option not in shared) for row in options]


def distinguish(runs: Sequence[Run]) -> list[str]:
    """Return a short, unique name for each run: the overrides that not all runs share, else the folder."""
    labels = [label or "all defaults" for label in unshared([run.overrides for run in runs])]
    if len(runs) > 1 and len(set(labels)) == len(labels):
        return labels
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def option_scores(runs: Iterable[Run], objective: str) -> dict[str, tuple[list[str], list[float]]]:
    """Return option -> (choices, scores) for the options that every run has and that differ between runs.

    Leaky runs count only if there are no others.
    """
    runs = [run for run in runs if objective in run.figures]
    runs = [run for run in runs if not run.record.leaks] or runs
    points: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for run in runs:
        for override in run.overrides:
            option, _, choice = override.partition("=")
            points[option].append((choice, run.figures[objective]))
    return {
        option: ([choice for choice, _ in pairs], [score for _, score in pairs])
        for option, pairs in points.items()
        if len(pairs) == len(runs) and len({choice for choice, _ in pairs}) > 1
    }


def gather(folders: Iterable[Path]) -> list[Run]:
    """Return the runs in or below some folders, each run once.

    Raises:
        UserError: If a folder holds none.
    """
    return list({run.folder.resolve(): run for folder in folders for run in read_runs(folder)}.values())


def read_jobs(sweep: Path) -> list[Run]:
    """Return the jobs of a sweep that have begun."""
    return [read_run(path.parent) for path in sorted(sweep.glob(f"*/{NAME}"))]
