"""metrics.json through its one reader and writer; what the fingerprint of the code covers."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import fer_lightning
from fer_lightning.errors import UserError
from fer_lightning.runs import record
from fer_lightning.runs.record import Record, Run, Status, code_fingerprint, read_record, read_run, write_record


def test_a_record_is_read_as_it_was_written(tmp_path):
    written = Record(
        status=Status.FAILED,
        error="x",
        figures={"test/accuracy": 0.5, "val/accuracy": 1.0},
        settings={"seed": 3},
        leaks="",
    )
    write_record(tmp_path, written)
    assert read_record(tmp_path) == written
    content = {"test/accuracy": 0.5, "val/accuracy": 1.0, "status": "failed", "error": "x", "settings": {"seed": 3}}
    assert json.loads((tmp_path / "metrics.json").read_text()) == {**content, "leaks": ""}
    assert read_run(tmp_path) == Run(tmp_path, written)


def test_files_of_other_versions_keep_unknown_content(tmp_path):
    assert read_record(tmp_path) == Record()
    (tmp_path / "metrics.json").write_text('{"test/accuracy": 0.5, "data": "synthetic faces", "new": {"a": 1}}')
    noted = read_record(tmp_path)
    assert (noted.status, noted.data, noted.figures, noted.more) == (
        Status.RUNNING,
        "synthetic faces",
        {"test/accuracy": 0.5},
        {"new": {"a": 1}},
    )
    write_record(tmp_path, replace(noted, status=Status.COMPLETED))
    assert json.loads((tmp_path / "metrics.json").read_text())["new"] == {"a": 1}
    (tmp_path / "metrics.json").write_text("{")
    for read in (read_record, read_run):
        with pytest.raises(UserError, match=r"metrics\.json is damaged"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("file", "decides"),
    [
        ("data/samplers.py", True),
        ("models/metrics.py", True),
        ("models/new.py", True),
        ("report/figures.py", False),
        ("launch/jobs.py", False),
        ("conf/loss/new.yaml", False),
    ],
)
def test_fingerprint_covers_what_decides_a_result(tmp_path, monkeypatch, file, decides):
    package = tmp_path / "fer_lightning"
    shutil.copytree(Path(fer_lightning.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(record, "__file__", str(package / "runs" / "record.py"))
    before = code_fingerprint.__wrapped__()
    (package / file).parent.mkdir(parents=True, exist_ok=True)
    with (package / file).open("a") as source:
        source.write("# a comment\n")
    assert (code_fingerprint.__wrapped__() != before) == decides
