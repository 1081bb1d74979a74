"""Verbs are read from source, and each is started in one way."""

from pathlib import Path

import pytest

import fer_lightning.config.verbs
from fer_lightning.config import CONF
from fer_lightning.config.verbs import AT_WORK, may_sweep, program, program_at_work, verbs


def test_verb_is_read_from_its_decorator_without_an_import(tmp_path, monkeypatch):
    (tmp_path / "pack/room").mkdir(parents=True)
    (tmp_path / "pack/room/count.py").write_text(
        "import nowhere\n\n\n"
        "@verb(\n"
        '    "count",\n'
        '    "count faces",\n'
        '    {"folder": {"metavar": "FOLDER"}, "--name": {"help": "a name"}},\n'
        ")\n"
        "def count_faces(folder: Path, name: str | None) -> None:\n"
        "    pass\n"
    )
    monkeypatch.setattr(fer_lightning.config.verbs, "PACKAGE", tmp_path / "pack")
    verb = verbs.__wrapped__()["count"]
    assert verb[:3] == ("pack.room.count", "count_faces", "count faces")
    assert verb.arguments == {"folder": {"type": Path, "metavar": "FOLDER"}, "--name": {"type": str, "help": "a name"}}


def test_verbs_with_a_file_in_conf_are_those_without_arguments():
    files = {path.stem for path in CONF.glob("*.yaml")} - {"wandb_sweep"}  # W&B's
    assert {name for name, verb in verbs().items() if not verb.arguments} == files
    assert {verb.module.split(".")[0] for verb in verbs().values()} == {"fer_lightning"}
    assert all(verb.help and "\n" not in verb.help for verb in verbs().values())


def test_scripts_of_the_checkout_come_first():
    assert (program("train"), program("eval")) == ("python train.py", "python eval.py")
    assert program("audit") == "python -m fer_lightning audit"


def test_only_training_and_evaluation_have_several_jobs():
    names = {path.stem for path in CONF.glob("*.yaml")} & verbs().keys()
    assert set(filter(may_sweep, names)) == {"train", "eval"}


@pytest.mark.parametrize(
    ("script", "verb", "expected"),
    [
        ("/a/train.py", None, "python train.py"),
        ("/a/eval.py", "eval", "python eval.py"),
        ("/a/fer_lightning/__main__.py", "train", "python -m fer_lightning train"),
        ("/bin/fer-lightning", "predict", "python -m fer_lightning predict"),
    ],
)
def test_the_program_at_work_is_named_as_it_was_started(monkeypatch, script, verb, expected):
    monkeypatch.delenv(AT_WORK, raising=False)
    if verb:
        monkeypatch.setenv(AT_WORK, verb)
    monkeypatch.setattr("sys.argv", [script])
    assert program_at_work() == expected
