"""Nodes that say where a run writes and to whom: paths, logger, sweep."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from fer_lightning.kinds import (
    AnyText,
    Choice,
    Count,
    LibraryNode,
    Node,
    Nullable,
    Other,
    Place,
    Says,
    Switch,
    Text,
    optional,
    target,
)

Tags = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]],
    Says("a list of texts of up to 64 letters, W&B's own limit", "[mine]"),
]


class Paths(Node):
    """Folders."""

    output_dir: Place = Field(description="folder of the run; hydra.run.dir sets it")
    cache_dir: Place = Field(description="folder for faces that were read once")


class Sweep(Node):
    """A sweep that goes on."""

    resume: Nullable[Place] = Field(description="folder of a sweep to go on with")


class CSVLogger(Node):
    """metrics.csv."""

    target_: Literal["fer_lightning.loggers.ContinuedCSVLogger"] = target()
    save_dir: Place = Field(description="folder of the run")
    buffer_size: Count = Field(description="rows that are kept before they are written")


class TensorBoardLogger(LibraryNode):
    """TensorBoard's files."""

    target_: Literal["lightning.pytorch.loggers.TensorBoardLogger"] = target()
    save_dir: Place = Field(description="folder of the run")
    name: Nullable[AnyText] = optional("folder inside it")
    version: Annotated[int | str | None, Says("a number or text, or null", "''")] = optional("folder inside that one")


class MLFlowLogger(LibraryNode):
    """A run in MLflow."""

    target_: Literal["lightning.pytorch.loggers.MLFlowLogger"] = target()
    experiment_name: Text = Field(description="experiment in MLflow")
    run_name: Text = Field(description="name of the run")
    tracking_uri: Text = Field(description="server, or file of the database")


class WandbSettings(LibraryNode):
    """Settings of W&B's own."""

    target_: Literal["wandb.Settings"] = target()
    silent: Switch = optional("whether its notices are left out")


class WandbLogger(LibraryNode):
    """A run in W&B."""

    target_: Literal["fer_lightning.loggers.PatientWandbLogger"] = target()
    project: Text = Field(description="project in W&B")
    entity: Nullable[Text] = optional("user or team in W&B")
    tags: Tags = optional("tags of the run, before those that it is given")
    notes: Nullable[Text] = optional("notes on the run, above what the doctor finds")
    name: Text = Field(description="name of the run: what was overridden, or run_name where it was given")
    id: Text = Field(description="the option run_id")
    group: Nullable[Text] = Field(description="the sweep of the run")
    job_type: Text = Field(description="the option job_type")
    save_dir: Place = Field(description="folder of the run")
    log_model: Annotated[bool | Literal["all"], Says("true, false or all")] = Field(
        description="whether best.ckpt is uploaded"
    )
    mode: Annotated[Literal["online", "offline", "disabled", "shared"], Says()] = Field(description="whether to upload")
    settings: Choice[WandbSettings] = Field(description="settings of W&B's own")


class Loggers(Node):
    """Where metrics are written."""

    __pydantic_extra__: dict[str, Other]
    model_config = ConfigDict(extra="allow")

    csv: Choice[CSVLogger] = optional("metrics.csv in the folder of the run")
    tensorboard: Choice[TensorBoardLogger] = optional("files for TensorBoard")
    mlflow: Choice[MLFlowLogger] = optional("a run in MLflow")
    wandb: Choice[WandbLogger] = optional("a run in W&B")
