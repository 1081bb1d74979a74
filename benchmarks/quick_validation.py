"""Claim 6: the quick validation every 30 steps takes a small share of the training's time."""

import tempfile
import time
from pathlib import Path

from harness import Claim, configure, main
from hydra.utils import instantiate

from fer_lightning.callbacks.quick_validation import QuickValidation

OPTIONS = ["trainer.max_epochs=1", "~callbacks.ending", "trainer.limit_val_batches=1"]


def shares(folder: Path, steps: int, every: int) -> tuple[float, float]:
    """Return the processor's seconds of the quick validations of a training, and of its steps with them."""
    options = [*OPTIONS, f"trainer.limit_train_batches={steps}", f"callbacks.quick_validation.every_n_steps={every}"]
    cfg = configure(folder, *options)
    trainer = instantiate(cfg.trainer)
    (quick,) = (callback for callback in trainer.callbacks if isinstance(callback, QuickValidation))
    spent, begun, plain = [], [], quick.on_train_batch_end

    def timed(*arguments: object) -> None:
        start = time.process_time()
        plain(*arguments)
        spent.append(time.process_time() - start)
        begun.append(start + spent[-1])

    quick.on_train_batch_end = timed
    trainer.fit(instantiate(cfg.model), instantiate(cfg.data))
    return sum(spent[every:]), begun[-1] - begun[every - 1]  # from one score to another: the first ones warm up


def measure(tiny: bool) -> list[Claim]:
    """Return the claim."""
    every = 2 if tiny else 30
    with tempfile.TemporaryDirectory() as folder:
        rounds = [shares(Path(folder), steps=(2 if tiny else 3) * every, every=every) for _ in range(1 if tiny else 3)]
    ours, whole = rounds[len(rounds) // 2]
    name = "quick validation every 30 steps, share of training"
    return [Claim(6, name, ours, whole, "s", [part / total for part, total in rounds], 0.03, "at most")]


if __name__ == "__main__":
    main(measure)
