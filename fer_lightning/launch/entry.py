"""What a Hydra entry point does around its task: options of an earlier run before it, one sentence for an error."""

import os
import signal
import sys
from collections.abc import Callable

from fer_lightning.launch.checks import check_secrets
from fer_lightning.launch.console import never_raise
from fer_lightning.launch.environment import check_python, rank
from fer_lightning.launch.messages import explain
from fer_lightning.launch.resume import resume_arguments

INHERITED = "FER_LIGHTNING_ERRORS"  # says to processes that Lightning starts that HYDRA_FULL_ERROR is ours


def run(task: Callable[[], object], config_name: str) -> None:
    """Run a Hydra entry point; a user's mistake ends with one sentence and exit code 1.

    With HYDRA_FULL_ERROR=1 in the environment every error comes with its traceback instead. Where several processes
    train, all but the main one run with ``hydra=follower``.
    """
    follower = ["hydra=follower"] if rank() else []
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))  # runs what closes files and W&B
    traced = os.environ.get("HYDRA_FULL_ERROR") == "1" and INHERITED not in os.environ
    os.environ |= {"HYDRA_FULL_ERROR": "1"}  # Hydra hands its exceptions over instead of printing them
    os.environ |= {} if traced else {INHERITED: "1"}
    never_raise()
    try:
        check_python()
        check_secrets(sys.argv[1:])
        sys.argv[1:] = [*resume_arguments(sys.argv[1:]), *follower]
        task()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sentence = None if traced else explain(error, config_name)
        if sentence is None:  # asked for, or a bug: its traceback is what helps
            raise
        sys.exit(f"error{f' in process {rank()}' * bool(follower)}: {sentence}")
