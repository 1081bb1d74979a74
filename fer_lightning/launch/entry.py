"""The start and the end of a Hydra verb: its options, its checks, its errors and its exit code."""

import gc
import logging
import os
import sys
from importlib import import_module
from typing import Any

import hydra
from omegaconf import DictConfig

import fer_lightning.config.resolvers  # noqa: F401  registers the functions that conf/ calls
from fer_lightning.config import CONF
from fer_lightning.config.instantiation import trust_ours
from fer_lightning.config.suggestions import check_flags
from fer_lightning.config.verbs import AT_WORK, TRACEBACK, verbs
from fer_lightning.launch.arguments import translate
from fer_lightning.launch.checks import check, check_classes, check_current_folder, check_secrets
from fer_lightning.launch.claims import current_folder, release, withdraw
from fer_lightning.launch.console import outlast_console, quiet
from fer_lightning.launch.environment import rank
from fer_lightning.launch.messages import explain
from fer_lightning.launch.resume import resume_arguments
from fer_lightning.launch.sweeps import End
from fer_lightning.signals import Interrupted, command, listen

log = logging.getLogger(__name__)

SLOW = ("train", "eval", "export", "labels", "score", "stress")  # verbs whose modules import torch, for 5 to 10 seconds


class Task:
    """A verb as Hydra calls it. Its module is imported after the check, so no refusal waits for torch."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.passed_over = False  # set by ``Jobs`` before each job: whether another process works in its folder
        self.__module__ = verbs()[name].module  # Hydra names the job and its log file after it

    def __call__(self, cfg: DictConfig) -> Any:
        """Check the configuration and run the verb."""
        if self.passed_over:
            return End.PASSED_OVER
        check(cfg, self.name)
        check_classes(cfg)
        verb = verbs()[self.name]
        if self.name in SLOW and "torch" not in sys.modules and not rank():
            log.info("loading torch and Lightning")
        gc.disable()  # nearly all that libraries define stays, and the search for garbage is slow
        try:
            module = import_module(verb.module)
        finally:
            gc.enable()
        return getattr(module, verb.function)(cfg)


def run(name: str) -> None:
    """Run a Hydra verb, or print its help.

    A mistake of the user ends with one sentence and exit code 1, a signal with 128 + its number. All processes of a
    training but the main one run with ``hydra=follower``.
    """
    os.environ[AT_WORK] = name
    process = rank()  # now, because Lightning changes the environment that says it
    listen()
    quiet()
    outlast_console()
    if "-h" in sys.argv[1:] or "--help" in sys.argv[1:]:
        from fer_lightning.config.help import write_help  # here, because a mistyped choice needs no pydantic

        print(write_help(name))
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its exceptions instead of printing them
    try:
        check_current_folder()
        _take_arguments(name)
        if process:
            sys.argv.append("hydra=follower")
        with trust_ours():
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(Task(name))()
        command.obey()  # a signal whose exception a library has caught
    except Interrupted as interruption:
        if process:
            sys.exit(0)  # else Lightning's launcher would kill the main process at its work
        if (folder := current_folder()) is not None:
            from fer_lightning.callbacks.continuation import announce  # here, because --help needs no tables

            announce(interruption, folder)
        raise
    except Exception as error:
        sentence = None if os.environ.get(TRACEBACK) == "1" else explain(error, name)
        if sentence is None:  # a bug, or asked for: show the traceback
            raise
        sys.exit(f"error in process {process}: {sentence}" if process else f"error: {sentence}")
    finally:
        if (ending := sys.exception()) is not None and not isinstance(ending, Interrupted):
            withdraw("run")
            withdraw("sweep")
        release()
        print(end="", flush=True)
        command.leaves = True


def _take_arguments(name: str) -> None:
    """Put the command line into Hydra's words; refuse secrets and flags that it does not have."""
    check_secrets(sys.argv[1:])
    check_flags(sys.argv[1:], name)
    sys.argv[1:] = translate(sys.argv[1:], name)
    # Hydra's parser takes no options in front of a flag that others follow.
    sys.argv[1:] = sorted(resume_arguments(sys.argv[1:]), key=lambda argument: not argument.startswith("-"))
