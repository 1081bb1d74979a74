"""The harness of the benchmarks; each benchmark that is quick, at its smallest."""

import importlib
import logging
import sys
import warnings

import pytest
from hydra.core.global_hydra import GlobalHydra

from tests.conftest import ROOT

sys.path.append(str(ROOT / "benchmarks"))

harness = importlib.import_module("harness")


def test_ratio_is_the_median_of_alternating_rounds():
    order = []

    def side(name, *figures):
        left = iter(figures)
        return lambda: order.append(name) or next(left)

    ours, theirs = side("A", 2.0, 9.0, 4.0), side("B", 4.0, 6.0, 4.0)
    claim = harness.compare(1, "speed", ours, theirs, "s", 1.0, "at least", rounds=3)
    assert order == ["A", "B"] * 3
    assert (claim.ours, claim.theirs, claim.ratios, claim.ratio) == (4.0, 4.0, [0.5, 1.5, 1.0], 1.0)
    assert claim.holds
    assert harness.Claim(1, "speed", 1, 1, "s", [1.01], 1.0, "at least").holds
    assert not harness.Claim(1, "speed", 1, 1, "s", [1.01], 1.0, "at most").holds
    row = harness.table([claim]).splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        *("1", "speed", "4", "4 s", "1 (0.5 to 1.5)", "≥ 1", "yes"),
    ]


def test_a_printed_claim_is_read_again(capsys, monkeypatch):
    claim = harness.Claim(5, "speed", 1.0, 2.0, "s", [0.5], 0.8, "at most")
    monkeypatch.setattr(sys, "argv", ["speed.py", "--json"])
    monkeypatch.setattr(warnings, "filterwarnings", lambda *_: None)
    monkeypatch.setattr(logging.Logger, "setLevel", lambda *_: None)
    harness.main(lambda tiny: [claim])
    print("something else")
    assert harness.read(capsys.readouterr().out) == [claim]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # Lightning's advice about tiny trainings
@pytest.mark.parametrize(
    "name",
    [
        *(
            "augmentation",
            "gpu",
            "latency",
            "list_memory",
            "neighbours",
            "paper_trial",
            "quick_validation",
            "size",
            "training_loop",
        ),
    ],
)
def test_benchmark_runs(name, monkeypatch, tmp_path):
    small = ["data.drawn.count=400", "embedder.stages=[[[8,8,16,4,8,8]]]", "embedder.stem_channels=8"]
    monkeypatch.delenv("FER_DATA", raising=False)
    monkeypatch.setattr(harness, "COMMON", [*harness.COMMON, *small, "embedder.hidden_size=32"])
    monkeypatch.setattr(harness, "CACHE", tmp_path)
    GlobalHydra.instance().clear()
    for claim in importlib.import_module(name).measure(tiny=True):
        assert claim.ratio >= 0
        assert harness.table([claim])
