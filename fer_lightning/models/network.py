"""The network that predicts: embedder and classifier in one torch module. Imports no Lightning."""

from collections.abc import Mapping
from typing import Any

import torch
from hydra.errors import InstantiationException
from torch import Tensor, nn
from torch.nn.functional import normalize

from fer_lightning.config.instantiation import instantiate
from fer_lightning.errors import UserError
from fer_lightning.models.classifiers import Classifier

Config = dict[str, Any]  # _target_ and its arguments; plain values only
CLASSIFIER = "classifier."  # prefix of the classifier's names in a state dict


class Network(nn.Module):
    """Embedder and classifier of faces.

    Args:
        embedder: Configuration of a network (B, 1, H, W) float32 in [-1, 1] -> (B, D) unit vectors.
        classifier: Configuration of a ``Classifier``.
        mirrored: Whether validation, test and everything after them embed a face as the mean of the vectors of its
            picture and of its mirror image, at norm 1.
    """

    def __init__(self, embedder: Config, classifier: Config, mirrored: bool) -> None:
        super().__init__()
        # A training step on the CPU is 1.2 to 1.8 times faster on channels-last weights (benchmarks/train_step.py).
        self.embedder = build("embedder", embedder).to(memory_format=torch.channels_last)
        self.classifier: Classifier = build("classifier", classifier)
        self.mirrored = mirrored

    def forward(self, images: Tensor) -> Tensor:
        """Return unit vectors (B, D) float32 or float64 for images (B, 1, H, W) float32 in [-1, 1]."""
        embeddings = self.embed(images)
        if self.mirrored and not self.training:
            embeddings = normalize(embeddings + self.embed(images.flip(3)), dim=1)
        return embeddings

    def embed(self, images: Tensor) -> Tensor:
        """Return the embeddings of the images without their mirror images; shapes as in ``forward``."""
        embeddings = self.embedder(images.contiguous(memory_format=torch.channels_last))
        return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))


def build(node: str, config: Config) -> Any:
    """Return the object that a node's configuration describes; name the node if an argument is refused."""
    try:
        return instantiate(config, _convert_="all")
    except InstantiationException as error:  # the wrapped exception has the clearer message
        cause = error.__cause__ or error
        if isinstance(cause, TypeError | ValueError):
            raise UserError(f"{node}: {cause}") from cause
        raise cause from cause.__cause__


def check_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str, fitted: bool = False) -> None:
    """Refuse saved weights that do not fit an embedder, or a module with a ``Classifier`` called ``classifier``.

    Args:
        model: The embedder or module.
        weights: The saved state dict.
        source: Option and file of the weights, for messages.
        fitted: Whether the classifier has to be ready to classify.
    """
    expected = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(CLASSIFIER)}
    saved = {name: tensor for name, tensor in weights.items() if not name.startswith(CLASSIFIER)}
    shapes = [{name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (saved, expected)]
    differences = [
        f"{name} saved {shapes[0].get(name, 'not at all')}, configured {shapes[1].get(name, 'not at all')}"
        for name in sorted(saved.keys() | expected.keys())
        if shapes[0].get(name) != shapes[1].get(name)
    ]
    if differences:
        listed = "; ".join(differences[:3])
        if len(differences) > 3:
            listed += f"; and {len(differences) - 3} more"
        raise UserError(
            f"{source} holds another network ({listed}): give the embedder and loss options that it was trained with"
        )
    for name, tensor in saved.items():
        if not tensor.isfinite().all():
            raise UserError(f"{source} holds {name} with a number that is not finite: give another checkpoint")
    classifier = getattr(model, "classifier", None)
    if classifier is None:
        return
    kind = type(classifier).__name__
    state = {name.removeprefix(CLASSIFIER): tensor for name, tensor in weights.items() if name.startswith(CLASSIFIER)}
    if state.keys() != classifier.state_dict().keys():
        raise UserError(f"{source} holds no {kind}: give the classifier= that it was trained with")
    if defect := classifier.defect(state, fitted):
        raise UserError(
            f"{source} holds a {kind} that cannot be used ({defect}): give another checkpoint, or start a training "
            "from this one's network with init_from="
        )
