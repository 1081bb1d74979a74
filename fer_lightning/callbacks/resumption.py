"""What Lightning leaves out of a checkpoint, so that a run goes on as if it had never been stopped."""

import logging
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from fer_lightning.loggers import ContinuedCSVLogger
from fer_lightning.models.module import build
from fer_lightning.runs.checkpoints import RESUMPTION, not_resumable
from fer_lightning.runs.form import deviation

log = logging.getLogger(__name__)

OPTIMIZER_STEP = "epoch_loop.automatic_optimization.optim_progress"


class Resumption(Callback):
    """Save and restore the streams of random numbers, the place in the epoch, and what depends on the run's folder."""

    def __init__(self) -> None:
        self.loaded: dict | None = None

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the streams of random numbers, and make the loops' progress say where the run stands."""
        loop = checkpoint["loops"]["fit_loop"]
        epochs = loop["epoch_progress"]["current"]
        at_end = not trainer.validating and epochs["processed"] == epochs["ready"]  # ReduceLROnPlateau not moved
        if at_end and loop["epoch_loop.batch_progress"]["current"]["completed"] < trainer.num_training_batches:
            at_end = False  # the run ends in mid-epoch, and there a longer one goes on
            for count in ("total", "current"):
                loop["epoch_progress"][count]["processed"] -= 1
        monitored = [trainer.callback_metrics.get(config.monitor) for config in trainer.lr_scheduler_configs]
        gathered = [streams()] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(gathered, gathered[0])
        checkpoint[RESUMPTION] = {"streams": gathered, "monitored": monitored[0] if at_end else None}
        progress = loop[f"epoch_loop.{'val_loop.' if trainer.validating else ''}batch_progress"]
        if progress["current"]["ready"] > progress["current"]["started"]:  # the batch at hand was only fetched
            if trainer.validating:  # to be done anew from its first batch
                none = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
                progress |= {"total": none | {"ready": 1, "started": 1}, "current": none}
            else:
                progress["is_last_batch"] = False
                for count in ("total", "current"):
                    progress[count]["ready"] -= 1
        for logger in trainer.loggers:
            logger.save()  # no row of a step before the checkpoint is lost with the process

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Take all of it back, in whatever folder the run is now.

        Raises:
            UserError: If it is not what a run like this one would have saved.
        """
        if trainer.state.fn != TrainerFn.FITTING:
            return
        if words := unsound(trainer, pl_module, checkpoint):
            raise not_resumable(trainer.ckpt_path, words)
        self.loaded = checkpoint[RESUMPTION]
        done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and (state := checkpoint["callbacks"].get(callback.state_key)):
                relocate(state, Path(str(callback.dirpath)))
                best = state["best_model_path"]
                if best and not Path(best).is_file():  # the checkpoint was taken away from its run
                    if callback.monitor and done == trainer.max_epochs:
                        raise not_resumable(trainer.ckpt_path, f"nothing is left to train, and {best} is not there")
                    if callback.monitor:
                        log.warning("%s is not there: the best of the epochs to come will be", best)
                    del checkpoint["callbacks"][callback.state_key]
        for logger in trainer.loggers:
            if isinstance(logger, ContinuedCSVLogger):
                logger.keep_until(checkpoint["global_step"])

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Finish the epoch of a checkpoint that was written at its end, before ReduceLROnPlateau had moved."""
        if self.loaded and self.loaded["monitored"] is not None:
            for config in trainer.lr_scheduler_configs:
                if config.reduce_on_plateau:
                    config.scheduler.step(self.loaded["monitored"])

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Give a resumed run its streams of random numbers."""
        if self.loaded is not None:
            if trainer.global_rank < len(self.loaded["streams"]):  # more processes than before: theirs are new
                restore_streams(self.loaded["streams"][trainer.global_rank])
            self.loaded = None

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Let ReduceLROnPlateau move at the end of a resumed epoch; Lightning would leave it out."""
        trainer.fit_loop.restarting = False


def unsound(trainer: Any, module: Any, checkpoint: dict[str, Any]) -> str | None:
    """Return what of a checkpoint's training this trainer and module would not have saved, or None.

    They are asked for what they would save at their beginning, and what was saved must have the form of it.
    """
    loops, step = checkpoint["loops"]["fit_loop"], checkpoint["global_step"]
    if words := deviation(loops, trainer.fit_loop.state_dict(), "loops.fit_loop"):
        return words
    if step != (done := loops[OPTIMIZER_STEP]["optimizer"]["step"]["total"]["completed"]):
        return f"global_step is {step}, and the optimizer has done {done} steps"
    if checkpoint["epoch"] > loops["epoch_progress"]["current"]["ready"]:
        return f"epoch is {checkpoint['epoch']}, of {loops['epoch_progress']['current']['ready']} begun"
    if not (begun := {callback.state_key for callback in trainer.callbacks} & checkpoint["callbacks"].keys()):
        return "callbacks is empty"
    states = {
        callback.state_key: callback.state_dict() for callback in trainer.callbacks if callback.state_key in begun
    }
    return (
        deviation(checkpoint["callbacks"], states, "callbacks")
        or unsound_scores(trainer, checkpoint)
        or unsound_optimizer(module, checkpoint["optimizer_states"], step)
        or unsound_scheduler(module, checkpoint["lr_schedulers"], step)
        or unsound_streams(checkpoint[RESUMPTION]["streams"], trainer.global_rank)
    )


def unsound_scores(trainer: Any, checkpoint: dict[str, Any]) -> str | None:
    """Return which score that chooses a checkpoint or moves a scheduler is missing or no number, or None."""
    scores = [(f"{RESUMPTION}.monitored", checkpoint[RESUMPTION]["monitored"])]
    for callback in trainer.checkpoint_callbacks:
        state = checkpoint["callbacks"].get(callback.state_key, {})
        scores += [(name, state[name]) for name in state if name.endswith("_score")]
        kept = state.get("best_k_models", {})
        if state.get("kth_best_model_path", "") not in {"", *kept}:
            return "callbacks.kth_best_model_path names a checkpoint that has no score"
        scores += kept.items()
    number = torch.tensor(torch.inf)
    wrong = [name for name, score in scores if score is not None and deviation(score, number)]
    return f"the score {wrong[0]} is no number" if wrong else None


def unsound_optimizer(module: Any, saved: list, step: int) -> str | None:
    """Return why the state of the optimizer cannot be taken, or None: compared with, and tried on, one like it."""
    weights = [torch.zeros_like(weight).requires_grad_() for weight in module.parameters()]
    optimizer = build("optimizer", module.hparams["optimizer"])(weights)
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step(lambda: torch.zeros(()))
    state, groups = optimizer.state_dict().values()
    needed = [{"params": group["params"], "lr": group["lr"]} for group in groups]
    if words := deviation(saved, [{"state": {}, "param_groups": needed}], "optimizer_states"):
        return words
    kept = saved[0]["state"]
    if step and state and not kept:
        return "optimizer_states is empty"
    moved = {index: state[index] for index in state if index in kept}  # a weight that no step has moved has no state
    if words := deviation(saved, [{"state": moved}], "optimizer_states"):
        return words
    settings = [{name: group[name] for name in group if name != "fused"} for group in groups]  # either way goes on
    if words := deviation(saved, [{"param_groups": settings}], "optimizer_states", complete=False):
        return words
    try:  # torch knows what it can do without of what another version of it has saved
        optimizer.load_state_dict(deepcopy(saved[0]))
        optimizer.step(lambda: torch.zeros(()))
    except Exception as error:
        return f"optimizer_states cannot be taken ({type(error).__name__}: {error!s:.80})"
    return None


def unsound_scheduler(module: Any, saved: list, step: int) -> str | None:
    """Return where the state of the scheduler is not what the module's own would save, or None."""
    scheduler = module.configure_optimizers()["lr_scheduler"]["scheduler"]
    begun = scheduler.state_dict()
    if hidden := [name for name in saved[0] if name not in begun and hasattr(scheduler, name)]:
        return f"lr_schedulers.0 holds {hidden[0]}, which is no state"  # it would take the place of a method
    if saved[0]["last_epoch"] > step:
        return f"lr_schedulers.0.last_epoch is {saved[0]['last_epoch']}, after {step} steps"
    return deviation(saved, [begun], "lr_schedulers", complete=False)


def unsound_streams(saved: list, rank: int) -> str | None:
    """Return why the streams of random numbers cannot be restored, or None; they are left as they are."""
    if not saved:
        return f"{RESUMPTION}.streams is empty"
    own = streams()
    try:
        if rank < len(saved):
            restore_streams(saved[rank])
    except Exception as error:  # each library has its own
        return f"{RESUMPTION}.streams.{rank} cannot be restored ({type(error).__name__})"
    finally:
        restore_streams(own)
    return None


def streams() -> dict[str, Any]:
    """Return the state of every stream of random numbers, in types that load with ``weights_only=True``."""
    numpy: Any = np.random.get_state()  # noqa: NPY002  the stream that others may use
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
        "numpy": (numpy[0], numpy[1].tolist(), *numpy[2:]),
        "python": random.getstate(),
    }


def restore_streams(state: dict[str, Any]) -> None:
    """Give every stream of random numbers the state it had."""
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    random.setstate(state["python"])


def relocate(state: dict[str, Any], folder: Path) -> None:
    """Let the paths of a ModelCheckpoint's state point into a folder."""
    state["dirpath"] = str(folder)
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[key] = str(folder / Path(state[key]).name) if state[key] else ""
    state["best_k_models"] = {str(folder / Path(path).name): score for path, score in state["best_k_models"].items()}
