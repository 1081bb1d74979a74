"""Nodes that say how weights are changed: optimizer, scheduler."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fer_lightning.errors import UserError
from fer_lightning.kinds import (
    Choice,
    Count,
    CountOrNone,
    InnerShare,
    LibraryNode,
    NotNegative,
    Nullable,
    Partial,
    PartShare,
    Positive,
    Rate,
    Says,
    Switch,
    optional,
    partial,
    target,
)

Factor = Annotated[float, Field(gt=0, le=1), Says("a number above 0 and up to 1", "1.0")]


class Optimizer(LibraryNode):
    """What changes the weights after each batch."""

    partial_: Partial = partial()
    lr: Rate = Field(description="learning rate")
    weight_decay: NotNegative = optional("how fast weights decay")
    eps: Positive = optional("what keeps a division from zero")


class Adam(Optimizer):
    """Adam (arXiv:1412.6980) and AdamW (arXiv:1711.05101)."""

    target_: Literal["torch.optim.Adam", "torch.optim.AdamW"] = target()
    betas: Annotated[list[PartShare], Field(min_length=2, max_length=2), Says("two numbers below 1", "[0.9,0.999]")] = (
        optional("shares of the averages of gradient and square that a step leaves")
    )
    amsgrad: Switch = optional("whether the largest average of squares counts")
    fused: Switch = optional("whether a step changes all weights in one pass")


class RMSprop(Optimizer):
    """RMSprop."""

    target_: Literal["torch.optim.RMSprop"] = target()
    alpha: PartShare = optional("share of the average of squares that a step leaves")
    momentum: PartShare = optional("share of the last step that the next one keeps")


class SGD(Optimizer):
    """Gradient descent with momentum."""

    target_: Literal["torch.optim.SGD"] = target()
    momentum: PartShare = optional("share of the last step that the next one keeps")
    nesterov: Switch = optional("whether the gradient is taken where momentum leads")

    @model_validator(mode="after")
    def check_nesterov(self) -> Self:
        """Refuse Nesterov's form without a momentum."""
        if self.nesterov and not self.momentum:
            raise UserError("optimizer.momentum must be above 0, such as 0.9, where optimizer.nesterov=true")
        return self


OptimizerChoice = Choice[Adam | RMSprop | SGD]


class Scheduler(LibraryNode):
    """What changes the learning rate as training goes on."""

    partial_: Partial = partial()


class ConstantLR(Scheduler):
    """One rate throughout, or a factor to it for the first epochs."""

    target_: Literal["torch.optim.lr_scheduler.ConstantLR"] = target()
    factor: Factor = optional("factor to the rate")
    total_iters: CountOrNone = optional("epochs that it holds for")


class CosineAnnealingLR(Scheduler):
    """Down along a cosine."""

    target_: Literal["torch.optim.lr_scheduler.CosineAnnealingLR"] = target()
    t_max: Count = Field(alias="T_max", description="epochs until the lowest rate")
    eta_min: NotNegative = optional("the lowest rate")


class OneCycleLR(Scheduler):
    """Up, then down to nothing (arXiv:1708.07120)."""

    target_: Literal["torch.optim.lr_scheduler.OneCycleLR"] = target()
    max_lr: Rate = Field(description="the highest rate")
    total_steps: Nullable[Count] = optional("steps of the run; null: counted")
    pct_start: InnerShare = optional("share of the steps that go up")
    div_factor: Positive = optional("the highest rate over the first")
    final_div_factor: Positive = optional("the first rate over the last")
    cycle_momentum: Switch = optional("whether momentum falls while the rate rises")


class ReduceLROnPlateau(Scheduler):
    """Down where the objective stays."""

    target_: Literal["torch.optim.lr_scheduler.ReduceLROnPlateau"] = target()
    mode: Annotated[Literal["max"], Says()] = optional("a higher objective is better")
    factor: InnerShare = optional("factor to the rate")
    patience: CountOrNone = optional("epochs without progress before it falls")


SchedulerChoice = Choice[ConstantLR | CosineAnnealingLR | OneCycleLR | ReduceLROnPlateau]
