"""Count what makes the host wait for the device of a training."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

READS = frozenset(("_local_scalar_dense", "nonzero", "equal", "_unique2", "unique_dim", "unique_consecutive"))


class Waits(TorchDispatchMode):
    """Note the operators that read a number of the device while ``counting`` is true, on the CPU too."""

    def __init__(self) -> None:
        super().__init__()
        self.counting = False
        self.noted: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note the operator, and call it."""
        name = function._schema.name.removeprefix("aten::")
        if self.counting and name in READS:
            self.noted.append(name)
        return function(*args, **(kwargs or {}))
