"""Folders of runs and sweeps: claimed before Hydra writes into them, so that none holds two."""

from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from fer_lightning.launch.resume import note_sweep
from fer_lightning.runs.command import is_sweep


class Claim(Callback):
    """Refuse the folder of an earlier run or sweep, and that of a sweep that another process runs.

    What is refused ends the process: Hydra turns every other exception of a callback into a warning.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Look at the folder of a single run."""
        folder = Path(config.hydra.run.dir)
        place = config.get("resume_from")
        goes_on = place is not None and Path(place).absolute().is_relative_to(folder.absolute())
        if (folder / "config.yaml").exists() and not goes_on:
            raise SystemExit(f"error: {folder} holds a run already: choose another hydra.run.dir, or delete it")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Hold the folder of a sweep until this process ends, and note the options that make the sweep."""
        folder = Path(config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        # The system lets go of it with the process, however that ends.
        self.lock = FileLock(folder / ".lock", is_singleton=True)
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise SystemExit(
                f"error: another process runs the sweep in {folder}: wait for it, or choose another hydra.sweep.dir"
            ) from None
        if is_sweep(folder) and OmegaConf.select(config, "sweep.resume") is None:
            raise SystemExit(
                f"error: {folder} holds a sweep already: go on with it by sweep.resume={folder}, or choose another "
                "hydra.sweep.dir"
            )
        note_sweep(folder, config.hydra.overrides)

    def __getstate__(self) -> dict:
        """Return nothing: it is this process that holds the sweep, not those that its launcher sends the jobs to."""
        return {}
