"""The one table of what each node of the configuration defines; a test holds it complete."""

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any


class Kind(IntEnum):
    """What a node defines, from what binds most to what binds least."""

    STATE = 0  # the result, and a checkpoint holds its state: a new value would be replaced by the saved one
    RESULT = 1  # faces, network, what is learnt: a checkpoint chooses up to here, wherever it comes from
    RUN = 2  # how far and how a run trains: runs that are equal up to here give equal figures
    MACHINE = 3  # how a machine does it: the name of a run's folder holds what is set up to here
    PLACE = 4  # where a run comes from, reads and writes; callbacks and loggers, which look on
    NAME = 5  # what a run is called


NODES = {  # what is not listed has the kind of the node around it
    "data": Kind.RESULT,
    "data.cache_dir": Kind.PLACE,
    "data.num_workers": Kind.MACHINE,
    "data.worker_timeout": Kind.MACHINE,
    "sampler": Kind.RESULT,
    "protocol": Kind.RESULT,
    "augmentation": Kind.RESULT,
    "embedder": Kind.RESULT,
    "embedder.pretrained": Kind.RUN,  # in place of these two a checkpoint has weights of its own
    "embedder.checkpoint_path": Kind.RUN,
    "loss": Kind.RESULT,
    "miner": Kind.RESULT,
    "classifier": Kind.RESULT,
    "optimizer": Kind.STATE,
    "scheduler": Kind.STATE,
    "model": Kind.RESULT,
    "table6": Kind.RESULT,
    "experiment": Kind.RESULT,
    "seed": Kind.RESULT,
    "objective": Kind.RESULT,
    "trainer": Kind.RUN,
    "trainer.enable_progress_bar": Kind.MACHINE,
    "trainer.callbacks": Kind.PLACE,
    "trainer.logger": Kind.PLACE,
    "trainer.default_root_dir": Kind.PLACE,
    "debug": Kind.RUN,
    "init_from": Kind.RUN,
    "callbacks": Kind.PLACE,
    "logger": Kind.PLACE,
    "paths": Kind.PLACE,
    "hydra": Kind.PLACE,
    "hparams_search": Kind.PLACE,
    "resume_from": Kind.PLACE,
    "sweep": Kind.PLACE,
    "checkpoint": Kind.PLACE,
    "input": Kind.PLACE,  # from here on options of predict, export, stress and app, which train nothing
    "detector": Kind.PLACE,
    "every": Kind.PLACE,
    "limit": Kind.PLACE,
    "batch_size": Kind.PLACE,
    "sheet": Kind.PLACE,
    "neighbours": Kind.PLACE,
    "faces": Kind.PLACE,
    "format": Kind.PLACE,
    "output": Kind.PLACE,
    "gallery": Kind.PLACE,
    "int8": Kind.PLACE,
    "stress": Kind.PLACE,
    "bundle": Kind.PLACE,
    "port": Kind.PLACE,
    "max_bytes": Kind.PLACE,
    "seconds": Kind.PLACE,
    "concurrency": Kind.PLACE,
    "run_name": Kind.NAME,
    "run_id": Kind.NAME,
    "job_type": Kind.NAME,
}

# A value that stands elsewhere too; what other resolvers compute stands nowhere else.
REFERENCE = re.compile(r"\$\{(hydra:|oc\.dict\.values:)?[\w.]+\}")


def kind(key: str) -> Kind:
    """Return what an option defines, such as ``optimizer.lr`` or ``hydra/launcher``; an unknown one, the result."""
    parts = re.split("[./]", key)
    around = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((NODES[node] for node in around if node in NODES), Kind.RESULT)


def differences(before: Any, after: Any) -> dict[str, str]:
    """Return what has changed between two configurations of OmegaConf's, of what defines the result and the run.

    Returns:
        The key of each changed value, with a line that says what it was and what it is. Of a value that is wired into
        other nodes, as ``optimizer.lr`` into ``model.optimizer.lr``, its own key alone.
    """
    old, new = dict(_values(before)), dict(_values(after))
    changed: dict[str, str] = {}
    for key in sorted(old.keys() | new.keys(), key=lambda key: (key.count("."), key)):
        if old.get(key) != new.get(key) and not any(key.endswith(f".{other}") for other in changed):
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
        if kind(key) <= Kind.RUN or any(other.startswith(f"{key}.") for other in NODES):
            if isinstance(value, Mapping) and value:
                yield from _values(value, f"{key}.")
            elif kind(key) <= Kind.RUN:
                yield key, value
