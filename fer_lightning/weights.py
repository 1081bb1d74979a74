"""Whether saved weights are those of the network at hand."""

from collections.abc import Mapping

from torch import Tensor, nn

from fer_lightning.errors import UserError


def check_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights of another network.

    Raises:
        UserError: Listing what differs.
    """
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if "classifier." not in name}
    saved = {name: tuple(tensor.shape) for name, tensor in weights.items() if "classifier." not in name}
    lines = [
        f"{name} saved {saved.get(name, 'not at all')}, configured {own.get(name, 'not at all')}"
        for name in sorted(own.keys() | saved.keys())
        if own.get(name) != saved.get(name)
    ]
    if lines:
        raise UserError(
            f"{source} holds another network ({'; '.join(lines[:3])}{f'; and {len(lines) - 3} more' * (len(lines) > 3)}"
            "): give the embedder and loss options that it was trained with"
        )
