"""The whole configuration of each command, and what its nodes must agree on."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Self

from pydantic import Field, model_validator

from fer_lightning.data.classes import wrong_names
from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError
from fer_lightning.kinds import Choice, Metric, Node, Nullable, Other, Place, Seed, Text, shown
from fer_lightning.launch.schema.callbacks import Callbacks
from fer_lightning.launch.schema.faces import Augmentation, FacesDataModule, ProtocolChoice, Sampler
from fer_lightning.launch.schema.losses import LossChoice, MinerChoice
from fer_lightning.launch.schema.network import ClassifierChoice, EmbedderChoice, ModelChoice
from fer_lightning.launch.schema.optimization import OptimizerChoice, SchedulerChoice
from fer_lightning.launch.schema.places import Loggers, Paths, Sweep
from fer_lightning.launch.schema.trainer import TrainerChoice

SCORES = ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "accuracy_quick")


def scores(classes: Sequence[str]) -> list[str]:
    """Return what the validation scores, all of it the better the higher."""
    return [*SCORES, *(f"{score}_{name}" for score in ("precision", "recall", "f1") for name in classes)]


class Audit(Node):
    """What ``python -m fer_lightning audit`` takes."""

    data: Choice[FacesDataModule] = Field(description="faces and the batches that are made of them")
    sampler: Sampler = Field(description="which faces are in a batch")
    augmentation: Choice[Augmentation] = Field(description="what training sees of a face")
    protocol: ProtocolChoice = Field(description="which faces train, choose the checkpoint and are reported on")
    logger: Loggers = Field(description="where metrics are written")
    paths: Paths = Field(description="folders")
    seed: Seed = Field(description="decides weights, order of batches and augmentation")
    run_id: Text = Field(description="name of the run for W&B, the same when it goes on")
    run_name: Text = Field(description="name of the run")
    job_type: Text = Field(description="kind of the run for W&B")
    resume_from: Nullable[Place] = Field(description="folder or checkpoint of a run to go on with")

    @model_validator(mode="after")
    def check_classes(self) -> Self:
        """Refuse names that cannot be written everywhere, and batches of more classes than there are."""
        if not isinstance(self.data, FacesDataModule):
            return self
        classes, wanted = self.data.classes, getattr(self.sampler, "classes_per_batch", 0)
        if wrong := wrong_names(classes):
            raise UserError(
                f"data.root={shown(self.data.root)} with {wrong} (a class is a folder in train/, or data.classes)"
            )
        if wanted > len(classes):
            raise UserError(
                f"sampler.classes_per_batch={wanted} must be a whole number from 2 to the {len(classes)} classes, such "
                f"as {min(4, len(classes))}"
            )
        return self


class Train(Audit):
    """What ``python train.py`` takes."""

    embedder: EmbedderChoice = Field(description="the network")
    model: ModelChoice = Field(description="the wiring of network, loss and optimizer")
    miner: MinerChoice = Field(description="which triplets or pairs of a batch the loss is given")
    loss: LossChoice = Field(description="what training makes small")
    classifier: ClassifierChoice = Field(description="what finds the class of an embedding")
    optimizer: OptimizerChoice = Field(description="what changes the weights after each batch")
    scheduler: SchedulerChoice = Field(description="what changes the learning rate as training goes on")
    callbacks: Callbacks = Field(description="what a run writes and watches")
    trainer: TrainerChoice = Field(description="how far, and on what machine, a run trains")
    objective: Metric = Field(description="metric of the validation that chooses the checkpoint")
    sweep: Sweep = Field(description="a sweep that goes on")
    init_from: Nullable[Place] = Field(description="checkpoint whose network's weights to begin with")

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        """Refuse parts that were made for another embedder."""
        for node, name, other in (
            ("classifier", "embedding_size", self.embedder),
            ("loss", "embedding_size", self.embedder),
            ("embedder", "image_size", self.data),
        ):
            own, wanted = getattr(getattr(self, node), name, None), getattr(other, name, None)
            if None not in (own, wanted) and own != wanted:
                raise UserError(
                    f"{node}.{name}={own} must be {wanted}, as {'data' if other is self.data else 'embedder'}.{name}"
                )
        return self

    @model_validator(mode="after")
    def check_number(self) -> Self:
        """Refuse parts that were made for another number of classes."""
        classes = getattr(self.data, "classes", None)  # None: a class of the user's own
        losses = [(f"loss.losses.{at}", loss) for at, loss in enumerate(getattr(self.loss, "losses", []))]
        for node, part in (("classifier", self.classifier), ("loss", self.loss), *losses):
            number = getattr(part, "num_classes", None)
            if number is not None and classes is not None and number != len(classes):
                raise UserError(f"{node}.num_classes={number} must be the number of classes, {len(classes)}")
        return self

    @model_validator(mode="after")
    def check_objective(self) -> Self:
        """Refuse an objective that the validation does not log, or of which more is not better."""
        if isinstance(self.classifier, Other):  # may log scores of its own
            return self
        candidates = [f"accuracy_k{number}" for number in getattr(self.classifier, "candidates", [])]
        known = [f"val/{name}" for name in (*scores(getattr(self.data, "classes", CLASSES)), *candidates)]
        given = {
            "objective": self.objective,
            "callbacks.checkpoint.monitor": getattr(self.callbacks.checkpoint, "monitor", None),
            "callbacks.results.objective": getattr(self.callbacks.results, "objective", None),
            "model.objective": getattr(self.model, "objective", None),
        }
        for key, name in given.items():
            if name is not None and name not in known:
                close = get_close_matches(name, known, n=3) or ["val/accuracy"]
                raise UserError(
                    f"{key}={name} must be a metric of the validation that is better the higher it is, such as "
                    f"val/accuracy: did you mean {' or '.join(close)}?"
                )
        return self


class Eval(Train):
    """What ``python eval.py`` takes."""

    checkpoint: Place = Field(description="the checkpoint to score")
