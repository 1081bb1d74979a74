"""The node that says how far and on what a run trains: trainer."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from fer_lightning.errors import UserError
from fer_lightning.kinds import (
    Choice,
    Count,
    CountOrNone,
    LibraryNode,
    Node,
    NotNegative,
    Nullable,
    Other,
    Place,
    Says,
    Switch,
    Text,
    optional,
    target,
)

Fraction = Annotated[float, Field(gt=0, le=1)]
Limit = Annotated[
    Annotated[int, Field(ge=1)] | Fraction,
    Says("a whole number of batches, 1 or more, or a share above 0 and up to 1.0", "20"),
]
Devices = Annotated[
    Literal["auto", -1]
    | Annotated[int, Field(ge=1)]
    | Annotated[str, StringConstraints(pattern=r"^\d+(,\d+)*$")]
    | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)],
    Says("a number of devices, 1 or more, auto or -1 for all, or a list of their numbers", "[0,1]"),
]
Accelerator = Annotated[Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"], Says()]
Precision = Annotated[
    Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true"]
    | Literal["32", "bf16", "16", "64", 32, 16, 64, "transformer-engine", "transformer-engine-float16"],
    Says("one of 32-true, bf16-mixed, 16-mixed, bf16-true, 16-true, 64-true"),
]
Profiler = Annotated[Literal["simple", "advanced", "pytorch"] | Other, Says("simple, advanced or pytorch")]
Deterministic = Annotated[bool | Literal["warn"], Says("true, false or warn")]
FastRun = Annotated[bool | Annotated[int, Field(ge=0)], Says("true, false or a number of batches")]
Steps = Annotated[
    Literal[-1] | Annotated[int, Field(ge=1)], Says("a whole number, 1 or more, or -1 for no limit", "1000")
]
Sanity = Annotated[int, Field(ge=-1), Says("a whole number, 0 or more, or -1 for all", "0")]
Strategy = Annotated[Annotated[str, Field(min_length=1)] | Other, Says("the name of a strategy", "ddp")]
Parts = Annotated[list[Other], Says("a list of nodes that name a class", "[]")]
Loggers = Annotated[list[Other] | Literal[False], Says("a list of nodes that name a class, or false", "[]")]
Reload = Annotated[Literal[0, 1], Says("0 or 1 (a run that goes on would deal other batches)")]
Epochs = Annotated[int, Field(ge=1, le=100_000), Says("a whole number from 1 to 100000", "8")]


class Plugin(Node):
    """A plugin of ours."""

    target_: Literal["fer_lightning.plugins.AtomicCheckpointIO", "fer_lightning.plugins.SharedStatistics"] = target()


class Trainer(LibraryNode):
    """Lightning's Trainer."""

    target_: Literal["lightning.Trainer"] = target()
    accelerator: Accelerator = Field(description="what computes")
    devices: Devices = Field(description="number of devices")
    num_nodes: Count = optional("number of machines")
    strategy: Strategy = optional("how several devices work together")
    max_epochs: Epochs = Field(description="epochs of training")
    min_epochs: Nullable[CountOrNone] = optional("epochs of training, at least")
    max_steps: Steps = Field(description="steps of training, at most; -1 for no limit")
    min_steps: Nullable[CountOrNone] = optional("steps of training, at least")
    check_val_every_n_epoch: Nullable[Count] = Field(description="epochs between two exact validations")
    val_check_interval: Nullable[Limit] = Field(
        description="batches, or share of an epoch, between two exact validations"
    )
    precision: Precision = Field(description="format of the numbers in the network")
    deterministic: Deterministic = Field(description="whether to use only operations that repeat exactly")
    gradient_clip_val: Nullable[NotNegative] = Field(description="greatest norm of the gradient; null for no limit")
    accumulate_grad_batches: Count = optional("batches whose gradients make one step")
    limit_train_batches: Nullable[Limit] = Field(description="training batches in an epoch, or their share")
    limit_val_batches: Nullable[Limit] = Field(description="batches of a validation, or their share")
    limit_test_batches: Nullable[Limit] = Field(description="batches of the test, or their share")
    fast_dev_run: FastRun = Field(description="one batch of everything, and nothing written")
    log_every_n_steps: Count = Field(description="steps between two rows of metrics.csv")
    num_sanity_val_steps: Sanity = Field(description="validation batches before the training")
    reload_dataloaders_every_n_epochs: Reload = Field(description="1: batches are dealt anew each epoch; 0: once")
    enable_progress_bar: Switch = Field(description="whether a bar shows the progress")
    enable_model_summary: Switch = Field(description="whether the layers are listed")
    profiler: Nullable[Profiler] = Field(description="what measures where time goes")
    callbacks: Parts = Field(description="the node callbacks, as a list")
    plugins: list[Choice[Plugin]] = Field(description="what replaces parts of the Trainer's own")
    use_distributed_sampler: Switch = Field(description="whether Lightning shares batches out; our samplers do")
    logger: Loggers = Field(description="the node logger, as a list")
    default_root_dir: Place = Field(description="folder of the run")
    gradient_clip_algorithm: Nullable[Text] = optional("norm or value")

    @model_validator(mode="after")
    def check_validation(self) -> Self:
        """Refuse a run without a validation, which chooses the checkpoint."""
        every = self.check_val_every_n_epoch
        if every is None and not isinstance(self.val_check_interval, int):
            raise UserError(
                "trainer.check_val_every_n_epoch=null must be a whole number, 1 or more, such as 1, where "
                "trainer.val_check_interval is no number of steps"
            )
        return self


TrainerChoice = Choice[Trainer]
