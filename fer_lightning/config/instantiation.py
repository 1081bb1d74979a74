"""Make the objects that a configuration names."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import hydra.utils
from hydra.errors import HydraException, InstantiationException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

OURS = "fer_lightning.*"
LISTS = "_execution_whitelist_" in inspect.signature(hydra.utils.instantiate).parameters  # since Hydra 1.4


def instantiate(config: Any, **arguments: Any) -> Any:
    """Return the object that a configuration names.

    Hydra 1.4 asks for the packages that may be called: ours and those that the configuration names, but none of
    Python's own. It raises a class's errors as they are; here they are raised as by Hydra 1.3.

    Args:
        config: A node with a ``_target_``, or a node of such nodes.
        arguments: As of ``hydra.utils.instantiate``.

    Raises:
        InstantiationException: From the error of a class.
    """
    if not LISTS:
        return hydra.utils.instantiate(config, **arguments)
    content = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    packages = {target.partition(".")[0] for _, target in targets(content)} - sys.stdlib_module_names
    arguments["_execution_whitelist_"] = [OURS, *(f"{package}.*" for package in sorted(packages))]
    try:
        return hydra.utils.instantiate(config, **arguments)
    except (HydraException, OmegaConfBaseException):
        raise
    except Exception as error:
        note = "\n".join(getattr(error, "__notes__", ()))
        raise InstantiationException(f"Error in call to target '...':\n{error!r}\n{note}") from error


def trust_ours() -> AbstractContextManager[Any]:
    """Return the context in which Hydra itself may make objects of ours: its callback, the handlers of its log."""
    return vars(hydra.utils)["execution_whitelist"](OURS) if LISTS else nullcontext()


def targets(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the classes that a configuration, made of dicts and lists, names, each behind its option."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key == "_target_":
                yield f"{prefix}{key}", str(value)
            yield from targets(value, f"{prefix}{key}.")
