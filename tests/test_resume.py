"""A run that was stopped goes on to the weights, and the CSV, of one that was not."""

import signal
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from lightning import seed_everything
from lightning.pytorch.callbacks import Callback

from fer_lightning.checkpoints import newest
from fer_lightning.errors import Interrupted

# Online augmentation and dropout; four batches of 28 an epoch, three epochs.
OPTIONS = (
    *("augmentation=occlusion", "augmentation.copies=1", "augmentation.keep_original=false", "embedder.dropout=0.3"),
    *("loss=supcon", "data.batch_size=28", "data.classes_per_batch=7", "trainer.max_epochs=3", "optimizer.lr=1e-3"),
    *("embedder.stages=[[[8,8,16,4,8,8]],[[8,8,16,4,8,8]]]", "embedder.stem_channels=8", "embedder.hidden_size=32"),
    *("trainer.limit_train_batches=4", "trainer.log_every_n_steps=1", "callbacks.quick_validation.every_n_steps=1"),
)


class Signal(Callback):
    """Note a signal at a step, in training or in the validation after it."""

    def __init__(self, step: int, hook: str) -> None:
        self.step = step
        setattr(self, hook, self.note)

    def note(self, trainer, *args, **kwargs) -> None:
        if trainer.global_step == self.step:
            (resumption,) = (c for c in trainer.callbacks if hasattr(c, "received"))
            resumption.received = signal.SIGTERM


def train(make_cfg, folder: Path, *options: str, checkpoint: Path | None = None, stop: Signal | None = None):
    """Return the module and optimizer state after training, or None where a signal ended it."""
    cfg = make_cfg(*OPTIONS, *options, f"hydra.runtime.output_dir={folder}")
    seed_everything(cfg.seed, verbose=False)
    datamodule, model, trainer = instantiate(cfg.data), instantiate(cfg.model), instantiate(cfg.trainer)
    if stop:
        trainer.callbacks.insert(0, stop)
        with pytest.raises(Interrupted) as info:
            trainer.fit(model, datamodule)
        assert info.value.code == 143
        return None
    if checkpoint:
        seed_everything(99, verbose=False)  # as in another process: nothing of the streams is left
    trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
    score = trainer.checkpoint_callback.best_model_score
    return model.state_dict(), trainer.optimizers[0].state_dict(), score, (folder / "metrics.csv").read_text()


def assert_same(first: object, second: object) -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for a, b in zip(first, second, strict=True):
            assert_same(a, b)
    else:
        assert first == second


PLACES = {
    "mid-epoch": (6, "on_train_batch_end"),
    "validation": (8, "on_validation_start"),
    "first batch of an epoch": (4, "on_train_epoch_start"),
}


@pytest.fixture(scope="module")
def uninterrupted() -> dict:
    """What uninterrupted runs gave, by their options."""
    return {}


@pytest.mark.parametrize(
    ("optimizer", "scheduler", "place", "workers"),
    [
        ("adam", "constant", "mid-epoch", 0),
        ("adam", "constant", "mid-epoch", 2),
        ("sgd", "constant", "mid-epoch", 0),
        ("rmsprop", "constant", "mid-epoch", 0),
        ("adam", "constant", "end of an epoch", 0),
        ("adam", "constant", "end of an epoch", 2),
        ("sgd", "plateau", "end of an epoch", 0),
        ("sgd", "plateau", "validation", 0),
        ("sgd", "plateau", "first batch of an epoch", 0),
        ("rmsprop", "cosine", "end of an epoch", 0),
    ],
)
def test_resumed_weights_are_those_of_the_uninterrupted_run(
    make_cfg, tmp_path, uninterrupted, optimizer, scheduler, place, workers
):
    options = [f"optimizer={optimizer}", f"scheduler={scheduler}"]
    if scheduler == "plateau":
        options += ["scheduler.patience=0", "scheduler.mode=min"]  # moves whenever the score rises
    key = tuple(options)
    if key not in uninterrupted:
        uninterrupted[key] = train(make_cfg, tmp_path / "whole", *options)
    options.append(f"data.num_workers={workers}")
    folder = tmp_path / "parts"
    if place == "end of an epoch":  # a process that was killed in its third epoch left the end of its second
        keep = Copy(folder / "second.ckpt")
        cfg = make_cfg(*OPTIONS, *options, f"hydra.runtime.output_dir={folder}")
        seed_everything(cfg.seed, verbose=False)
        trainer = instantiate(cfg.trainer)
        trainer.callbacks.insert(0, keep)
        with pytest.raises(RuntimeError, match="killed"):
            trainer.fit(instantiate(cfg.model), instantiate(cfg.data))
        checkpoint = keep.path
    else:
        train(make_cfg, folder, *options, stop=Signal(*PLACES[place]))
        checkpoint = newest(folder)
    assert_same(train(make_cfg, folder, *options, checkpoint=checkpoint), uninterrupted[key])


class Copy(Callback):
    """Keep the checkpoint of the second epoch's end, and fail in the third."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer, *args) -> None:
        if trainer.global_step == 10:
            self.path.write_bytes((self.path.parent / "checkpoints" / "last.ckpt").read_bytes())
            raise RuntimeError("killed")
