"""A table of situations and the doctor's sentences, and no sentence on a healthy run."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fer_lightning.data.faces import CLASSES
from fer_lightning.report import doctor
from fer_lightning.report.doctor import findings
from fer_lightning.runs.record import Record, Run

TRAINING = {
    "train/loss": 0.1,
    "train/spread": 0.95,
    "train/active_share": 0.05,
    "train/violated_share": 0.3,
    "train/passed_over_share": 0.9,
}
TRIPLET = ("loss=triplet",)  # sets also the margin of miners
SOFTMAX = ("experiment=quickstart",)  # averaged weights, online augmentation, no miner, no margin
DRAW = "trainer.limit_val_batches leaves an even draw"
ONE_OF_SEVEN = {"right": 100, "test/accuracy": 100 / 700, "train/accuracy": 100 / 700}  # always one class


@pytest.fixture
def make(tmp_path, make_cfg):
    """Make the folder of a run, healthy but for what a test changes."""

    def make(
        options=TRIPLET,
        last_step=3000,
        spread=0.9,
        validation=(0.3, 0.4, 0.4),
        validation_faces=3589,
        right=400,
        predicted=CLASSES,
        training=None,
        record=None,
        **figures,
    ) -> Run:
        values = {**TRAINING, **(training or {})}
        lines = [f"step,epoch,{','.join(values)},val/accuracy,val/spread"]
        steps = [last_step - 10 * back for back in reversed(range(30))]
        lines += [f"{step},0,{','.join(map(str, values.values()))},," for step in steps]
        spreads = (0.001, *[spread] * (len(validation) - 1))  # the first validation comes too early to be chosen
        lines += [
            f"{last_step},0,{',' * len(values)}{accuracy},{each}"
            for accuracy, each in zip(validation, spreads, strict=True)
        ]
        (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
        rows = ["file,label,prediction,vote,twins,twin_in_training"]
        for face in range(700):
            label = CLASSES[face % 7]
            guess = label if face < right else CLASSES[(face + 1) % 7]
            rows.append(f"{face}.png,{label},{guess if guess in predicted else predicted[0]},1,{face},0")
        (tmp_path / "predictions.csv").write_text("\n".join(rows) + "\n")
        OmegaConf.save(make_cfg(*options), tmp_path / "config.yaml")
        figures = {"train/accuracy": 0.5, "test/accuracy": right / 700, **figures}
        faces = {"test_faces": 700, "validation_faces": validation_faces}
        return Run(tmp_path, Record(figures=figures, objective="val/accuracy", **{**faces, **(record or {})}))

    return make


@pytest.mark.parametrize(
    ("options", "situation"),
    [
        (TRIPLET, {}),
        (SOFTMAX, {"spread": 0.34, "training": {"train/spread": 0.33}}),  # as quickstart ends
        (SOFTMAX, {"training": {"train/active_share": 0.0, "train/passed_over_share": 1.0}}),  # it has no triplets
        ((), {"training": {"train/active_share": 0.0, "train/passed_over_share": 1.0}}),  # triplets of class centres
        (SOFTMAX, {"validation": (0.2, 0.208, 0.236), "validation_faces": 72}),  # two faces are no improvement
        (TRIPLET, {"validation": (0.39, 0.39, 0.4)}),  # 1 point of 3,589 faces is within the error
        (TRIPLET, {"validation": (0.3, 0.35, 0.4), "validation_faces": None}),  # a run of an earlier version
        (TRIPLET, {"train/accuracy": 0.78}),  # 20.9 points above the test, which is within the error of 20
        (SOFTMAX, {"right": 120, "train/accuracy": 0.2, "test/balanced_accuracy_low": 0.15}),  # classes are told apart
    ],
)
def test_a_healthy_run_gets_no_line(make, options, situation):
    assert findings(make(options, **situation)) == []


@pytest.mark.parametrize(
    ("options", "situation", "sentences"),
    [
        (  # adam of debug=limit: every test face gets one vector, although the training's have spread
            SOFTMAX,
            {**ONE_OF_SEVEN, "predicted": ["happy"], "spread": 0.0, "training": {"train/spread": 0.7}, "last_step": 39},
            [
                "near chance: 14.3 % of 700 test faces are right, always answering angry has 14.3 % right; "
                "40 steps are few: raise trainer.max_epochs",
                "the tested embeddings are nearly equal (spread 0.000 on the validation faces, 0.70 in training): the "
                "averaged weights and the running statistics of batch norm lag behind the training; train longer "
                "(trainer.max_epochs)",
            ],
        ),
        (  # a good score does not hide it
            (*SOFTMAX, "~callbacks.average", "trainer.max_steps=10"),
            {"spread": 0.003, "training": {"train/spread": 0.43}, "last_step": 9},
            [
                "the tested embeddings are nearly equal (spread 0.003 on the validation faces, 0.43 in training): the "
                "running statistics of batch norm lag behind the training; train longer (trainer.max_steps)"
            ],
        ),
        (
            TRIPLET,
            {**ONE_OF_SEVEN, "spread": 0.01, "training": {"train/spread": 0.01}},
            [
                "near chance: 14.3 % of 700 test faces are right, always answering angry has 14.3 % right; "
                "raise trainer.max_epochs, or try loss=triplet_center",
                "the embeddings collapse (spread 0.010 on the validation faces): try a lower optimizer.lr or "
                "loss=triplet_center",
            ],
        ),
        (
            SOFTMAX,
            {"spread": 0.01, "training": {"train/spread": 0.01}},
            ["the embeddings collapse (spread 0.010 on the validation faces): try a lower optimizer.lr"],
        ),
        (  # 4.9 points above
            SOFTMAX,
            {"right": 134, "train/accuracy": 0.2, "validation": (0.1, 0.15, 0.2)},
            [
                "near chance: 19.1 % of 700 test faces are right, always answering angry has 14.3 % right; "
                "raise trainer.max_epochs, or try another optimizer.lr"
            ],
        ),
        (
            TRIPLET,
            {"training": {"train/active_share": 0.0005}},
            [
                "only 0.05 % of the triplets are still active, little is learned from the rest: try a larger "
                "data.batch_size, a larger loss.margin or miner=hard"
            ],
        ),
        (
            (*TRIPLET, "miner=hard"),
            {"training": {"train/active_share": 0.0005}},
            [
                "only 0.05 % of the triplets are still active, little is learned from the rest: try a larger "
                "data.batch_size or a larger loss.margin"
            ],
        ),
        (
            (*TRIPLET, "miner=facenet"),
            {"training": {"train/passed_over_share": 1.0}},
            [
                "the miner passes over 100 % of the wrong triplets, which are 30 % of all: nothing turns them round; "
                "try miner=all or loss=triplet_center"
            ],
        ),
        (
            SOFTMAX,
            {"predicted": CLASSES[1:]},
            ["never predicted: angry; train longer (trainer.max_epochs) or use sampler=balanced"],
        ),
        (
            (*SOFTMAX, "sampler=balanced"),
            {"predicted": CLASSES[1:]},
            ["never predicted: angry; train longer (trainer.max_epochs)"],
        ),
        (
            SOFTMAX,
            {"train/accuracy": 0.9},
            [
                "training faces are classified at 90.0 %, test faces at 57.1 %: the network learns faces by heart; try "
                "a higher embedder.dropout or a higher optimizer.weight_decay"
            ],
        ),
        (
            (*SOFTMAX, "augmentation=none"),
            {"train/accuracy": 0.9},
            [
                "training faces are classified at 90.0 %, test faces at 57.1 %: the network learns faces by heart; try "
                "augmentation=paper, a higher embedder.dropout or a higher optimizer.weight_decay"
            ],
        ),
        (
            TRIPLET,
            {"validation": (0.3, 0.35, 0.4)},
            [
                "still improving when it ended (accuracy 35.0 % to 40.0 % in the last two validations, standard error "
                "0.8): raise trainer.max_epochs"
            ],
        ),
    ],
)
def test_situations_and_their_sentences(make, options, situation, sentences):
    assert findings(make(options, **situation)) == sentences


@pytest.mark.parametrize(
    ("part", "words"), [({"unscored": 36}, "only 700 of 736 test faces"), ({"draw": DRAW}, f"{DRAW}: leave it out")]
)
def test_a_part_of_the_faces_shows_no_fault(make, part, words):
    """A run of debug=limit on real faces was called collapsed and learnt by heart, neither of which was true."""
    run = make(SOFTMAX, **ONE_OF_SEVEN | {"train/accuracy": 1.0}, predicted=["angry"], spread=0.0, record=part)
    (line,) = findings(run)
    assert line.startswith(words)


def test_three_classes_below_chance(tmp_path):
    """31.7 % where guessing scores 33.3 % had no line at all."""
    rows = [f"{face}.png,{'abc'[face % 3]},{'abc'[(face + (face >= 190)) % 3]},1,{face},0" for face in range(600)]
    text = "\n".join(["file,label,prediction,vote,twins,twin_in_training", *rows])
    (tmp_path / "predictions.csv").write_text(text + "\n")
    run = Run(tmp_path, Record(figures={"test/accuracy": 190 / 600}, classes=list("abc")))
    (line,) = findings(run)
    assert line.startswith("near chance: 31.7 % of 600 test faces are right, always answering a has 33.3 % right")


def test_each_remedy_with_a_value_can_be_typed(refusal):
    remedies = set(
        re.findall(r"\b((?:loss|sampler|augmentation|augmentation\.online)=\w+)", Path(doctor.__file__).read_text())
    )
    assert {"loss=triplet_center", "sampler=balanced", "augmentation=paper"} <= remedies
    for remedy in remedies:
        assert refusal(remedy) is None


def test_a_run_without_files_is_no_reason_to_fail(tmp_path):
    assert findings(Run(tmp_path)) == []
