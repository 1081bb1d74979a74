"""Figures that only a test can draw, from its faces and embeddings: maps, and the grid of augmented faces."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from fer_lightning.data.partition import Partition
from fer_lightning.report.style import CLASS_COLORS, CLASS_MARKERS, STYLE, by_class, new_figure, wrapped

if TYPE_CHECKING:
    from fer_lightning.data.augmentation import Chain  # albumentations loads slowly

TITLES = {  # on the page; other figures take the names of their files
    "augmentation": "Faces as they are and as training sees them (the paper's figures 2 and 7)",
    "embeddings_pca": "Map of the test embeddings, PCA",
    "embeddings_tsne": "Map of the test embeddings, t-SNE",
    "embeddings_umap": "Map of the test embeddings, UMAP",
}
PICTURES = 6  # of each class in the grid of augmented faces


@rc_context(STYLE)
def embedding_map(
    reducer: Any, embeddings: np.ndarray, labels: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """Draw a map of embeddings (B, D) with labels (B,); the reducer's ``fit_transform`` returns (B, 2)."""
    if hasattr(reducer, "perplexity"):  # t-SNE needs three times as many neighbours of each face
        reducer.perplexity = min(reducer.perplexity, (len(embeddings) - 1) / 3)
    points = reducer.fit_transform(embeddings)
    colors, markers = by_class(classes, CLASS_COLORS), by_class(classes, CLASS_MARKERS)
    figure, axes = new_figure(4.8, 4.6)
    for label, name in enumerate(classes):
        x, y = points[labels == label].T
        axes.scatter(x, y, s=16, marker=markers[name], color=colors[name], alpha=0.7, linewidths=0, label=name)
    axes.set(xticks=[], yticks=[], xlabel="first axis (no unit)", ylabel="second axis (no unit)")
    axes.set_title(wrapped(title, 52), fontsize=9)
    axes.spines[:].set_visible(True)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, markerscale=2)
    return figure


@rc_context(STYLE)
def augmentation_grid(partition: Partition, chain: "Chain") -> Figure:
    """Draw a face of each class as it is and as training sees it (figures 2 and 7 of the paper)."""
    faces, train, origins = partition.faces, partition.train, partition.origins
    rows = {}
    for label, name in enumerate(faces.classes):
        members = train[faces.labels[train] == label]
        if not len(members):
            continue
        first = members[0]
        siblings = np.flatnonzero(origins == origins[first])[:PICTURES]
        if len(siblings) > 1:  # the protocol has already augmented them
            rows[name] = list(faces.images[siblings])
        elif len(chain):
            original = faces.images[first]
            rows[name] = [original, *(chain(original, draw, int(first)) for draw in range(PICTURES - 1))]
        else:
            rows[name] = list(faces.images[members[:PICTURES]])
    augmented = len(chain) or len(origins) > len(np.unique(origins))
    titles = ("original", "augmented") if augmented else ("as it is", "others")
    figure = Figure(figsize=(1.05 * PICTURES + 0.8, 1.08 * len(rows) + 0.3), layout="constrained")
    grid = figure.subplots(len(rows), PICTURES, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for row, (name, images) in enumerate(rows.items()):
        grid[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axes, image in zip(grid[row], images, strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    for axes, title in zip(grid[0], titles, strict=False):
        axes.set_title(title, fontsize=8)
    return figure
