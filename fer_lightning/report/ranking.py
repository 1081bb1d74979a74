"""Which run is better: single runs and repeated experiments, in the order of the objective."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev

from fer_lightning.runs.command import key
from fer_lightning.runs.record import NAME, REPEATED, Record, Run, Status, read_run, read_runs

MEASURED = (
    "test/accuracy",
    "test/balanced_accuracy",
    "test/macro_f1",
    "test/accuracy_without_twins",
)
SCORED = (  # beside predictions that were made elsewhere
    *MEASURED,
    "test/accuracy_with_twins",
    "test/accuracy_without_twins_same_mix",
    "test/calibration_error_raw",
    "train/accuracy",
)
IN_CSV = (*MEASURED, "test/one_vs_rest_accuracy")  # the paper's equation 1, which looks higher: in no table for people
ENOUGH = 3  # repetitions of an experiment that give a standard deviation and allow a comparison


@dataclass(frozen=True)
class Entry:
    """One row of the leaderboard: a run, or the repetitions of one experiment over seeds or folds."""

    label: str
    runs: list[Run]  # the run, or the completed repetitions
    overrides: Sequence[str]  # of repetitions without seed and fold
    figures: Mapping[str, float]  # of repetitions the means
    seconds: float | None  # of the training; of repetitions the mean
    values: Mapping[str, list[float]] = field(default_factory=dict)  # of repetitions: metric -> sorted values

    @property
    def record(self) -> Record:
        """Record of the first run. Repetitions share data, protocol and leaks."""
        return self.runs[0].record

    @property
    def repeated(self) -> bool:
        """Return whether this entry stands for several runs."""
        return len(self.runs) > 1

    @property
    def status(self) -> str:
        """Status of the run, or "mean"."""
        return "mean" if self.repeated else self.record.status

    @property
    def leaky(self) -> bool:
        """Return whether the score says nothing about new faces."""
        return bool(self.record.leaks)

    @property
    def unknown(self) -> bool:
        """Return whether a test could not find out whether its score leaks."""
        return self.record.leaks is None and "test/accuracy" in self.figures

    def deviation(self, metric: str) -> float | None:
        """Return the standard deviation over the repetitions, or None if there are fewer than ``ENOUGH``."""
        values = self.values.get(metric, [])
        return stdev(values) if len(values) >= ENOUGH else None

    @property
    def marks(self) -> list[str]:
        """Words that mark a score which says little of new faces, or cannot be honest."""
        marks = {"leaky": self.leaky, "leaks unknown": self.unknown, "too good": self.record.too_good}
        return [mark for mark, is_so in marks.items() if is_so]

    def rank(self, metric: str) -> tuple[bool, bool, bool, float]:
        """Return a sort key: the highest score first, then leaky and too good entries, then those without a score."""
        return metric not in self.figures, bool(self.record.too_good), self.leaky, -self.figures.get(metric, 0.0)


@dataclass(frozen=True)
class Board:
    """The leaderboard: repeated experiments, then all runs, each with the best first."""

    objective: str  # metric that orders them
    entries: list[Entry]

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [entry.runs[0] for entry in self.entries if not entry.repeated]

    @property
    def names(self) -> list[str]:
        """Short names of the runs."""
        return [entry.label for entry in self.entries if not entry.repeated]

    @property
    def scored(self) -> list[tuple[str, Run]]:
        """Name and run of the runs with predictions."""
        names, runs = self.names, self.runs
        if len(runs) == 1 and runs[0].record.data:  # a single run needs no name that tells it from others
            names = [f"{runs[0].record.data}, protocol {runs[0].record.protocol}"]
        return [(name, run) for name, run in zip(names, runs, strict=True) if run.predictions]

    @property
    def metrics(self) -> list[str]:
        """Metrics of the tables, the one that orders them first."""
        measured = SCORED if any(run.record.predictions for run in self.runs) else MEASURED
        return list(dict.fromkeys((self.objective, *measured)))

    @property
    def best(self) -> Run:
        """The best run with predictions."""
        return self.scored[0][1]


def rank_runs(runs: Sequence[Run], objective: str | None = None) -> Board:
    """Return the runs, and means over repeated runs, in the order of the objective; None: the one they recorded."""
    if objective is None:
        objective = next((run.record.objective for run in runs if run.record.objective), "val/accuracy")
    entries = []
    for run, name in zip(runs, distinguish(runs), strict=True):
        if run.record.trained_on:
            name = f"{name}, tested on {run.record.data}"
        entries.append(Entry(name, [run], run.overrides, run.figures, run.record.elapsed_seconds))
    means = _means(entries, objective)
    return Board(objective, [*means, *sorted(entries, key=lambda entry: entry.rank(objective))])


def _means(entries: Sequence[Entry], objective: str) -> list[Entry]:
    """Return an entry for each experiment that was completed with several seeds or folds, one run for each of these."""
    experiments: dict[tuple[str, ...], dict[tuple[str, str], Run]] = defaultdict(dict)
    for entry in entries:
        if entry.status == Status.COMPLETED:
            experiments[experiment(entry.overrides)].setdefault(entry.runs[0].repetition, entry.runs[0])
    repetitions = {overrides: list(runs.values()) for overrides, runs in experiments.items() if len(runs) > 1}
    names = unshared([*repetitions, *(entry.overrides for entry in entries)])
    means = []
    for (overrides, runs), name in zip(repetitions.items(), names, strict=False):
        values = {}
        for metric in (objective, *IN_CSV):
            if scores := sorted(run.figures[metric] for run in runs if metric in run.figures):
                values[metric] = scores
        figures = {metric: fmean(scores) for metric, scores in values.items()}
        seconds = [run.record.elapsed_seconds for run in runs if run.record.elapsed_seconds is not None]
        label = f"mean of {len(runs)}: {name}" if name else f"mean of {len(runs)}"
        means.append(Entry(label, runs, overrides, figures, fmean(seconds) if seconds else None, values))
    return sorted(means, key=lambda entry: entry.rank(objective))


def experiment(overrides: Iterable[str]) -> tuple[str, ...]:
    """Return the overrides without seed and fold."""
    return tuple(option for option in overrides if key(option) not in REPEATED)


def unshared(options: Sequence[Collection[str]]) -> list[str]:
    """Drop the options that every list has; join the rest of each list with spaces."""
    shared = set(options[0]).intersection(*options) if options else set()
    return [" ".join(option for option in row if option not in shared) for row in options]


def distinguish(runs: Sequence[Run]) -> list[str]:
    """Return a short, unique name for each run: the overrides that not all runs share, else the folder."""
    labels = [label or "all defaults" for label in unshared([run.overrides for run in runs])]
    if len(runs) > 1 and len(set(labels)) == len(labels) and not all(run.record.predictions for run in runs):
        return labels
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def option_scores(runs: Iterable[Run], objective: str) -> dict[str, dict[str, list[float]]]:
    """Return option -> choice -> scores, for the options that every run has and that differ between runs.

    Leaky runs count only if there are no others; of several protocols that of the first run counts.
    """
    runs = [run for run in runs if objective in run.figures]
    runs = [run for run in runs if not run.record.leaks] or runs
    runs = [run for run in runs if run.record.protocol == runs[0].record.protocol]
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for override in run.overrides:
            option, _, choice = override.partition("=")
            scores[option][choice].append(run.figures[objective])
    return {
        option: choices
        for option, choices in scores.items()
        if len(choices) > 1 and sum(map(len, choices.values())) == len(runs)
    }


def gather(folders: Iterable[Path]) -> list[Run]:
    """Return the runs in or below some folders, each run once."""
    return list({run.folder.resolve(): run for folder in folders for run in read_runs(folder)}.values())


def read_jobs(sweep: Path) -> list[Run]:
    """Return the jobs of a sweep that have begun."""
    return [read_run(path.parent) for path in sorted(sweep.glob(f"*/{NAME}"))]
