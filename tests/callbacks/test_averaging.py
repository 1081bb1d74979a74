"""The average by hand, and where the module and the checkpoint hold it."""

from types import SimpleNamespace

import pytest
import torch
from hydra.utils import instantiate
from lightning.pytorch.plugins import Precision
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn

from fer_lightning.callbacks.averaging import AveragedWeights
from fer_lightning.errors import UserError


class Module(nn.Module):
    """Embedder with a batch norm, loss with a weight, and a gallery whose shape changes."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.embedder = nn.BatchNorm1d(1)
        self.loss = nn.Linear(1, 1, bias=False)
        self.classifier = nn.Module()
        self.classifier.register_buffer("gallery", torch.zeros(0, 1))

    def set(self, value: float) -> None:
        with torch.no_grad():
            self.embedder.weight.fill_(value)
            self.embedder.running_mean.fill_(10 * value)
            self.loss.weight.fill_(-value)

    def get(self) -> tuple[float, float, float]:
        return self.embedder.weight.item(), self.embedder.running_mean.item(), self.loss.weight.item()


def trained(module: Module, start: int) -> tuple[AveragedWeights, SimpleNamespace]:
    """Return the callback after five steps that leave 1, 2, 3, 4 and 5 in the module."""
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer = SimpleNamespace(global_step=0, precision_plugin=Precision(), strategy=strategy)
    callback = AveragedWeights(decay=0.25, start=start)
    trainer.state = SimpleNamespace(fn=TrainerFn.FITTING)
    callback.setup(trainer, module, "fit")
    for step in range(1, 6):
        module.set(step)
        trainer.global_step = step
        callback.on_train_batch_end(trainer, module, None, None, step - 1)
    return callback, trainer


def averaged(start: int) -> float:
    value = float(max(start, 1))  # what it begins with
    for count, step in enumerate(range(int(value) + 1, 6), start=1):
        share = min(0.25, (1 + count) / (10 + count))  # 2/11 and 3/12, then the decay
        value = share * value + (1 - share) * step
    return value


@pytest.mark.parametrize("start", [0, 3])
def test_validation_has_average_training_latest_weights(start):
    module = Module()
    callback, trainer = trained(module, start)
    expected = averaged(start)
    assert module.get() == (5, 50, -5)
    callback.on_validation_epoch_start(trainer, module)
    assert module.get() == pytest.approx((expected, 10 * expected, -expected), rel=1e-6)  # batch norm's statistics too
    module.classifier.gallery = torch.ones(4, 1)
    callback.on_validation_epoch_end(trainer, module)
    assert module.get() == (5, 50, -5)
    callback.on_train_end(trainer, module)
    assert module.get() == pytest.approx((expected, 10 * expected, -expected), rel=1e-6)


@pytest.mark.parametrize("validating", [False, True])
def test_a_checkpoint_holds_both_and_gives_both_back(validating):
    module = Module()
    callback, trainer = trained(module, 0)
    expected = averaged(0)
    if validating:  # where a signal stops a run
        callback.on_validation_epoch_start(trainer, module)
    module.classifier.gallery = torch.full((4, 1), 7.0)
    checkpoint = {"state_dict": module.state_dict()}
    callback.on_save_checkpoint(trainer, module, checkpoint)
    checkpoint = {name: {key: value.clone() for key, value in part.items()} for name, part in checkpoint.items()}
    assert checkpoint["state_dict"]["embedder.weight"].item() == pytest.approx(expected)
    assert checkpoint["current_model_state"]["embedder.weight"].item() == 5
    assert checkpoint["state_dict"]["classifier.gallery"].shape == (4, 1)

    other, again = Module(), AveragedWeights(decay=0.25, start=0)
    other.classifier.gallery = torch.zeros(4, 1)
    again.setup(trainer, other, "fit")
    other.load_state_dict(checkpoint["state_dict"])
    again.on_load_checkpoint(trainer, other, checkpoint)
    again.load_state_dict(callback.state_dict())
    assert other.get() == (5, 50, -5)
    other.set(6)
    trainer.global_step = 6
    again.on_train_batch_end(trainer, other, None, None, 5)
    again.on_validation_epoch_start(trainer, other)
    assert other.get()[0] == pytest.approx(0.25 * expected + 0.75 * 6)


def test_a_test_after_training_scores_the_average():
    module = Module()
    callback, trainer = trained(module, 0)
    checkpoint = {"state_dict": module.state_dict()}
    callback.on_save_checkpoint(trainer, module, checkpoint)
    callback.on_train_end(trainer, module)
    trainer.state.fn = TrainerFn.TESTING
    module.load_state_dict(checkpoint["state_dict"])
    callback.on_load_checkpoint(trainer, module, checkpoint)
    assert module.get()[0] == pytest.approx(averaged(0))


def test_scheduler_by_steps_rises_and_falls_to_nothing(make_cfg):
    model = instantiate(make_cfg("scheduler=warmup_cosine", "optimizer=sgd", "optimizer.lr=0.1").model)
    model.trainer = SimpleNamespace(ckpt_path=None, estimated_stepping_batches=200)
    found = model.configure_optimizers()
    optimizer, plan = found["optimizer"], found["lr_scheduler"]
    assert (plan["interval"], plan["monitor"]) == ("step", "val/accuracy")
    rates = []
    for _ in range(200):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        plan["scheduler"].step()
    assert rates[0] == pytest.approx(0.1 / 25)
    assert max(rates) == rates[9] == pytest.approx(0.1)  # 5 % of 200 steps, from 0
    assert rates[104] == pytest.approx(0.05, rel=0.02)  # half way down
    assert rates[-1] < 1e-5


def test_a_rise_of_one_step_is_refused_in_a_new_run_alone(make_cfg):
    """Fault 162: torch divides by the steps of the rise less one; a run that goes on has its checkpoint's rates."""
    for share, steps in ((0.05, 20), (0.5, 2)):
        model = instantiate(make_cfg("scheduler=warmup_cosine", f"scheduler.pct_start={share}").model)
        model.trainer = SimpleNamespace(ckpt_path=None, estimated_stepping_batches=steps)
        with pytest.raises(UserError, match=rf"^scheduler\.pct_start={share} of {steps} steps is one step, .* longer$"):
            model.configure_optimizers()
        model.trainer.ckpt_path = "last.ckpt"
        model.configure_optimizers()


def test_epoch_schedulers_watch_the_objective(make_cfg):
    model = instantiate(make_cfg("scheduler=plateau", "objective=val/macro_f1").model)
    plan = model.configure_optimizers()["lr_scheduler"]
    assert (plan["interval"], plan["monitor"]) == ("epoch", "val/macro_f1")
