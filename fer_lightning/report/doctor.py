"""The training doctor: faults of a run that has ended, each with a remedy that fits the run's loss and settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from fer_lightning.report.statistics import confusion_of, standard_error
from fer_lightning.report.yardsticks import majority, near_chance
from fer_lightning.runs.record import Run
from fer_lightning.words import number, percent

LATEST = 20  # logged values that count as the end of a training
COLLAPSED = 0.05  # spread of the validation embeddings; healthy: above 0.9 on triplets, 0.2 to 0.4 on class centres
LAGGING = 3  # times that the spread in training is larger than that of the validation embeddings
FEW = 300  # steps of a training that shows little yet; quickstart has 364
DEAD = 0.002  # share of active triplets
WRONG, PASSED_OVER = 0.05, 0.999  # share of triplets in the wrong order; share of these that the miner leaves out
GAP = 0.2  # training accuracy minus test accuracy
HELD_IN = 1000  # training faces of the training accuracy, at most
MINERS = {"FaceNetMiner": "facenet", "BatchEasyHardMiner": "easy_positive", "BatchHardMiner": "batch_hard"}


@dataclass(frozen=True)
class Settings:
    """The options of a run that decide which remedies it has; without its config.yaml they are unknown."""

    run: Run

    @cached_property
    def config(self) -> Any:
        """The run's config.yaml; empty without the file."""
        path = self.run.folder / "config.yaml"
        return OmegaConf.load(path) if path.is_file() else OmegaConf.create()

    def get(self, option: str) -> Any:
        """Return the value of an option, or None if it is unknown."""
        return OmegaConf.select(self.config, option)

    def name(self, node: str) -> str:
        """Return the name of the class of a node; empty if it is unknown."""
        return str(self.get(f"{node}._target_") or "").rpartition(".")[2]

    @property
    def mines(self) -> bool:
        """True if a miner chooses triplets of faces."""
        return self.name("loss") == "TripletMarginLoss"

    @property
    def longer(self) -> str:
        """The option that ends the training."""
        return "trainer.max_epochs" if (self.get("trainer.max_steps") or -1) < 0 else "trainer.max_steps"

    def miners(self, *choices: str) -> list[str]:
        """Return options that choose a miner, without the one in use; none if the loss takes no triplets of faces."""
        current = MINERS.get(self.name("miner"), self.get("miner.type_of_triplets"))
        return [f"miner={choice}" for choice in choices if self.mines and choice != current]

    def losses(self) -> list[str]:
        """Return the option of a loss without triplets of faces, if the run has one with them."""
        return ["loss=triplet_center"] if self.mines else []


def findings(run: Run) -> list[str]:
    """Return a sentence for each fault of a run that has ended. A part of the faces shows no fault of the network.

    Chance and collapse come first. They explain classes that are never predicted, and forbid to judge the last gain.
    """
    settings = Settings(run)
    if run.record.trained_on or run.record.predictions:  # the score says little of a training
        return []
    if parts := [*_parts(run)]:
        return [*parts, *_triplets(run, settings)]
    causes = [*_chance(run, settings), *_collapse(run, settings)]
    symptoms = [] if causes else [*_missing_classes(run, settings), *_early_end(run, settings)]
    return [*causes, *_triplets(run, settings), *_overfitting(run, settings), *symptoms]


def _parts(run: Run) -> Iterator[str]:
    if run.record.draw:
        yield f"{run.record.draw}: leave it out for a network and figures of all faces"
    scored, unscored = run.record.test_faces, run.record.unscored
    if scored and unscored:
        yield (
            f"only {scored:,} of {scored + unscored:,} test faces were scored: leave out trainer.limit_test_batches "
            "for figures of all"
        )


def _chance(run: Run, settings: Settings) -> Iterator[str]:
    accuracy = run.figures.get("test/accuracy")
    if accuracy is None or not run.predictions:
        return
    faces, (name, share) = len(run.right), majority(run)
    apart = run.figures.get("test/balanced_accuracy_low", 0) > 1 / len(run.classes)  # as sampler=balanced trains for
    if apart or not near_chance(accuracy, faces, share):
        return
    steps = _steps(run)
    remedy = f"raise {settings.longer}, or try another optimizer.lr"
    if steps is not None and steps < FEW:
        remedy = f"{steps:,} steps are few: raise {settings.longer}"
    elif settings.mines:
        remedy = f"raise {settings.longer}, or try {_either(settings.losses())}"
    yield (
        f"near chance: {percent(accuracy)} of {faces:,} test faces are right, always answering {name} has "
        f"{percent(share)} right; {remedy}"
    )


def _collapse(run: Run, settings: Settings) -> Iterator[str]:
    spread, training = _spread_as_tested(run), _latest(run, "train/spread")
    if spread is None:
        return
    if training is not None and training > COLLAPSED and training > LAGGING * spread:
        causes = "the running statistics of batch norm lag"
        if settings.get("callbacks.average"):
            causes = "the averaged weights and the running statistics of batch norm lag"
        yield (
            f"the tested embeddings are nearly equal (spread {spread:.3f} on the validation faces, {training:.2f} in "
            f"training): {causes} behind the training; train longer ({settings.longer})"
        )
    elif spread < COLLAPSED:
        remedies = ["a lower optimizer.lr", *settings.losses(), *settings.miners("semihard")]
        yield f"the embeddings collapse (spread {spread:.3f} on the validation faces): try {_either(remedies)}"


def _triplets(run: Run, settings: Settings) -> Iterator[str]:
    if not settings.mines:
        return
    wrong, passed_over = _latest(run, "train/violated_share"), _latest(run, "train/passed_over_share")
    if wrong is not None and passed_over is not None and wrong > WRONG and passed_over > PASSED_OVER:
        yield (
            f"the miner passes over {percent(passed_over, 0)} of the wrong triplets, which are {percent(wrong, 0)} of "
            f"all: nothing turns them round; try {_either([*settings.miners('facenet', 'all'), *settings.losses()])}"
        )
    active = _latest(run, "train/active_share")
    if active is not None and active < DEAD:
        remedies = ["a larger data.batch_size", "a larger loss.margin", *settings.miners("hard")]
        yield (
            f"only {percent(active, 2)} of the triplets are still active, little is learned from the rest: try "
            f"{_either(remedies)}"
        )


def _missing_classes(run: Run, settings: Settings) -> Iterator[str]:
    if not run.predictions:
        return
    confusion = confusion_of(run)
    counts = zip(run.classes, confusion.sum(axis=1), confusion.sum(axis=0), strict=True)
    missing = [name for name, true, predicted in counts if true and not predicted]
    if missing:
        remedy = f"train longer ({settings.longer})"
        if settings.name("sampler") != "ClassSampler":
            remedy += " or use sampler=balanced"
        yield f"never predicted: {', '.join(missing)}; {remedy}"


def _overfitting(run: Run, settings: Settings) -> Iterator[str]:
    training, test = run.figures.get("train/accuracy"), run.figures.get("test/accuracy")
    if training is None or test is None:
        return
    errors = standard_error(training, HELD_IN), standard_error(test, run.record.test_faces or HELD_IN)
    if training - test - 2 * np.hypot(*errors) > GAP:
        remedies = ["a higher embedder.dropout", "a higher optimizer.weight_decay"]
        if settings.get("augmentation.transforms") == []:
            remedies.insert(0, "augmentation=paper")
        elif not settings.get("augmentation.online"):
            remedies.insert(0, "augmentation.online=true")
        yield (
            f"training faces are classified at {percent(training)}, test faces at {percent(test)}: the network learns "
            f"faces by heart; try {_either(remedies)}"
        )


def _early_end(run: Run, settings: Settings) -> Iterator[str]:
    faces = run.record.validation_faces  # unknown to runs of earlier versions
    if "val/accuracy" not in run.history or not faces:
        return
    values = run.history["val/accuracy"][1]
    if len(values) > 1 and values[-1] == values.max():
        error = standard_error(values[-1], faces)
        if values[-1] - values[-2] > 2 * error:
            yield (
                f"still improving when it ended (accuracy {percent(values[-2])} to {percent(values[-1])} in the last "
                f"two validations, standard error {number(error)}): raise {settings.longer}"
            )


def _either(remedies: list[str]) -> str:
    """Return remedies as a list for people."""
    return " or ".join([", ".join(remedies[:-1]), remedies[-1]]) if len(remedies) > 1 else remedies[0]


def _steps(run: Run) -> int | None:
    """Return the number of steps of the training, or None if no metric was logged."""
    return int(run.history["train/loss"][0][-1]) + 1 if "train/loss" in run.history else None


def _spread_as_tested(run: Run) -> float | None:
    """Return the spread of the validation embeddings when the checkpoint was chosen, or None if it is unknown."""
    if "val/spread" not in run.history:
        return None
    spreads = run.history["val/spread"][1]
    scores = run.history.get(run.record.objective or "val/accuracy", (None, spreads[:0]))[1]
    return float(spreads[scores.argmax() if len(scores) == len(spreads) else -1])


def _latest(run: Run, metric: str) -> float | None:
    """Return the mean of the last logged values of a metric, or None without any."""
    if metric not in run.history:
        return None
    return float(np.mean(run.history[metric][1][-LATEST:]))
