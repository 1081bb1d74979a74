"""Names that come close to a mistyped option, flag or choice."""

import pytest

from fer_lightning.config.suggestions import check_flags, known_keys, no_choice, suggestion
from fer_lightning.errors import UserError


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("lr", ": did you mean optimizer.lr?"),
        ("data.lr", ": did you mean optimizer.lr"),
        ("epoch", ": did you mean trainer.max_epochs?"),
        ("batch", ": did you mean data.batch_size?"),
        ("learning_rate", ": did you mean optimizer.lr?"),
        ("workers", ": did you mean data.num_workers or data.worker_timeout?"),
        ("gpus", ": did you mean trainer.devices?"),
        ("output_dir", ": did you mean hydra.run.dir"),
        ("optimzer", ": did you mean optimizer or"),
        ("nonsense", ": see python train.py --help"),
    ],
)
def test_an_option_that_comes_close_is_named(key, words, train_keys):
    assert suggestion(key, train_keys, "train").startswith(words)


@pytest.fixture(scope="module")
def train_keys():
    return known_keys("train")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epochs=5"], "--epochs=5 is no option: .* trainer.max_epochs=5?"),
        (["--learning-rate", "1e-3"], "did you mean optimizer.lr=1e-3"),
        (["--optimizer", "seed=1"], "did you mean optimizer=\\.\\.\\."),
        (["--nonsense"], "see python train.py --help"),
    ],
)
def test_a_flag_is_told_how_options_are_written(arguments, words):
    with pytest.raises(UserError, match=words):
        check_flags(arguments, "train")
    check_flags(["-m", "--cfg", "job", "-sc", "install=bash", "--multi", "optimizer.lr=-1"], "train")


def test_a_choice_that_comes_close_is_named():
    assert no_choice("optimizer", "adan").endswith("use one of adam, adamw, rmsprop, sgd (did you mean adam?)")
    assert (
        no_choice("x", "slrm", ["basic", "slurm"])
        == "x=slrm does not exist: use one of basic, slurm (did you mean slurm?)"
    )
