"""What moves the weights, and what moves its rate."""

from collections.abc import Iterable
from typing import Any

from torch.nn import Parameter
from torch.optim import Optimizer

from fer_lightning.errors import UserError
from fer_lightning.models.network import Config, build


def optimize(parameters: Iterable[Parameter], optimizer: Config, scheduler: Config) -> tuple[Optimizer, Any]:
    """Return an optimizer of some weights, and the scheduler of its rate.

    Args:
        parameters: The weights.
        optimizer: Configuration of a torch optimizer, partial: its parameters are missing.
        scheduler: Configuration of a torch scheduler, partial: its optimizer is missing.

    Raises:
        UserError: If torch refuses an argument of theirs.
    """
    try:
        made = build("optimizer", optimizer)(parameters)
        return made, build("scheduler", scheduler)(made)
    except ZeroDivisionError as error:  # OneCycleLR's, whose rise ends where it begins
        share = f"scheduler.pct_start={scheduler['pct_start']} of {scheduler['total_steps']} steps"
        raise UserError(f"{share} is one step, which cannot rise: change it, or train longer") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer or scheduler: {error}") from error
