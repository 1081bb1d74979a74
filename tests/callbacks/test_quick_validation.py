"""The quick score, against an answer worked out by hand and against exact validations."""

import csv
import math
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fer_lightning.callbacks.quick_validation import QuickValidation, deal
from fer_lightning.data.datamodule import Batch
from fer_lightning.models.knn import KNNClassifier
from tests.conftest import angles, options, train


class Identity(torch.nn.Module):
    """Faces that are their own embeddings; what is logged is kept."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[tuple[int | None, float]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return images

    def gather(self, share: torch.Tensor) -> torch.Tensor:
        return share

    def log_dict(self, numbers: dict[str, float], logger: bool) -> None:
        assert not logger

    def log_metrics(self, numbers: dict[str, float], step: int) -> None:
        assert numbers["val/quick_sample_size"] == 2
        self.logged.append((step, numbers["val/accuracy_quick"]))


def test_quick_score_by_hand():
    labels = np.array([0, 1, 0, 1, 0, 1])  # four of the gallery, two of the validation
    faces = angles(0, 90, 10, 20, 5, 85)
    module = Identity().train()
    trainer = SimpleNamespace(
        datamodule=SimpleNamespace(
            partition=SimpleNamespace(gallery=np.arange(4), validation=np.array([4, 5])),
            loader=lambda rows: [Batch(faces[rows], torch.from_numpy(labels[rows]), torch.from_numpy(rows))],
        ),
        precision_plugin=SimpleNamespace(convert_input=lambda images: images, forward_context=nullcontext),
        callbacks=[],
        loggers=[module],
    )
    quick = QuickValidation(2, 8, 2, KNNClassifier(1, [], "uniform", 0.1, num_classes=2, embedding_size=2), seed=0)
    quick.on_train_start(trainer, module)
    quick.gallery = np.arange(4)
    for step in (0, 1, 2, 2, 3, 4, 6):  # step 2 has two batches
        trainer.global_step = step
        quick.on_train_batch_end(trainer, module, None, None, 0)
    # Known at step 2: 0 and 90 degrees, both right. At 4: 10 as 0 and 20 as 1, so 5 and 85 are right. At 6 as at 2.
    assert module.logged == [(1, 1.0), (3, 1.0), (5, 1.0)]
    faces[3], faces[2] = faces[2].clone(), faces[3].clone()
    trainer.global_step = 8  # 20 as 0 and 10 as 1: 5 is wrong and 85 too
    quick.on_train_batch_end(trainer, module, None, None, 0)
    assert module.logged[3:] == [(7, 0.0)]
    assert module.training


def test_samples_go_round_and_are_those_of_the_seed():
    order = np.array([3, 1, 4, 5, 9])
    assert [deal(order, 2, turn).tolist() for turn in range(3)] == [[3, 1], [4, 5], [9, 3]]
    assert sorted(deal(order, 8, 7)) == sorted(order)
    partition = SimpleNamespace(gallery=np.arange(100), validation=np.arange(100, 200))
    trainer = SimpleNamespace(datamodule=SimpleNamespace(partition=partition))
    drawn = []
    for seed in (0, 0, 1):
        quick = QuickValidation(2, 20, 4, KNNClassifier(1, [], "uniform", 0.1, num_classes=3, embedding_size=2), seed)
        quick.on_train_start(trainer, Identity())
        drawn.append([*quick.gallery, *quick.queries])
    assert drawn[0] == drawn[1] != drawn[2]
    assert sorted(drawn[0]) == list(range(200))


@pytest.mark.long
def test_quick_scores_agree_with_the_exact_ones(make_cfg, tmp_path):
    own = [
        *("data.drawn.count=700", "loss=triplet_center", "optimizer.lr=3e-3", "classifier.k=15", "~callbacks.media"),
        *("callbacks=averaged", "callbacks.average.decay=0.9", "callbacks.quick_validation.every_n_steps=15"),
        "callbacks.quick_validation.bank_size=1000",  # few known faces lower the score: docs/results/speed.md
        *("trainer.max_epochs=2", "trainer.limit_train_batches=30", "trainer.val_check_interval=15"),
    ]
    train(make_cfg(*(option for option in options("tiny", *own) if not option.startswith("sampler"))))
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    exact, quick = (
        [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        for name in ("val/accuracy", "val/accuracy_quick")
    )
    steps = [14, 29, 44, 59]
    assert [step for step, _ in exact] == [step for step, _ in quick] == steps  # none is told twice
    sizes = {float(row["val/quick_sample_size"]) for row in rows if row["val/quick_sample_size"]}
    (size,) = sizes  # all of them
    for (_, right), (_, sampled) in zip(exact, quick, strict=True):
        assert abs(sampled - right) < 3 * math.sqrt(right * (1 - right) / size)
    assert abs(sum(sampled - right for (_, right), (_, sampled) in zip(exact, quick, strict=True))) / len(steps) < 0.1
