"""The training doctor: faults of a run that has ended, each with a remedy."""

from collections.abc import Iterator

import numpy as np

from fer_lightning.report.statistics import confusion_of
from fer_lightning.report.verdict import NEAR
from fer_lightning.report.yardsticks import majority
from fer_lightning.runs.record import Run
from fer_lightning.words import percent

LATEST = 20  # logged values that count as the end of a training
COLLAPSED = 0.5  # spread; healthy trainings: above 0.9 on triplets, about 0.2 on class centres
AT_MARGIN = 0.15  # distance of loss / margin from 1; if all embeddings are equal, loss / margin is 1
DEAD = 0.002  # share of active triplets
WRONG, PASSED_OVER = 0.05, 0.999  # share of triplets in the wrong order; share of these that the miner leaves out
GAP = 0.2  # training accuracy minus test accuracy
IMPROVING = 0.005  # validation accuracy gained in the last epoch


def findings(run: Run) -> list[str]:
    """Return a sentence for each fault of a run that has ended. A part of the faces shows no fault of the network."""
    if parts := [*_parts(run)]:
        return [*parts, *_triplets(run)]
    return [
        *_collapse(run),
        *_triplets(run),
        *_missing_classes(run),
        *_overfitting(run),
        *_early_end(run),
    ]


def _parts(run: Run) -> Iterator[str]:
    if run.record.draw:
        yield f"{run.record.draw}: leave it out for a network and figures of all faces"
    scored, unscored = run.record.test_faces, run.record.unscored
    if scored and unscored:
        yield (
            f"only {scored:,} of {scored + unscored:,} test faces were scored: leave out trainer.limit_test_batches "
            "for figures of all"
        )


def _collapse(run: Run) -> Iterator[str]:
    spread, accuracy = _latest(run, "train/spread"), run.figures.get("test/accuracy")
    if spread is not None and spread < COLLAPSED and accuracy is not None and run.predictions:
        name, share = majority(run)
        if accuracy < share + NEAR:
            yield (
                f"the embeddings collapse (spread {spread:.2f}; {percent(accuracy)} of the test faces are right, "
                f"always {name} scores {percent(share)}): lower optimizer.lr, or try loss=triplet_center or "
                "miner=semihard"
            )
    if steps := _steps_at_margin(run):
        yield (
            f"loss within {percent(AT_MARGIN, 0)} of the margin for the last {steps:,} steps: collapsed, as all equal "
            "embeddings would give it; try miner=easy_positive, loss=triplet_center or a lower optimizer.lr"
        )


def _triplets(run: Run) -> Iterator[str]:
    wrong, passed_over = _latest(run, "train/violated_share"), _latest(run, "train/passed_over_share")
    if wrong is not None and passed_over is not None and wrong > WRONG and passed_over > PASSED_OVER:
        yield (
            f"the miner passes over {percent(passed_over, 0)} of the wrong triplets, which are {percent(wrong, 0)} of "
            "all: nothing turns them round; try miner=facenet, miner=all or loss=triplet_center"
        )
    active = _latest(run, "train/active_share")
    if active is not None and active < DEAD:
        yield (
            f"only {percent(active, 2)} of the triplets are still active, little is learned from the rest: try a "
            "larger data.batch_size, a larger loss.margin or miner=hard"
        )


def _missing_classes(run: Run) -> Iterator[str]:
    if not run.predictions:
        return
    confusion = confusion_of(run)
    counts = zip(run.classes, confusion.sum(axis=1), confusion.sum(axis=0), strict=True)
    missing = [name for name, true, predicted in counts if true and not predicted]
    if missing:
        yield f"never predicted: {', '.join(missing)}; train longer (trainer.max_epochs) or use sampler=balanced"


def _overfitting(run: Run) -> Iterator[str]:
    training, test = run.figures.get("train/accuracy"), run.figures.get("test/accuracy")
    if training is not None and test is not None and training - test > GAP:
        yield (
            f"training faces are classified at {percent(training)}, test faces at {percent(test)}: the network learns "
            "faces by heart; try augmentation.online=true, a higher embedder.dropout or optimizer.weight_decay"
        )


def _early_end(run: Run) -> Iterator[str]:
    if "val/accuracy" not in run.history:
        return
    values = run.history["val/accuracy"][1]
    if len(values) > 1 and values[-1] == values.max() and values[-1] - values[-2] > IMPROVING:
        yield (
            f"still improving when it ended (validation accuracy {percent(values[-2])} to {percent(values[-1])} in the "
            "last epoch): raise trainer.max_epochs"
        )


def _steps_at_margin(run: Run) -> int:
    """Return for how many steps before the end the loss stood at the margin; 0 for fewer than LATEST values."""
    if "train/loss_over_margin" not in run.history:
        return 0
    steps, ratios = run.history["train/loss_over_margin"]
    away = np.flatnonzero(np.abs(ratios - 1) > AT_MARGIN)
    first = away[-1] + 1 if len(away) else 0
    return int(steps[-1] - steps[first]) if len(steps) - first >= LATEST else 0


def _latest(run: Run, metric: str) -> float | None:
    """Return the mean of the last logged values of a metric, or None without any."""
    if metric not in run.history:
        return None
    return float(np.mean(run.history[metric][1][-LATEST:]))
