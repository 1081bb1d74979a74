"""Commands that are refused end early, in words, and leave nothing on the disk."""

import json
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from fer_lightning.errors import install_command
from fer_lightning.launch import entry
from tests.conftest import NEXT_DELETES, ROOT, command, options

# Runs commands, SCRIPT OPTION... each, and says of each: exit code, what it said last, and what it left loaded.
EARLY = """
import json, runpy, sys
from hydra.core.global_hydra import GlobalHydra
for line in json.loads(sys.argv[1]):
    sys.argv[:] = line
    GlobalHydra.instance().clear()
    try:
        runpy.run_path(line[0], run_name="__main__")
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    heavy = sorted({"torch", "lightning", "matplotlib", "scipy", "wandb", "cv2"} & sys.modules.keys())
    print(json.dumps([code, heavy]), file=sys.stderr)
"""

SUBMITIT = ", submitit_local, submitit_slurm" * bool(find_spec("hydra_plugins.hydra_submitit_launcher"))

REFUSED = [
    (["train.py", "optimizer.lr=-1"], "optimizer.lr=-1 must be a finite number above 0"),
    (["train.py", "data.batch_size=17", "sampler=balanced"], "data.batch_size=17 must be a multiple of"),
    (["train.py", "embedder.image_size=64"], "embedder.image_size=64 must be 48, as data.image_size"),
    (["train.py", "data.root=nofile.zip"], "data.root=nofile.zip does not exist"),
    (["train.py", "data.root=text.zip"], "text.zip (4 bytes) is no whole zip archive"),
    (["train.py", "data.root=empty"], "holds no faces in a known layout; found: nothing"),
    (["train.py", "init_from=no.ckpt"], "init_from=no.ckpt does not exist: give logs/"),
    (
        ["train.py", "sweep.resume=nope"],
        "/nope): give a sweep's folder, which holds its jobs and sweep.csv",
    ),
    (["train.py", "logger.wandb.tags=[3]"], "logger.wandb.tags=[3] must be a list of texts"),
    (["train.py", "-m", "seed=0,1", "optimizer.lr=-1"], "optimizer.lr=-1 must be"),
    (["train.py", "epochs=5"], "epochs is no option: did you mean trainer.max_epochs?"),
    (["train.py", "--lr", "0.1"], "--lr is no option: options are written NAME=VALUE, did you mean optimizer.lr=0.1?"),
    (["train.py", "hydra/launcher=joblb"], f"use one of basic, joblib, slurm{SUBMITIT} (did you mean joblib?)"),
    (["eval.py"], "checkpoint is missing: add checkpoint="),
    (["eval.py", "checkpoint=no.ckpt"], "checkpoint=no.ckpt does not exist"),
    (["eval.py", "checkpoint=text.zip"], "checkpoint=text.zip (4 bytes) is damaged or no fer_lightning checkpoint"),
    (["train.py", "data.root=list.txt"], "list.txt is no folder, .zip, .tar or .csv, and no other kind is read"),
    (["train.py", "optimizer={'lr': 0.01}"], "chooses a file of conf/optimizer; its options are set one by one: opt"),
    (
        ["train.py", "trainer.gradient_clip_val=1", "trainer.precision=bf16-mixed"],
        "trainer.gradient_clip_val=1 with trainer.precision=bf16-mixed needs optimizer.fused=false",
    ),
    (["train.py", "trainer.min_epochs=2"], "write +trainer.min_epochs=... with the plus sign"),
]


def test_refusals_come_before_what_loads_long_and_leave_nothing(tmp_path):
    """Mistakes in one process: the words of each, nothing heavy loaded by any, no file or folder left."""
    (tmp_path / "text.zip").write_text("text")
    (tmp_path / "list.txt").write_text("a.jpg 1")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    lines = [[str(ROOT / script), *arguments] for (script, *arguments), _ in REFUSED]
    done = command(tmp_path, "-c", EARLY, json.dumps(lines))
    answers = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    assert len(answers) == len(REFUSED), done.stderr[-2000:]
    for (code, heavy), (arguments, words) in zip(answers, REFUSED, strict=True):
        assert str(code).startswith("error: "), arguments
        assert words in code
        assert heavy == [], f"{arguments} loaded {heavy}"
    assert sorted(tmp_path.rglob("*")) == before


@NEXT_DELETES
def test_sweep_passes_a_refused_job_without_a_folder(tmp_path, run_here):
    fast = options("small", "plain", "debug=fast", "hydra.sweep.dir=out")
    done = run_here("train.py", "-m", "optimizer.lr=-1,0.001", *fast)
    assert done.code == 1
    assert "job 1 has not begun: optimizer.lr=-1 must be a finite number above 0" in done.text
    (folder,) = (path.parent for path in (tmp_path / "out").glob("*/.hydra"))
    assert json.loads((folder / "metrics.json").read_text())["status"] == "completed"
    assert (tmp_path / "out/sweep.csv").is_file()


def test_faces_that_are_refused_leave_no_run(tmp_path, run_here):
    (tmp_path / "faces/train/angry").mkdir(parents=True)
    done = run_here(
        "train.py", "data.root=faces", *options("small", "debug=fast", "logger=wandb", "hydra.run.dir=out/run")
    )
    assert done.code == 1
    assert "holds no faces in a known layout" in done.text
    assert not (tmp_path / "out").exists()


PLUGINS = {"hydra/launcher=joblib": "joblib", "hydra/launcher=slurm": "slurm", "hparams_search=optuna": "optuna"}

WITHOUT_PLUGINS = """
import runpy, sys
sys.modules["hydra_plugins"] = sys.modules["optuna"] = None
from hydra.core.global_hydra import GlobalHydra
script, *wanted = sys.argv[1:]
for option in wanted:
    GlobalHydra.instance().clear()
    sys.argv = [script, "-m", option]
    try:
        runpy.run_path(script, None, "__main__")
    except SystemExit as stop:
        print(stop.code)
"""


def test_missing_extra_is_named(tmp_path):
    done = command(tmp_path, "-c", WITHOUT_PLUGINS, ROOT / "train.py", *PLUGINS)
    lines = done.stdout.splitlines()
    assert len(lines) == len(PLUGINS), done.stderr
    for line, extra in zip(lines, PLUGINS.values(), strict=True):
        assert line.startswith("error: ")
        assert install_command(extra) in line


@pytest.mark.parametrize(("verb", "told"), [("train", True), ("export", True), ("predict", False)])
def test_a_start_says_that_torch_is_loaded(monkeypatch, caplog, verb, told):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(entry, "check", lambda *_: None)
    monkeypatch.setattr(entry, "import_module", lambda _: SimpleNamespace(**{verb: lambda cfg: caplog.messages[:]}))
    with caplog.at_level("INFO", "fer_lightning"):
        before = entry.Task(verb)(OmegaConf.create())
    assert before == (["loading torch and Lightning"] if told else [])
