"""List each node of the configuration: its role, the kind of its value, its meaning. A test holds the list complete."""

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple


class Role(IntEnum):
    """Role of an option, from what binds most to what binds least."""

    STATE = 0  # the result; a checkpoint holds its state, so a new value would be replaced by the saved one
    RESULT = 1  # faces, network, what is learnt: a checkpoint chooses up to here, wherever it comes from
    RUN = 2  # how far and how a run trains: runs that are equal up to here give equal figures
    MACHINE = 3  # how a machine does it: the name of a run's folder holds what is set up to here
    PLACE = 4  # where a run comes from, reads and writes; callbacks and loggers, which look on
    NAME = 5  # what a run is called


class Node(NamedTuple):
    """Description of a node.

    Its kind is an annotation, or ``fields`` where the nodes in it are listed; empty where a class describes it, and for
    a group that sets values of several nodes.
    """

    role: Role
    kind: str = ""
    meaning: str = ""  # as the end of a line


STATE, RESULT, RUN, MACHINE, PLACE, NAME = Role
NODES = {  # what is not listed has the role of the node around it
    "data": Node(RESULT, "Part", "faces and the batches that are made of them"),
    "data.cache_dir": Node(PLACE),
    "data.crowd": Node(PLACE),
    "data.metadata": Node(PLACE),
    "data.num_workers": Node(MACHINE),
    "data.worker_timeout": Node(MACHINE),
    "sampler": Node(RESULT, "Part", "which faces are in a batch"),
    "augmentation": Node(RESULT, "Part", "what training sees of a face"),
    "mixing": Node(RESULT, "Part", "which pictures of a batch are mixed, and how"),
    "protocol": Node(RESULT, "Part", "which faces train, choose the checkpoint and are reported on"),
    "embedder": Node(RESULT, "Part", "the network"),
    "embedder.pretrained": Node(RUN),  # in place of these two a checkpoint has weights of its own
    "embedder.checkpoint_path": Node(RUN),
    "model": Node(RESULT, "Part", "the wiring of network, loss and optimizer"),
    "miner": Node(RESULT, "Part", "which triplets or pairs of a batch the loss is given"),
    "loss": Node(RESULT, "Part", "what training makes small"),
    "classifier": Node(RESULT, "Part", "what finds the class of an embedding"),
    "optimizer": Node(STATE, "Part", "what changes the weights after each batch"),
    "scheduler": Node(STATE, "Part", "what changes the learning rate as training goes on"),
    "callbacks": Node(PLACE, "dict[str, Part]", "what a run writes and watches"),
    "logger": Node(PLACE, "dict[str, Part]", "where metrics are written"),
    "trainer": Node(RUN, "Part", "how far, and on what machine, a run trains"),
    "trainer.precision": Node(RESULT),  # a network's figures depend on it
    "trainer.enable_progress_bar": Node(MACHINE),
    "trainer.callbacks": Node(PLACE),
    "trainer.logger": Node(PLACE),
    "trainer.default_root_dir": Node(PLACE),
    "paths": Node(PLACE, "fields", "folders"),
    "paths.output_dir": Node(PLACE, "Location", "folder of the run; hydra.run.dir sets it"),
    "paths.cache_dir": Node(PLACE, "Location", "folder for faces that were read once"),
    "seed": Node(RESULT, "Seed", "decides weights, order of batches and augmentation"),
    "objective": Node(RESULT, "Metric", "metric of the validation that chooses the checkpoint"),
    "resume_from": Node(PLACE, "Location | None", "folder or checkpoint of a run to go on with"),
    "sweep": Node(PLACE, "fields", "a sweep that goes on"),
    "sweep.resume": Node(PLACE, "Location | None", "folder of a sweep to go on with"),
    "init_from": Node(RUN, "Location | None", "checkpoint whose network's weights to begin with"),
    "checkpoint": Node(PLACE, "Location", "a trained network: a .ckpt file, or a bundle or .onnx file to predict with"),
    "predictions": Node(PLACE, "Files", "csv files of predictions: file or row, class, probabilities of classes"),
    "trained_on": Node(PLACE, "TrainedOn | None", "faces that trained their networks: official, folder or a csv"),
    "input": Node(PLACE, "Input", "picture, folder, .zip or video, or the number of a camera"),
    "detector": Node(PLACE, "Part", "what finds faces in a picture"),
    "every": Node(PLACE, "Count", "take every Nth frame of a video or camera"),
    "smooth": Node(PLACE, "Smoothing | None", "decide by the mean votes on a face in the last N seconds of a video"),
    "limit": Node(PLACE, "Count | None", "pictures or test faces that are taken, at most"),
    "batch_size": Node(PLACE, "Count", "faces that are computed at once"),
    "sheet": Node(PLACE, "CountOrZero", "pictures on the contact sheet and the page, at most"),
    "neighbours": Node(PLACE, "CountOrZero", "number of training faces that decided to show"),
    "faces": Node(PLACE, "Source | None", "faces of the training, whose pictures the page shows"),
    "gallery": Node(PLACE, "Part", "which faces the classifier keeps"),
    "format": Node(PLACE, "Literal['bundle', 'onnx']", "a folder of safetensors and JSON, or one ONNX file"),
    "output": Node(PLACE, "Location | None", "where to write; null: folder of this export, or of the labels' run"),
    "half": Node(PLACE, "bool", "whether weights and gallery are kept in 16 bits, of format=bundle"),
    "int8": Node(PLACE, "bool", "whether the embedder computes in 8 bits, of format=onnx"),
    "stress": Node(PLACE, "Part", "how the test faces are changed"),
    "port": Node(PLACE, "Port", "where the page is, on this machine alone; 0 for any that is free"),
    "max_bytes": Node(PLACE, "Count", "size of a photo's file, at most"),
    "seconds": Node(PLACE, "Rate", "how long its upload may take, and then its decoding"),
    "concurrency": Node(PLACE, "Count", "photos that are worked on at once"),
    "run_id": Node(NAME, "Text", "name of the run for W&B, the same when it goes on"),
    "run_name": Node(NAME, "Text", "name of the run"),
    "job_type": Node(NAME, "Text", "kind of the run for W&B"),
    "experiment": Node(RESULT, "", "options that go together: a recipe, or one of the paper's experiments"),
    "hparams_search": Node(PLACE, "", "a search for hyperparameters, with -m"),
    "debug": Node(RUN, "", "a short run, to see whether it works"),
    "table6": Node(RESULT, "", "the trials of the paper's table 6"),
    "hydra": Node(PLACE),
}


# A value that stands elsewhere too; what other resolvers compute stands nowhere else.
REFERENCE = re.compile(r"\$\{(hydra:|oc\.dict\.values:)?[\w.]+\}")


def role(key: str) -> Role:
    """Return the role of an option, such as ``optimizer.lr`` or ``hydra/launcher``; that of the result if unknown."""
    parts = re.split("[./]", key)
    around = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((NODES[node].role for node in around if node in NODES), RESULT)


def differences(before: Any, after: Any) -> dict[str, str]:
    """Return the options that differ between two configurations, of those that define the result and the run.

    Returns:
        The key of each changed value, with a line that says what it was and what it is. Of a value that is wired into
        other nodes, as ``optimizer.lr`` into ``model.optimizer.lr``, its own key alone.
    """
    old, new = dict(_values(before)), dict(_values(after))
    changed: dict[str, str] = {}
    for key in sorted(old.keys() | new.keys(), key=lambda key: (key.count("."), key)):
        if old.get(key) != new.get(key) and not any(key.endswith(f".{option}") for option in changed):
            changed[key] = f"{key} was {old.get(key)}, is {new.get(key)}"
    return changed


def own_values(written: Mapping[str, Any], resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without the values that it only repeats, as ``model.optimizer`` repeats ``optimizer``.

    Args:
        written: The configuration with its references.
        resolved: The same with values in their place.
    """
    return {
        key: own_values(value, resolved[key]) if isinstance(value, Mapping) else resolved[key]
        for key, value in written.items()
        if not (isinstance(value, str) and REFERENCE.fullmatch(value))
    }


def _values(node: Any, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in node.items():
        key = f"{prefix}{name}"
        if role(key) <= RUN or any(node.startswith(f"{key}.") for node in NODES):
            if isinstance(value, Mapping) and value:
                yield from _values(value, f"{key}.")
            elif role(key) <= RUN:
                yield key, value
