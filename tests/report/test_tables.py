"""The table of a sweep: on the console, in sweep.csv and sweep.md."""

import csv
import re

import numpy as np
import pytest
from rich.console import Console

from fer_lightning.report.page import write_report
from fer_lightning.report.tables import columns, print_score, show_table, tabulate
from fer_lightning.runs.record import Record
from fer_lightning.words import percent
from tests.report.conftest import FACES, ranked


def test_seeds_alone_have_a_short_name(make, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for seed in (0, 1):
        make(f"a{seed}", ["optimizer=adam", f"seed={seed}"], right=400 + seed, val=0.6)
    assert ranked(tmp_path).entries[0].label == "mean of 2"
    show_table(tabulate(tmp_path, "val/accuracy"))
    assert "mean of 2: mean" not in capsys.readouterr().out


def test_table_on_the_console(make, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # no cell is folded
    for seed in (0, 1):
        make(f"a{seed}", ["optimizer=adam", f"seed={seed}", "logger=csv"], right=350, val=0.4 + seed / 10)
    make("b", ["optimizer=sgd", "seed=0", "logger=csv"], right=280, val=0.3, elapsed_seconds=1234.5)
    show_table(tabulate(tmp_path, "val/accuracy"))
    mean, *_, last = [line.split("│")[1:] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row] for row in (mean, last)]
    assert cells[0][:4] == ["mean of 2: optimizer=adam", "mean", "45.0 % (40.0 and 50.0)", "50.0 % (50.0 and 50.0)"]
    assert cells[1][:4] == ["optimizer=sgd seed=0", "completed", "30.0 %", "40.0 % (37.0 to 43.0)"]
    assert cells[1][6] == "1,234"


@pytest.mark.parametrize(
    ("width", "shown", "dropped"),
    [
        (60, ["job", "test/accuracy"], "test/macro_f1, test/balanced_accuracy, seconds, status, val/accuracy"),
        (80, ["job", "status", "val/accuracy", "test/accuracy"], "test/macro_f1, test/balanced_accuracy, seconds"),
        (120, ["job", "status", "val/accuracy", "test/accuracy", "test/balanced_accuracy", "seconds"], "test/macro_f1"),
    ],
)
def test_the_table_drops_columns_that_a_terminal_has_no_room_for(
    make, tmp_path, capsys, caplog, monkeypatch, width, shown, dropped
):
    console = Console(width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr("fer_lightning.report.tables.get_console", lambda: console)
    for rate in ("0.00044303752452182633", "0.001"):
        make(rate, ["optimizer=rmsprop", f"optimizer.lr={rate}"], right=350, val=0.4, elapsed_seconds=9.0)
    make("failed", ["optimizer=sgd", "optimizer.lr=1"], status="failed")
    with caplog.at_level("INFO"):
        show_table(tabulate(tmp_path, "val/accuracy"))
    lines = capsys.readouterr().out.splitlines()
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= width
    assert [cell.strip() for cell in lines[1].strip("┃").split("┃")] == shown
    assert sum("50.0 % (47.0 to 53.0)" in line for line in lines) == 2
    assert caplog.messages == [f"left out for lack of room: {dropped}; sweep.csv has every column"]


def test_sweep_csv_holds_means_and_jobs(make, tmp_path):
    for seed, accuracy in enumerate((0.3, 0.4, 0.5)):
        make(f"adam{seed}", ["optimizer=adam", f"seed={seed}"], right=accuracy * FACES, val=accuracy)
    tabulate(tmp_path, "val/accuracy")
    with (tmp_path / "sweep.csv").open() as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == columns("val/accuracy")
        mean, best, *_ = reader
    assert float(mean["test/accuracy_sd"]) == pytest.approx(0.1)
    assert (mean["job"], mean["status"], mean["runs"]) == ("mean of 3 runs: optimizer=adam", "mean", "3")
    assert (best["job"], best["status"], best["runs"]) == ("adam2", "completed", "1")
    assert (best["overrides"], best["leaks"], best["test/accuracy_sd"]) == ("optimizer=adam seed=2", "", "")


def test_equation_1_stands_in_the_csv_alone(make, tmp_path):
    for seed, accuracy in enumerate((0.3, 0.5)):
        make(f"{seed}", [f"seed={seed}"], right=350, val=0.5, **{"test/one_vs_rest_accuracy": accuracy})
    write_report(tmp_path, tabulate(tmp_path, "val/accuracy").runs)
    with (tmp_path / "sweep.csv").open() as file:
        mean, *_ = csv.DictReader(file)
    assert float(mean["test/one_vs_rest_accuracy"]) == pytest.approx(0.4)
    for text in ((tmp_path / "sweep.md").read_text(), (tmp_path / "report.html").read_text()):
        assert "macro F1" in text
        assert not re.search("one.vs.rest", text, re.IGNORECASE)


@pytest.mark.parametrize(("answered", "told"), [(1.0, False), (0.625, True), (0.0, True)])
def test_the_console_says_what_is_answered_only_where_faces_are_not(caplog, answered, told):
    names = ("accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "macro_f1")
    figures = {f"test/{name}": 0.8 for name in names} | {"test/faces_without_twins": 2, "test/answered": answered}
    figures |= {"test/calibration_error": 0.1, "val/accuracy_reachable": 0.863}
    if answered:
        figures["test/accuracy_answered"] = 0.9
    with caplog.at_level("INFO"):
        record = Record(figures=figures, test_faces=2, data="d", protocol="p", leaks="" if told else None)
        print_score(record, np.array([0, 1]), ["sad", "happy"])
    assert caplog.messages[:2] == [
        "test/accuracy 80.0 % (95 % interval 80.0 to 80.0); guessing scores 50.0 %, always answering sad 50.0 %",
        f"balanced 80.0 %, macro F1 80.0 %; 2 test faces of d, protocol p{'' if told else '; leaks unknown'}",
    ]
    right = percent(0.9 if answered else 0.0)
    sentence = f"{percent(answered)} of the test faces are answered, {right} of them rightly; it abstains from the rest"
    assert caplog.messages[2:] == ([sentence] if told else [])
