"""Names that come close to a mistyped option, flag or choice."""

import pytest

from fer_lightning.config.suggestions import check_flags, choices_made, no_choice, suggestion
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
def test_an_option_that_comes_close_is_named(key, words, train):
    assert suggestion(key, train, "train").startswith(words)


@pytest.fixture(scope="module")
def train():
    return choices_made("train")


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
    assert no_choice("data", "my/faces") == "data=my/faces does not exist: faces are given as data.root=my/faces"
    assert (
        no_choice("x", "slrm", ["basic", "slurm"])
        == "x=slrm does not exist: use one of basic, slurm (did you mean slurm?)"
    )


@pytest.mark.parametrize(
    ("choices", "key", "words"),
    [
        ([], "optimizer.momentum", " of Adam, which takes lr, weight_decay, eps, betas, fused: "),
        ([], "optimizer.momentum", ": it comes with optimizer=sgd"),
        ([], "n_neighbors", ": did you mean classifier.k?"),
        (["optimizer=sgd"], "optimizer.dampening", "write +optimizer.dampening=... with the plus sign"),
        (["loss=softmax"], "loss.margin", " of NormalizedSoftmaxLoss, which takes distance, num_classes"),
        ([], "embedder.pretrained", ": it comes with embedder=timm"),
        (["embedder=timm"], "embedder.model", ": did you mean embedder.model_name?"),
        ([], "embedder.model_name", ": it comes with embedder=timm"),
        ([], "callbacks.early_stopping.patience", " here: it comes with callbacks=early_stopping"),
        ([], "trainer.min_epochs", " that a file of conf/ gives: write +trainer.min_epochs=... with the plus sign"),
        ([], "checkpoint", ": did you mean init_from or resume_from?"),
        ([], "data.val_split", ": did you mean protocol.validation_share?"),
        ([], "val_split", ": did you mean protocol.validation_share?"),
    ],
)
def test_the_chosen_files_answer(choices, key, words):
    assert words in suggestion(key, choices_made("train", choices), "train")


def test_other_programs_names_of_a_verb_are_known():
    cfg = choices_made("predict")
    names = {"model": "checkpoint", "source": "input", "ckpt_path": "checkpoint"}
    assert {name: suggestion(name, cfg, "predict") for name in names} == {
        name: f": did you mean {option}?" for name, option in names.items()
    }
