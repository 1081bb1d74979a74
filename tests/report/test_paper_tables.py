"""The paper's tables filled from runs."""

import csv
import json

import pytest

from fer_lightning.__main__ import main
from fer_lightning.errors import UserError
from fer_lightning.report.paper_tables import collect, table4, table6


def write_run(folder, optimizer, epochs, batch, protocol, accuracy, seed=0, **more):
    folder.mkdir(parents=True)
    run = {
        "status": "completed",
        "data": "synthetic faces",
        "protocol": protocol,
        "proves": "something",
        "leaks": "a sibling" if protocol == "paper" else "",
        "test/accuracy": accuracy,
        "test/accuracy_low": accuracy - 0.01,
        "test/accuracy_high": accuracy + 0.01,
        "test/macro_precision": 0.3,
        "test/macro_recall": 0.2,
        "test/macro_f1": 0.1,
        "elapsed_seconds": 61.0,
        "test_faces": 700,
        "settings": {
            "optimizer": f"torch.optim.{optimizer}",
            "learning_rate": 1e-4,
            "batch_size": batch,
            "max_epochs": epochs,
            "seed": seed,
        },
        **more,
    }
    (folder / "metrics.json").write_text(json.dumps(run))


def test_tables_take_the_runs_that_match(tmp_path):
    write_run(tmp_path / "a", "Adam", 8, 16, "honest", 0.4)
    write_run(tmp_path / "b", "Adam", 8, 16, "paper", 0.8)
    write_run(tmp_path / "c", "SGD", 8, 16, "honest", 0.3)
    write_run(tmp_path / "d", "SGD", 8, 16, "honest", 0.5, seed=1)
    write_run(tmp_path / "e", "SGD", 2, 16, "honest", 0.9)  # shortened: not while there are whole ones
    write_run(tmp_path / "f", "RMSprop", 16, 32, "honest", 0.2)
    write_run(tmp_path / "g", "Adam", 8, 16, "folder", 0.99)
    write_run(tmp_path / "superseded/a", "Adam", 8, 16, "honest", 0.1)  # left behind by a job that started anew
    rows = {tuple(row[:2]): row[2:] for row in table4(collect([tmp_path, tmp_path / "a"]))}
    assert rows["Adam", "claimed"][0] == "99.96 %"
    assert rows["Adam", "ours, honest"][:2] == ["40.00 %", "39.00 to 41.00"]
    assert rows["Adam", "ours, leaky (split after augmenting)"][0] == "80.00 %"
    assert rows["SGD", "ours, honest"] == [
        *("40.00 %", "29.00 to 51.00", "30.00 %", "20.00 %", "10.00 %", "1 min 1 s", "8", "2", "700")
    ]
    assert rows["RMSprop", "ours, honest"][0] == "not run"
    assert rows["Average", "claimed"][0] == "99.93 %"
    assert rows["Average", "ours, honest"][0] == "not run"  # of three optimizers only two were
    trials = table6(collect([tmp_path]))
    assert trials[0][5:9] == ["99.96 %", "40.00 %", "39.00 to 41.00", "80.00 %"]
    assert trials[3][5:7] == ["99.70 %", "20.00 %"]


def test_tables_of_mixed_faces_are_refused(tmp_path):
    write_run(tmp_path / "a", "Adam", 8, 16, "honest", 0.4)
    write_run(tmp_path / "b", "Adam", 8, 16, "paper", 0.8, data="other faces")
    with pytest.raises(UserError, match="different faces"):
        collect([tmp_path])
    with pytest.raises(UserError, match="holds no run that has ended"):
        collect([tmp_path / "nothing"])
    write_run(tmp_path / "alone/c", "Adam", 8, 16, "honest", 0.4, status="running")
    with pytest.raises(UserError, match="experiment=paper_table4"):
        collect([tmp_path / "alone"])


def test_command_writes_markdown_and_csv(tmp_path):
    write_run(tmp_path / "a", "Adam", 8, 16, "honest", 0.4)
    main(["tables", str(tmp_path)])
    with (tmp_path / "table4.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["Accuracy"] for row in rows if row["Figure"] == "ours, honest"} == {"40.00 %", "not run"}
    assert (tmp_path / "table4.md").read_text().startswith("| Training model | Figure |")
    assert "Trial 4" in (tmp_path / "table6.md").read_text()
