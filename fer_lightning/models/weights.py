"""Weights that were saved, looked at before a network takes them."""

from collections.abc import Mapping

from torch import Tensor, nn

from fer_lightning.errors import UserError
from fer_lightning.models.classifiers import FLOATS

CLASSIFIER = "classifier."


def check_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str, fitted: bool = False) -> None:
    """Refuse weights of another network, listing what differs, and weights that no training would have saved.

    Args:
        model: What is to take them: an embedder, or a module that has one and a ``Classifier`` called ``classifier``.
        weights: Its state dict as it was saved.
        source: Option and file that they come from, for messages.
        fitted: Whether the classifier is asked about faces next; see ``Classifier.unsound``.

    Raises:
        UserError: Naming the first that is wrong.
    """
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(CLASSIFIER)}
    saved = {name: tensor for name, tensor in weights.items() if not name.startswith(CLASSIFIER)}
    shapes = [{name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (own, saved)]
    lines = [
        f"{name} saved {shapes[1].get(name, 'not at all')}, configured {shapes[0].get(name, 'not at all')}"
        for name in sorted(own.keys() | saved.keys())
        if shapes[0].get(name) != shapes[1].get(name)
    ]
    if lines:
        raise UserError(
            f"{source} holds another network ({'; '.join(lines[:3])}{f'; and {len(lines) - 3} more' * (len(lines) > 3)}"
            "): give the embedder and loss options that it was trained with"
        )
    for name, tensor in saved.items():
        if tensor.dtype not in (FLOATS if own[name].is_floating_point() else (own[name].dtype,)):
            raise UserError(
                f"{source} holds {name} as {tensor.dtype}, which no training saves: give another checkpoint"
            )
        if not tensor.isfinite().all():
            raise UserError(f"{source} holds {name} with a number that is not finite: give another checkpoint")
    classifier = getattr(model, "classifier", None)
    if classifier is None:
        return
    state = {name.removeprefix(CLASSIFIER): part for name, part in weights.items() if name.startswith(CLASSIFIER)}
    kind = type(classifier).__name__
    if state.keys() - {"_extra_state"} != classifier.state_dict().keys() - {"_extra_state"}:
        raise UserError(f"{source} holds no {kind}: give the classifier= that it was trained with")
    if words := classifier.unsound(state, fitted):
        raise UserError(
            f"{source} holds a {kind} of which {words}: give another checkpoint, or train on from this one's network "
            "with init_from="
        )
