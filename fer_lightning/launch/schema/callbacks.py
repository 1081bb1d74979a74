"""The node that says what a run writes and watches: callbacks."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from fer_lightning.errors import UserError
from fer_lightning.kinds import (
    Choice,
    Count,
    CountOrNone,
    LibraryNode,
    Metric,
    Node,
    Nullable,
    Other,
    PartShare,
    Place,
    Positive,
    Says,
    Seed,
    Switch,
    Text,
    Texts,
    optional,
    target,
)
from fer_lightning.launch.schema.network import ClassifierChoice

Setting = Annotated[str | int | float | bool | None, Says("a number, text or null", "0.1")]
Kept = Annotated[Literal[-1] | Annotated[int, Field(ge=1)], Says("a whole number, 1 or more, or -1 for all", "1")]


class Checkpoint(LibraryNode):
    """What writes a checkpoint."""

    target_: Literal["lightning.pytorch.callbacks.ModelCheckpoint"] = target()
    dirpath: Place = Field(description="folder of the checkpoints")
    filename: Text = Field(description="name of the checkpoint, without .ckpt")
    auto_insert_metric_name: Switch = Field(description="whether its name holds metrics")
    enable_version_counter: Switch = Field(description="whether a name that is taken gets a number")
    save_on_train_epoch_end: Nullable[Switch] = optional("whether it is written at an epoch's end")
    save_top_k: Kept = optional("checkpoints that are kept")
    every_n_epochs: Count = optional("epochs between two checkpoints")
    every_n_train_steps: Count = optional("steps between two checkpoints")


class BestCheckpoint(Checkpoint):
    """The checkpoint that is tested."""

    monitor: Metric = Field(description="the option objective")
    mode: Annotated[Literal["max"], Says()] = Field(description="a higher objective is better")


class Provenance(Node):
    """What a checkpoint says of itself."""

    target_: Literal["fer_lightning.callbacks.provenance.Provenance"] = target()
    overrides: Texts = Field(description="the options of the run")


class Health(Node):
    """What ends a training that is worth nothing."""

    target_: Literal["fer_lightning.callbacks.health.Health"] = target()
    output_dir: Place = Field(description="folder of the run")


class Ending(Node):
    """What ends a run."""

    target_: Literal["fer_lightning.callbacks.ending.Ending"] = target()


class ProgressBar(Node):
    """The bar of a terminal."""

    target_: Literal["fer_lightning.callbacks.progress_bar.progress_bar"] = target()
    shown: Switch = Field(description="whether there is one")


class QuickValidation(Node):
    """A rough score between two exact ones."""

    target_: Literal["fer_lightning.callbacks.quick_validation.QuickValidation"] = target()
    every_n_steps: Count = Field(description="steps between two rough scores")
    sample_size: Count = Field(description="validation faces that are scored")
    bank_size: Count = Field(description="gallery faces that the classifier is fitted on")
    classifier: ClassifierChoice = Field(description="the node classifier")
    seed: Seed = Field(description="decides which faces are scored")


class EpochLines(Node):
    """One line an epoch."""

    target_: Literal["fer_lightning.callbacks.epoch_lines.EpochLines"] = target()
    metrics: Texts = Field(description="metrics in the line of an epoch")
    settings: dict[str, Setting] = Field(description="what the first line names")


class Predictions(Node):
    """The results of the test."""

    target_: Literal["fer_lightning.callbacks.predictions.Predictions"] = target()
    output_dir: Place = Field(description="folder of the run")
    objective: Metric = Field(description="the option objective")
    settings: dict[str, Setting] = Field(description="what tables of several runs compare by")
    checkpoint: Nullable[Place] = Field(description="the checkpoint that is scored; null: the run's own")


class PCA(LibraryNode):
    """Principal components."""

    target_: Literal["sklearn.decomposition.PCA"] = target()
    n_components: Annotated[Literal[2], Says()] = Field(description="a map has two axes")
    random_state: Nullable[Seed] = optional("decides the map")


class TSNE(LibraryNode):
    """t-SNE."""

    target_: Literal["sklearn.manifold.TSNE"] = target()
    n_components: Annotated[Literal[2], Says()] = Field(description="a map has two axes")
    init: Annotated[Literal["pca", "random"], Says()] = optional("where the points start")
    perplexity: Positive = optional("neighbours that a point is kept beside, about")
    random_state: Nullable[Seed] = optional("decides the map")


class UMAP(LibraryNode):
    """UMAP."""

    target_: Literal["umap.UMAP"] = target()
    n_components: Annotated[Literal[2], Says()] = Field(description="a map has two axes")
    random_state: Nullable[Seed] = optional("decides the map")
    n_jobs: Annotated[Literal[-1] | Annotated[int, Field(ge=1)], Says("a whole number, 1 or more, or -1", "1")] = (
        optional("threads")
    )


class Media(Node):
    """Figures and the worst mistakes."""

    target_: Literal["fer_lightning.callbacks.media.Media"] = target()
    output_dir: Place = Field(description="folder of the run")
    maps: dict[str, Choice[PCA | TSNE | UMAP]] = Field(description="maps of the test embeddings")
    map_faces: CountOrNone = Field(description="faces on a map, at most; 0 draws no map")
    mistakes: CountOrNone = Field(description="worst mistakes that are shown")
    neighbours: CountOrNone = Field(description="nearest training faces beside each")
    seed: Seed = Field(description="decides which faces are on the maps")


class AveragedWeights(Node):
    """An average of the weights, used in place of the latest."""

    target_: Literal["fer_lightning.callbacks.averaging.AveragedWeights"] = target()
    decay: PartShare = Field(description="share of the average that a step leaves")
    start: CountOrNone = Field(description="steps before the average begins")


class Pruning(Node):
    """What ends the hopeless trials of a search."""

    target_: Literal["fer_lightning.callbacks.pruning.Pruning"] = target()
    study_name: Text = Field(description="the option hydra.sweeper.study_name")
    storage: Text = Field(description="the option hydra.sweeper.storage")
    job: CountOrNone = Field(description="number of the job, by which its trial is found")
    objective: Metric = Field(description="the option objective")
    pruner: Other = Field(description="a pruner of Optuna's; its steps are epochs")


class Resumption(Node):
    """What makes a resumed run equal to an uninterrupted one."""

    target_: Literal["fer_lightning.callbacks.resumption.Resumption"] = target()


class Interruption(Node):
    """What saves a run that is told to stop."""

    target_: Literal["fer_lightning.callbacks.interruption.Interruption"] = target()
    output_dir: Place = Field(description="folder of the run")


class Callbacks(Node):
    """What the Trainer calls; each but the checkpoint can be left out by ~callbacks.NAME, and yours added."""

    __pydantic_extra__: dict[str, Other]
    model_config = ConfigDict(extra="allow")

    checkpoint: Choice[BestCheckpoint] = Field(description="the checkpoint that is tested")
    last: Choice[Checkpoint] = optional("the latest checkpoint")
    provenance: Choice[Provenance] = optional("what a checkpoint says of itself")
    health: Choice[Health] = optional("ends a training that is worth nothing")
    ending: Choice[Ending] = optional("keeps trainer.max_steps, and ends a run with a validation")
    bar: Choice[ProgressBar] = optional("the bar of a terminal")
    quick_validation: Choice[QuickValidation] = optional("a rough score between two exact ones")
    lines: Choice[EpochLines] = optional("one line an epoch")
    results: Choice[Predictions] = optional("the results of the test")
    media: Choice[Media] = optional("figures and the worst mistakes")
    pruning: Choice[Pruning] = optional("ends the hopeless trials of a search")
    resumption: Choice[Resumption] = optional("makes a resumed run equal to an uninterrupted one")
    interruption: Choice[Interruption] = optional("saves a run that is told to stop")
    average: Choice[AveragedWeights] = optional("an average of the weights, used in place of the latest")

    @model_validator(mode="after")
    def check_names(self) -> Self:
        """Refuse two checkpoints that would be one file."""
        names = [getattr(one, "filename", None) for one in (self.checkpoint, self.last)]
        if names[0] is not None and names[0] == names[1]:
            raise UserError(
                f"callbacks.last.filename={names[1]} must be another name than callbacks.checkpoint.filename, such as "
                "last: both would be one file"
            )
        return self
