"""A run that was stopped, and one that ends at a step, against the run that nothing stopped: bit by bit."""

import math
import random
import sys
from pathlib import Path

import pytest

from fer_lightning.runs.checkpoints import newest
from tests.conftest import Signal, differing, options, state, train

OPTIONS = options("tiny", "stopped")  # three epochs of four steps
SETTINGS = {
    "two workers": ["data.num_workers=2"],
    "onecycle": ["scheduler=onecycle"],
    "warmup_cosine, averaged": ["scheduler=warmup_cosine", "callbacks=averaged"],
    "proxy_anchor": ["loss=proxy_anchor"],
    "triplet_center": ["loss=triplet_center"],
    "soft_triple": ["loss=soft_triple"],
    "bf16-mixed": ["trainer.precision=bf16-mixed"],
    "bf16-true": ["trainer.precision=bf16-true"],
    "64-true": ["trainer.precision=64-true"],
    "64-true, averaged": ["trainer.precision=64-true", "callbacks=averaged"],
    "accumulates 2": ["+trainer.accumulate_grad_batches=2"],
    "accumulates 3": ["+trainer.accumulate_grad_batches=3"],
    "clipped": ["trainer.gradient_clip_val=1"],
    "plateau, arcface": ["scheduler=plateau", "scheduler.patience=0", "scheduler.mode=min", "loss=arcface"],
    "supcon, one worker": ["loss=supcon", "data.num_workers=1"],
    "timm, sgd": ["embedder=timm", "embedder.model_name=test_convnext", "optimizer=sgd"],
    "resnet48, quickstart": [
        *("experiment=quickstart", "embedder=resnet48", "loss=softmax_smoothed", "sampler=natural"),
    ],
    "validates after 3 batches": ["trainer.val_check_interval=3"],
    "validates after 7 batches": [
        "data.batch_size=14",
        "trainer.limit_train_batches=9",
        "trainer.val_check_interval=7",
    ],
    "validates after half an epoch": ["trainer.val_check_interval=0.5"],
    "validates every second epoch": ["trainer.check_val_every_n_epoch=2"],
    "max_steps": ["trainer.max_steps=10"],
    "natural": ["sampler=natural"],
    "mirrored": ["model.mirrored=true"],
    "linear": ["classifier=linear"],
    "prototype": ["classifier=prototype"],
}


@pytest.mark.long
def test_double_precision_goes_on_in_double_precision(make_cfg, tmp_path):
    double = [*OPTIONS, "trainer.precision=64-true", "trainer.max_epochs=2", "callbacks=averaged"]
    whole = state(train(make_cfg(*double, f"hydra.runtime.output_dir={tmp_path}/whole")))
    cfg = make_cfg(*double)
    train(cfg, stop=Signal(6, "on_train_batch_end"))
    assert not differing(state(train(cfg, newest(tmp_path))), whole)


def beside(setting: list[str]) -> list[str]:
    """Return a setting with OPTIONS, those left out that set something of a choice that the setting makes anew."""
    chosen = {option.partition("=")[0] for option in setting}
    return [option for option in OPTIONS if not chosen & {option.partition(end)[0] for end in "=."}] + setting


def results(cfg, checkpoint: Path | None = None) -> dict[str, object]:
    """Train to the end, test, and return everything that must be equal."""
    trainer = train(cfg, checkpoint)
    chosen = trainer.checkpoint_callback.best_model_path
    trainer.test(trainer.lightning_module, trainer.datamodule, ckpt_path=chosen, weights_only=True, verbose=False)
    return state(trainer) | {"predictions.csv": Path(cfg.paths.output_dir, "predictions.csv").read_text()}


@pytest.mark.attack
def test_a_run_stopped_in_mid_epoch_goes_on_to_the_last_bit(make_cfg, tmp_path, tally):
    for number, (name, setting) in enumerate(SETTINGS.items()):
        own = [*beside(setting), "~callbacks.media"]
        cfg = make_cfg(*own, f"hydra.runtime.output_dir={tmp_path}/{number}")
        epoch = math.ceil(cfg.trainer.limit_train_batches / cfg.trainer.get("accumulate_grad_batches", 1))
        steps = min(cfg.trainer.max_epochs * epoch, cfg.trainer.max_steps % sys.maxsize)
        step = random.Random(name).choice([step for step in range(1, steps) if step % epoch])
        found = f"stopped at step {step}"
        try:
            train(cfg, stop=Signal(step, "on_train_batch_end"))
            resumed = results(cfg, newest(tmp_path / str(number)))
            whole = results(make_cfg(*own, f"hydra.runtime.output_dir={tmp_path}/{number} whole"))
            found = f"{found}: {differing(resumed, whole)[:5]}"
            right = not differing(resumed, whole)
        except Exception as error:  # one more that went wrong; the others are tried all the same
            found, right = f"{found}: {error!r}", False
        tally.judge(name, right, found)
