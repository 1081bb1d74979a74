"""What W&B is given: a broken figure is counted, the dashboard is built from code."""

import json

import pytest

from tests.conftest import options
from tests.wandb_files import inspect, records

FIGURES = ("training_graphs", "confusion_matrix", "per_class", "augmentation", "embeddings_pca", "embeddings_tsne")


@pytest.mark.long
def test_broken_figure_is_counted_and_the_checkpoint_uploaded(run_here, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staged"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cached"))
    broken = ("logger.wandb.log_model=true", "+callbacks.media.maps.tsne.metric=nowhere")
    brief = options("small", "tiny", "brief", "logger=wandb", "hydra.callbacks.jobs.report=false")
    done = run_here("train.py", *brief, *broken, "hydra.run.dir=run")
    assert done.code == 0
    assert "embeddings_tsne could not be made (InvalidParameterError: The 'metric' parameter of TSNE" in done.text
    assert "figures and tables that this run lacks: 1; its metrics are whole" in done.text
    (run,) = (tmp_path / "run").glob("wandb/offline-run-*")
    summary = inspect(run)["summary"]
    assert summary["media/failures"] == 1
    assert {f"media/{name}" for name in FIGURES} - set(summary) == {"media/embeddings_tsne"}
    models = [artifact for artifact in records(run, "artifact") if artifact["type"] == "model"]
    assert [json.loads(model["metadata"])["original_filename"] for model in models] == ["best.ckpt"]


@pytest.mark.filterwarnings("ignore:.*@validator:DeprecationWarning")  # wandb-workspaces 0.4 on pydantic 2
@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
def test_the_dashboard_is_built_from_code():
    pytest.importorskip("wandb_workspaces", reason="needs the extra dashboard")
    from wandb_workspaces.expr import expr_to_filters

    from fer_lightning.report.wandb import saved_view, sweep_report

    view = saved_view("me", "fer_lightning", "2026-01-01")
    panels = [panel for section in view.sections for panel in section.panels]
    assert len(panels) == 15
    (found,) = view._to_model().spec.section.run_sets[0].filters["filters"]
    assert (found["key"]["name"], found["op"], found["value"]) == ("group", "=", "2026-01-01")
    blocks = sweep_report("me", "fer_lightning", "2026-01-01").blocks
    board, runs = (block.runsets[0] for block in blocks[1::2])
    in_words = [  # as W&B's own parser reads them
        [f"{one.key.name} {one.op} {one.value}" for one in filters_of(expr_to_filters(runset.filters))]
        for runset in (board, runs)
    ]
    assert in_words == [["group = 2026-01-01", "jobType = sweep"], ["group = 2026-01-01"]]
    assert blocks[1].panels[0].table_name == "sweep/leaderboard"


def filters_of(tree) -> list:
    """Return the leaves of a tree of W&B filters."""
    return [leaf for child in tree.filters for leaf in filters_of(child)] if tree.filters else [tree]
