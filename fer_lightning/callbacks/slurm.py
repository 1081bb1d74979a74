"""A job of Slurm's that ends because another one takes its place."""

import logging
import os
import re
import shutil
import subprocess

log = logging.getLogger(__name__)


def requeue_if_preempted() -> None:
    """Put the job at hand back into Slurm's queue if Slurm is preempting it.

    Slurm does so by itself where it kills at once. Where its partition grants a grace time (GraceTime), it only sends
    SIGTERM, and takes a job that then ends for one that has failed (tried with Slurm 22.05). After scancel nothing is
    to be done: the job is cancelled and not preempted.
    """
    if "SLURM_JOB_ID" not in os.environ or shutil.which("scontrol") is None:
        return
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:  # the id of its first job would stand for the whole array
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    state = _scontrol("show", "job", job)
    if "JobState=RUNNING" in state and re.search(r"PreemptTime=\d", state):
        log.warning("preempted: back into Slurm's queue as job %s", job)
        _scontrol("requeue", job)


def _scontrol(*arguments: str) -> str:
    done = subprocess.run(["scontrol", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        log.warning("scontrol %s: %s", " ".join(arguments), done.stderr.strip())
    return done.stdout
