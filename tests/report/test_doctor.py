"""Each diagnosis from a run made to have it, and none from a healthy one."""

import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.doctor import findings
from fer_lightning.runs.record import Record, Run

HEALTHY = {
    "train/loss": 0.1,
    "train/spread": 0.95,
    "train/active_share": 0.05,
    "train/violated_share": 0.3,
    "train/passed_over_share": 0.9,
    "train/loss_over_margin": 0.5,
}


DRAW = "trainer.limit_val_batches leaves an even draw"
NEAR_ONE_DIRECTION = {**HEALTHY, "train/spread": 0.2, "train/violated_share": 0.4}  # as losses of classes leave them


def make(
    tmp_path, training=HEALTHY, validation=(0.3, 0.4, 0.4), predicted=CLASSES, unscored=None, draw=None, **figures
) -> Run:
    lines = [f"step,epoch,{','.join(HEALTHY)},val/accuracy"]
    lines += [f"{step},0,{','.join(str(training[name]) for name in HEALTHY)}," for step in range(30)]
    lines += [f"{step},0,{',' * len(HEALTHY)}{value}" for step, value in enumerate(validation, start=30)]
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
    rows = [
        f"{name}.png,{name},{guess},1,{i},0" for i, (name, guess) in enumerate(zip(CLASSES, predicted, strict=True))
    ]
    (tmp_path / "predictions.csv").write_text("\n".join(["file,label,prediction,vote,twins,twin_in_training", *rows]))
    figures = {"train/accuracy": 0.5, "test/accuracy": 0.4, **figures}
    return Run(tmp_path, Record(figures=figures, test_faces=64, unscored=unscored, draw=draw))


def test_a_healthy_run_gets_no_line(tmp_path):
    assert findings(make(tmp_path)) == []
    assert findings(make(tmp_path, training=NEAR_ONE_DIRECTION)) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"training": NEAR_ONE_DIRECTION, "test/accuracy": 0.15, "train/accuracy": 0.15},
            "embeddings collapse (spread 0.20; 15.0 % of the test faces are right, always angry scores 14.3 %): lower",
        ),
        ({"training": {**HEALTHY, "train/active_share": 0.0005}}, "only 0.05 % of the triplets are still active"),
        ({"training": {**HEALTHY, "train/loss_over_margin": 0.9}}, "within 15 % of the margin for the last 29 steps"),
        ({"training": {**HEALTHY, "train/passed_over_share": 1.0}}, "passes over 100 % of the wrong triplets"),
        ({"predicted": ["happy"] * 7}, "never predicted: angry, disgust, fear, neutral, sad, surprise"),
        ({"train/accuracy": 0.9}, "training faces are classified at 90.0 %, test faces at 40.0 %"),
        ({"unscored": 36}, "only 64 of 100 test faces were scored: leave out trainer.limit_test_batches"),
        ({"validation": (0.3, 0.35, 0.4)}, "still improving when it ended (validation accuracy 35.0 % to 40.0 %"),
    ],
)
def test_findings(tmp_path, options, words):
    (line,) = findings(make(tmp_path, **options))
    assert words in line
    assert ": " in line or "; " in line  # what to try comes after what is wrong


@pytest.mark.parametrize(("part", "words"), [({"unscored": 36}, "only 64"), ({"draw": DRAW}, f"{DRAW}: leave it out")])
def test_a_part_of_the_faces_shows_no_fault(tmp_path, part, words):
    """A run of debug=limit on real faces was called collapsed and learnt by heart, neither of which was true."""
    faults = {"training": NEAR_ONE_DIRECTION, "predicted": ["angry"] * 7, "validation": (0.1, 0.2)}
    (line,) = findings(make(tmp_path, **faults, **part, **{"train/accuracy": 1.0, "test/accuracy": 0.136}))
    assert line.startswith(words)


def test_a_run_without_files_is_no_reason_to_fail(tmp_path):
    assert findings(Run(tmp_path)) == []
