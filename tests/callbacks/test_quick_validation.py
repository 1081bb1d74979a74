"""The quick score, against an answer worked out by hand."""

from types import SimpleNamespace

import numpy as np
import torch

from fer_lightning.callbacks.quick_validation import QuickValidation
from fer_lightning.data.datamodule import Batch
from fer_lightning.models.knn import KNNClassifier
from tests.conftest import angles


class Identity(torch.nn.Module):
    """Faces that are their own embeddings; what is logged is kept."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[str, float] = {}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return images

    def log(self, name: str, value: float) -> None:
        self.logged[name] = value


def test_value_is_the_share_that_the_latest_batches_classify():
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    faces = angles(0, 1, 2, 40, 60, 80, 88, 91)

    def loader(rows: np.ndarray) -> list[Batch]:
        asked.append(rows)
        return [
            Batch(faces[part], torch.from_numpy(labels[part]), torch.from_numpy(part)) for part in (rows[:3], rows[3:])
        ]

    asked: list[np.ndarray] = []
    partition = SimpleNamespace(validation=np.arange(8), faces=SimpleNamespace(labels=labels))
    trainer = SimpleNamespace(
        datamodule=SimpleNamespace(partition=partition, loader=loader),
        global_step=0,
        precision_plugin=SimpleNamespace(convert_input=lambda images: images),
        strategy=SimpleNamespace(reduce=lambda counts, reduce_op: counts),
    )
    module = Identity().train()
    quick = QuickValidation(2, 8, 4, KNNClassifier(1, [], "uniform", 0.1, num_classes=2, embedding_size=2), seed=0)
    quick.on_train_start(trainer, module)
    assert asked[0].tolist() == list(range(8))
    # A bank of four embeddings: the first batch, which calls everything a 1, is forgotten when the third comes.
    for step, batch in enumerate((angles(0, 80), angles(0, 90), angles(10, 70)), start=1):
        trainer.global_step = step
        known = torch.tensor([1, 1]) if step == 1 else torch.tensor([0, 1])
        quick.on_train_batch_end(trainer, module, {"embeddings": batch, "labels": known}, None, step)
        if step == 2:  # known: 0 and 80 as 1, 0 again as 0, 90 as 1; the earlier of two equal ones decides
            assert module.logged == {"val/accuracy_quick": 2 / 8, "val/quick_sample_size": 8}
            module.logged = {}
    assert module.logged == {}  # step 3 is not asked
    trainer.global_step = 4
    quick.on_train_batch_end(trainer, module, {"embeddings": angles(5, 75), "labels": torch.tensor([0, 1])}, None, 4)
    # Known: 10 as 0, 70 as 1, 5 as 0, 75 as 1. Right: 0, 1, 2 (nearest 5), 88 and 91 (75); 40 is nearest to 10 and 70
    # alike, and 10 was the earlier one.
    assert module.logged == {"val/accuracy_quick": 6 / 8, "val/quick_sample_size": 8}
    assert module.training


def test_sample_is_stratified_and_the_same_for_a_seed():
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    partition = SimpleNamespace(validation=np.arange(100), faces=SimpleNamespace(labels=labels))
    drawn = []
    trainer = SimpleNamespace(datamodule=SimpleNamespace(partition=partition, loader=drawn.append))
    for seed in (0, 0, 1):
        quick = QuickValidation(2, 20, 4, KNNClassifier(1, [], "uniform", 0.1, num_classes=3, embedding_size=2), seed)
        quick.on_train_start(trainer, Identity())
    assert np.bincount(labels[drawn[0]]).tolist() == [16, 3, 1]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
