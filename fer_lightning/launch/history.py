"""Find which test faces the trainings behind a network have learnt."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException

from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.nodes import Role, role
from fer_lightning.config.overrides import allowed
from fer_lightning.data.datamodule import FacesDataModule
from fer_lightning.data.faces import Faces
from fer_lightning.data.partition import Partition
from fer_lightning.data.transfer import divided_again, learnt, transferred
from fer_lightning.errors import UserError
from fer_lightning.launch.trained import compose_over
from fer_lightning.runs.checkpoints import KEY, load
from fer_lightning.runs.command import key

log = logging.getLogger(__name__)


def trainings(path: str, option: str) -> list[dict[str, Any]]:
    """Return a record of each training that made a checkpoint, the last one first: its faces, options and name."""
    record = load(path, option)[KEY]
    fields = {name: record.get(name) for name in ("data", "data_fingerprint", "partition", "overrides")}
    past = record.get("past", [])
    past = past if isinstance(past, list) else [{"name": str(past)}]  # a bundle keeps their names alone
    return [{**fields, "name": f"{option}={path}"}, *past]


def remember(datamodule: FacesDataModule, past: list[dict[str, Any]]) -> None:
    """Give the data module the records of the trainings before ``init_from``."""
    datamodule.past = past
    datamodule.for_network = partial(with_past, datamodule)


def judge(datamodule: FacesDataModule, path: str) -> None:
    """Set how the data module judges which test faces trained the checkpoint."""
    training, *past = trainings(path, "checkpoint")
    datamodule.past = past
    if training["data_fingerprint"] != datamodule.faces.fingerprint:
        datamodule.corrections = datamodule.leave_out = None  # those of other faces
    datamodule.for_network = partial(_tested, datamodule, training)


def _tested(datamodule: FacesDataModule, training: Mapping[str, Any], faces: Faces, partition: Partition) -> Partition:
    """Return the partition of a test by what trained the network: other faces, another part of these, or this one."""
    same = training["data_fingerprint"] == faces.fingerprint
    if not same or training["partition"] != partition.fingerprint:
        trained = read_training(training, datamodule)
        if same and trained:
            partition = divided_again(partition, trained[1])
        else:
            trained_on = str(training["data"])
            if trained_on == faces.source:
                trained_on = f"other faces of {trained_on}"
            partition = transferred(faces, partition, trained_on, trained, datamodule.cache_dir)
    return with_past(datamodule, faces, partition)


def with_past(datamodule: FacesDataModule, faces: Faces, partition: Partition) -> Partition:
    """Return a partition that knows which of its test faces the earlier trainings have learnt."""
    in_past, untold = np.zeros(len(faces), bool), []
    for record in datamodule.past:
        training = read_training(record, datamodule)
        if training and training[0].images.shape[1:] == faces.images.shape[1:]:
            in_past |= learnt(faces, training, datamodule.cache_dir)
        else:
            untold.append(record["name"])
    if untold:
        names = ", ".join(untold)
        log.warning("whether %s has seen the test faces is unknown: the faces that trained it are not at hand", names)
        partition = replace(
            partition, untold=True, proves=f"{partition.proves}, unless {names} has seen them, which is unknown"
        )
    first = len(partition.twins.groups) - len(faces)  # in a transferred partition the training faces come before these
    return replace(partition, learnt_before=partition.test[in_past[partition.origins[partition.test] - first]])


def read_training(record: Mapping[str, Any], datamodule: FacesDataModule) -> tuple[Faces, Partition] | None:
    """Return the faces of a training and their partition; None where they are not at hand.

    Options of the machine on this command line count here too.

    Args:
        record: One of ``trainings``.
        datamodule: It has the faces and the twins already, where it is the same data set.
    """
    looks_on = ("callbacks", "data.crowd")  # may be wrong beside other faces
    typed = [option for option in HydraConfig.get().overrides.task if not key(option).startswith(looks_on)]
    here = [option for option in typed if role(key(option)) > Role.RUN]
    name = record["name"]
    log.info("the faces that trained %s:", name)
    try:
        saved = allowed(record.get("overrides"), name, typed=list(map(key, here)))
        training = instantiate(compose_over(saved, here, name).data)
        if record["data_fingerprint"] == datamodule.faces.fingerprint:
            training.faces, training.audit = datamodule.faces, datamodule.audit
        elif training.faces.fingerprint != record["data_fingerprint"]:
            raise UserError(f"data.root={training.root} holds other faces now")
        return training.faces, training.partition
    except (UserError, HydraException) as error:
        log.info("they are not at hand: %s", str(error).partition(". ")[0])
        return None
