"""The command eval repeats what the training measured."""

import json

import pytest

from tests.conftest import options


@pytest.mark.parametrize(("head", "shown"), [("prototype", "plain"), ("linear", "callbacks.media.maps={}")])
def test_another_head_trains_and_is_scored_again(head, shown, tmp_path, run_here):
    brief = options("small", "tiny", "brief", "hydra.callbacks.jobs.report=false", f"classifier={head}", shown)
    done = run_here("train.py", *brief, "hydra.run.dir=run")
    assert done.code == 0, done.text
    best = tmp_path / "run/checkpoints/best.ckpt"
    done = run_here("eval.py", *options("small", "plain"), f"checkpoint={best}", "hydra.run.dir=again")
    assert done.code == 0, done.text
    first, again = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("run", "again"))
    names = [name for name in first if name.startswith("test/")] + ["train/accuracy"]
    assert {name: first[name] for name in names} == {name: again[name] for name in names}
    if shown != "plain":
        mistakes = json.loads((tmp_path / "run/mistakes.json").read_text())["mistakes"]
        assert mistakes
        assert not any(mistake["neighbours"] for mistake in mistakes)  # of a head that knows none
