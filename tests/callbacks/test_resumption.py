"""A run that was stopped goes on to the weights, and the CSV, of one that was not."""

from pathlib import Path

import pytest
from hydra.utils import instantiate
from lightning import seed_everything
from lightning.pytorch.callbacks import Callback

from fer_lightning.runs.checkpoints import newest
from tests.conftest import Signal, differing, options, state, train

OPTIONS = options("tiny", "stopped")


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
        ("adam", "constant", "mid-epoch", 2),
        ("adam", "constant", "end of an epoch", 0),
        ("sgd", "plateau", "first batch of an epoch", 0),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in (
                ("adam", "constant", "mid-epoch", 0),
                ("sgd", "plateau", "validation", 0),
                ("rmsprop", "cosine", "mid-epoch", 0),
                ("sgd", "constant", "mid-epoch", 0),
                ("rmsprop", "constant", "mid-epoch", 0),
                ("adam", "constant", "end of an epoch", 2),
                ("sgd", "plateau", "end of an epoch", 0),
                ("rmsprop", "cosine", "end of an epoch", 0),
            )
        ),
    ],
)
def test_resumed_weights_are_those_of_the_uninterrupted_run(
    make_cfg, tmp_path, uninterrupted, optimizer, scheduler, place, workers
):
    options = [f"optimizer={optimizer}", f"scheduler={scheduler}"]
    if scheduler == "plateau":
        options += ["scheduler.patience=0", "scheduler.mode=min"]  # moves whenever the score rises
        options += ["augmentation.device=accelerator"]
    key = tuple(options)
    if key not in uninterrupted:
        uninterrupted[key] = state(train(make_cfg(*OPTIONS, *options, f"hydra.runtime.output_dir={tmp_path}/whole")))
    options.append(f"data.num_workers={workers}")
    folder = tmp_path / "parts"
    cfg = make_cfg(*OPTIONS, *options, f"hydra.runtime.output_dir={folder}")
    if place == "end of an epoch":  # a process that was killed in its third epoch left the end of its second
        keep = Copy(folder / "second.ckpt")
        seed_everything(cfg.seed, verbose=False)
        trainer = instantiate(cfg.trainer)
        trainer.callbacks.insert(0, keep)
        with pytest.raises(RuntimeError, match="killed"):
            trainer.fit(instantiate(cfg.model), instantiate(cfg.data))
        checkpoint = keep.path
    else:
        train(cfg, stop=Signal(*PLACES[place]))
        checkpoint = newest(folder)
    assert not differing(state(train(cfg, checkpoint=checkpoint)), uninterrupted[key])


class Copy(Callback):
    """Keep the checkpoint of the second epoch's end, and fail in the third."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer, *args) -> None:
        if trainer.global_step == 10:
            self.path.write_bytes((self.path.parent / "checkpoints" / "last.ckpt").read_bytes())
            raise RuntimeError("killed")
