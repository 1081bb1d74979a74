"""Metrics of the triplets of a batch and of the classification of faces."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pytorch_metric_learning.utils.loss_and_miner_utils import convert_to_triplets  # version 3: utils.indexing
from torch import Tensor
from torchmetrics import Accuracy, ClasswiseWrapper, F1Score, MetricCollection, Precision, Recall

MEANS = {"balanced_accuracy": "recall", "macro_precision": "precision", "macro_recall": "recall", "macro_f1": "f1"}


@torch.no_grad()
def triplet_telemetry(
    embeddings: Tensor, labels: Tensor, mined: tuple[Tensor, ...] | None, margin: float
) -> dict[str, Tensor]:
    """Return the telemetry of one batch, by name.

    Args:
        embeddings: (B, D) float32, norm 1.
        labels: (B,) int64.
        mined: Output of the miner: T triplets, pairs, or None for every triplet.
        margin: Squared Euclidean distance, the margin of the loss; 0 for a loss without one.

    Returns:
        ``triplets``: number T of triplets in the loss. ``active_triplets``: those whose negative is not farther than
        the positive by ``margin``. ``active_share``: active triplets over all valid triplets of the batch.
        ``violated_share``: share of the valid triplets whose negative is no farther than the positive.
        ``passed_over_share``: share of the violated triplets that are not in the loss. ``positive_distance``,
        ``negative_distance``: mean Euclidean distance of faces with equal and with different labels, 0 to 2.
        ``spread``: see below.
    """
    squared = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist").square()  # (B, B)
    anchors, positives, negatives = convert_to_triplets(mined, labels, t_per_anchor="all")
    active = (squared[anchors, positives] + margin > squared[anchors, negatives]).sum()
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    different = ~same
    same.fill_diagonal_(False)
    valid = (same.sum(1) * different.sum(1)).sum()
    violated = same.unsqueeze(2) & different.unsqueeze(1) & (squared.unsqueeze(2) >= squared.unsqueeze(1))  # (B, B, B)
    violations = violated.sum()
    violated[anchors, positives, negatives] = False  # those in the loss
    distances = squared.sqrt()
    return {
        "triplets": torch.tensor(float(len(anchors)), device=labels.device),
        "active_triplets": active.float(),
        "active_share": active / valid.clamp(min=1),
        "violated_share": violations / valid.clamp(min=1),
        "passed_over_share": violated.sum() / violations.clamp(min=1),
        "positive_distance": (distances * same).sum() / same.sum().clamp(min=1),
        "negative_distance": (distances * different).sum() / different.sum().clamp(min=1),
        "spread": spread(embeddings),
    }


def spread(embeddings: Tensor) -> Tensor:
    """Return the root mean square distance of unit vectors (B, D) from their mean: 0 (all are equal) to 1."""
    return (1 - embeddings.mean(dim=0).square().sum()).clamp(min=0).sqrt()


def classification_metrics(classes: Sequence[str]) -> MetricCollection:
    """Return the metrics over all faces, as mean over the classes, and per class (with its name)."""
    options: dict[str, Any] = {"task": "multiclass", "num_classes": len(classes)}
    per_class = {
        name: ClasswiseWrapper(metric(average="none", **options), labels=list(classes), prefix=f"{name}_")
        for name, metric in (("precision", Precision), ("recall", Recall), ("f1", F1Score))
    }
    return MetricCollection(
        {
            "accuracy": Accuracy(average="micro", **options),
            "balanced_accuracy": Accuracy(average="macro", **options),
            "macro_precision": Precision(average="macro", **options),
            "macro_recall": Recall(average="macro", **options),
            "macro_f1": F1Score(average="macro", **options),
            **per_class,
        },
        compute_groups=False,
    )


def present_alone(
    metrics: Mapping[str, Tensor], prefix: str, classes: Sequence[str], absent: Sequence[str]
) -> dict[str, Tensor]:
    """Return the metrics without those of absent classes; means are over the classes that have faces.

    The names of the metrics begin with a prefix. The network may have answered an absent class.
    """
    if not absent:
        return dict(metrics)
    absentees = {f"{prefix}{score}_{name}" for score in ("precision", "recall", "f1") for name in absent}
    present = {name: value for name, value in metrics.items() if name not in absentees}
    for mean, score in MEANS.items():
        values = [metrics[f"{prefix}{score}_{name}"] for name in classes if name not in absent]
        present[f"{prefix}{mean}"] = torch.stack(values).mean()
    return present
