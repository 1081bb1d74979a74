"""A meter for the meter: on synthetic faces whose labels allow 40 % honest runs stay below it, and leaks go above."""

import json

import lightning
import pytest
from hydra.utils import instantiate

from fer_lightning.data.faces import CLASSES

ALLOWED = 0.4
OPTIONS = (
    "data.drawn.count=400",
    f"data.drawn.wrong_label_share={1 - ALLOWED}",
    "classifier.k=1",
    "trainer.max_epochs=1",
    "loss=supcon",
    "data.batch_size=56",
    "sampler=balanced",
    f"sampler.classes_per_batch={len(CLASSES)}",
    "optimizer.lr=1e-3",
    "embedder.initial_scale=1",
    "~callbacks.quick_validation",
    "~callbacks.media",
    "trainer.log_every_n_steps=1",
)


@pytest.fixture
def score(make_cfg, tmp_path):
    def score(protocol: str, *options: str) -> dict:
        if protocol.startswith("leaky"):
            protocol, options = "honest", (f"protocol._target_=tests.data.leaky.{protocol}", *options)
        cfg = make_cfg(*OPTIONS, f"protocol={protocol}", *options)
        lightning.seed_everything(0, verbose=False)
        trainer, model, datamodule = (instantiate(node) for node in (cfg.trainer, cfg.model, cfg.data))
        trainer.fit(model, datamodule)
        best = trainer.checkpoint_callback.best_model_path  # "best" would warn of the second one, which keeps the last
        trainer.test(model, datamodule, ckpt_path=best, weights_only=True, verbose=False)
        return json.loads((tmp_path / "metrics.json").read_text())

    return score


@pytest.mark.parametrize("protocol", ["honest", pytest.param("kfold", marks=pytest.mark.long)])
def test_honest_runs_stay_below_what_the_labels_allow(score, protocol):
    metrics = score(protocol)
    assert metrics["labels_allow"] == ALLOWED
    assert metrics["test/accuracy_low"] <= ALLOWED
    assert metrics["leaks"] == ""
    assert not {"too_good", "unscored"} & set(metrics)
    assert metrics["test/faces_without_twins"] == metrics["test_faces"]
    assert metrics["test/accuracy_without_twins"] == pytest.approx(metrics["test/accuracy"])


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        pytest.param("paper", "have a sibling in training", marks=pytest.mark.long),
        ("leaky_gallery", "are themselves in training or gallery"),
        pytest.param("leaky_report", "are themselves in training", marks=pytest.mark.long),
    ],
)
def test_leaks_go_above_it_and_are_reported(score, protocol, words, caplog):
    with caplog.at_level("INFO"):
        metrics = score(protocol)
    assert metrics["test/accuracy_low"] > ALLOWED
    assert words in metrics["leaks"]
    assert "cannot be honest" in metrics["too_good"]
    assert words in metrics["too_good"]
    assert f"leaky: {metrics['leaks']}" in caplog.text
    assert metrics["test/faces_without_twins"] <= 0.01 * metrics["test_faces"]


def test_a_part_of_the_test_faces_raises_no_alarm(score):
    metrics = score("leaky_gallery", "trainer.limit_test_batches=1")
    assert metrics["test/accuracy_low"] > ALLOWED
    assert "too_good" not in metrics
    assert (metrics["test_faces"], metrics["unscored"]) == (64, 36)
