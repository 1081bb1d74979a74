"""What a Hydra entry point does around its task: options of an earlier run before it, one sentence for an error."""

import os
import sys
from collections.abc import Callable

from fer_lightning.config.suggestions import check_flags
from fer_lightning.launch.checks import check_secrets
from fer_lightning.launch.claims import at_hand, release, withdraw
from fer_lightning.launch.console import outlast_console
from fer_lightning.launch.environment import check_python, rank
from fer_lightning.launch.messages import explain
from fer_lightning.launch.resume import resume_arguments
from fer_lightning.signals import Interrupted, command, listen

INHERITED = "FER_LIGHTNING_ERRORS"  # says to processes that Lightning starts that HYDRA_FULL_ERROR is ours


def run(task: Callable[[], object], config_name: str) -> None:
    """Run a Hydra entry point; a user's mistake ends with one sentence and exit code 1, a signal with 128 + its number.

    With HYDRA_FULL_ERROR=1 in the environment every error comes with its traceback instead. Where several processes
    train, all but the main one run with ``hydra=follower``.
    """
    follower = ["hydra=follower"] if rank() else []
    listen()
    outlast_console()
    if {"-h", "--help"} & set(sys.argv[1:]):
        from fer_lightning.config.help import write_help  # here, for a mistyped choice needs no pydantic

        print(write_help(config_name))
        return
    traced = os.environ.get("HYDRA_FULL_ERROR") == "1" and INHERITED not in os.environ
    os.environ |= {"HYDRA_FULL_ERROR": "1"}  # Hydra hands its exceptions over instead of printing them
    os.environ |= {} if traced else {INHERITED: "1"}
    try:
        check_python()
        check_secrets(sys.argv[1:])
        check_flags(sys.argv[1:], config_name)
        # Hydra's parser takes no options in front of a flag that others follow.
        given = sorted(sys.argv[1:], key=lambda one: one not in ("-m", "--multirun"))
        sys.argv[1:] = [*resume_arguments(given), *follower]
        task()
        command.obey()  # what a library has caught
    except Interrupted as interruption:
        if follower:
            sys.exit(0)  # else Lightning's launcher would kill the main process at its work
        if (folder := at_hand()) is not None:
            from fer_lightning.report.interrupted import tell  # here: --help need not wait for tables

            tell(interruption, folder)
        raise
    except Exception as error:
        sentence = None if traced else explain(error, config_name)
        if sentence is None:  # asked for, or a bug: its traceback is what helps
            raise
        sys.exit(f"error{f' in process {rank()}' * bool(follower)}: {sentence}")
    finally:
        if (ended := sys.exception()) is not None and not isinstance(ended, Interrupted):
            withdraw("run")
            withdraw("sweep")
        release()
        print(end="", flush=True)
        command.leaves = True
