"""What --help shows, what is guessed of a mistyped option, and refusals: early, in words, without a trace on disk."""

import ctypes
import gc
import json
import re
import sys
import zipfile
from importlib.util import find_spec

import pytest
from hydra.errors import InstantiationException

from fer_lightning.config import CONF
from fer_lightning.config.help import EXAMPLES, GROUPS, WIDTH, write_help
from fer_lightning.config.suggestions import PROGRAMS, check_flags, known_keys, meant, no_choice
from fer_lightning.data.listing import check_source
from fer_lightning.errors import UserError
from fer_lightning.launch import environment, messages
from fer_lightning.launch.claims import claim, release, withdraw
from fer_lightning.launch.environment import Build, check_gpu, importing, torch_build
from fer_lightning.launch.messages import explain
from tests.conftest import ROOT, command, options

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
    (["train.py", "trainer.min_epochs=2"], "write +trainer.min_epochs=... with the plus sign"),
]


def test_refusals_come_before_what_loads_long_and_leave_nothing(tmp_path):
    """Mistakes in one process: the words of each, nothing heavy loaded by any, no file or folder left."""
    (tmp_path / "text.zip").write_text("text")
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


@pytest.mark.parametrize("config_name", PROGRAMS)
def test_help_fits_a_narrow_terminal_and_names_every_choice(config_name):
    text = write_help(config_name)
    assert max(map(len, text.splitlines())) <= WIDTH
    head, *lines = text.splitlines()
    assert head.startswith(PROGRAMS[config_name])
    assert [line.partition("  # ")[0].strip() for line in lines[1 : 1 + len(EXAMPLES)]] == [
        one.format(**PROGRAMS) for one in EXAMPLES
    ]
    assert "README.md" in text
    groups = re.findall(
        r"^- (?:override )?(\w+):", (CONF / f"{config_name}.yaml").read_text().replace("  - ", "- "), re.M
    )
    for group in set(groups) - {"hydra", "data", "model", "paths", "hparams_search", "stress"}:
        assert f"\n  {group} " in text
        for choice in (CONF / group).glob("*.yaml"):
            assert re.search(rf"\s{choice.stem}\*?\s", text), f"{group}={choice.stem}"
    assert set(GROUPS) <= {path.name for path in CONF.iterdir()}


def test_help_marks_what_is_taken(make_cfg):
    """The stars are the choices that Hydra comes to, of groups that other groups set too."""
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig

    with initialize_config_dir(str(CONF), version_base="1.3"):
        HydraConfig.instance().set_config(compose("train", return_hydra_config=True))
    chosen = HydraConfig.get().runtime.choices
    lines = write_help("train").splitlines()
    for place, line in enumerate(lines):
        group = line[2:].partition(" ")[0]
        if line.startswith("  ") and group in chosen and (CONF / group).is_dir():
            starred = re.findall(r"(\w+)\*", " ".join(lines[place + 1 : place + 4]))
            assert (starred or [None])[0] == chosen[group] or chosen[group] is None, group


def test_help_is_shown_at_once_and_the_raw_configuration_on_request(run_here):
    done = run_here("train.py", "--help")
    assert (done.code, done.text.splitlines()[2]) == (0, write_help("train").splitlines()[2])
    done = run_here("train.py", "--cfg", "job", "-p", "optimizer")
    assert (done.code, "_target_: torch.optim.Adam" in done.text) == (0, True)


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
def test_an_option_that_comes_close_is_named(key, words, train_keys):
    assert meant(key, train_keys, "train").startswith(words)


@pytest.fixture(scope="module")
def train_keys():
    return known_keys("train")


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
    assert (
        no_choice("x", "slrm", ["basic", "slurm"])
        == "x=slrm does not exist: use one of basic, slurm (did you mean slurm?)"
    )


def test_a_gpu_that_cannot_be_is_told_without_torch(monkeypatch):
    def driver(found):
        def load(name):
            if not found:
                raise OSError(name)

        monkeypatch.setattr(ctypes, "CDLL", load)

    monkeypatch.setattr(environment.sys, "platform", "linux")
    build = torch_build()
    monkeypatch.setattr(messages, "torch_build", lambda: Build("2.0", "13.2", None))
    assert build.version == sys.modules["torch"].__version__
    assert build.cuda == sys.modules["torch"].version.cuda
    driver(found=False)
    for accelerator in ("auto", "cpu"):
        check_gpu(accelerator)
    with pytest.raises(UserError, match="use trainer=cpu or trainer=auto"):
        check_gpu("gpu")
    monkeypatch.setattr(environment, "torch_build", lambda: Build("2.0", None, None))
    driver(found=True)
    with pytest.raises(UserError, match=r"torch 2\.0 is built without CUDA$"):
        check_gpu("cuda")
    monkeypatch.setattr(environment, "torch_build", lambda: Build("2.0", "13.2", None))
    check_gpu("gpu")  # Lightning, by torch, tells the rest
    late = InstantiationException("Error in call to target 'Trainer': No supported gpu backend found!")
    assert "so a driver is missing or too old" in (explain(late, "train") or "")
    monkeypatch.setattr(environment, "torch_build", lambda: Build("2.0", None, "6.4"))
    driver(found=False)
    check_gpu("gpu")


def test_a_source_is_looked_at_before_it_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "whole.zip").read_bytes()[:-10])
    (tmp_path / "faces.csv").write_text("")
    check_source(tmp_path / "whole.zip")
    check_source(tmp_path / "faces.csv")
    check_source(tmp_path)
    with pytest.raises(UserError, match=r"cut\.zip \(\d+ bytes\) is no whole zip archive"):
        check_source(tmp_path / "cut.zip")


@pytest.fixture
def released():
    yield
    release()


@pytest.mark.usefixtures("released")
class TestWithdrawal:
    """A claimed folder is taken back while nothing has begun in it, and what stood there before stays."""

    def test_folders_that_were_made_for_it_go_with_it(self, tmp_path):
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "other").touch()
        claim("run", tmp_path / "logs/runs/one", "")
        (tmp_path / "logs/runs/one/.hydra").mkdir()
        (tmp_path / "logs/runs/one/train.log").touch()
        assert withdraw("run")
        assert [path.name for path in tmp_path.rglob("*")] == ["logs", "other"]
        assert not withdraw("run")

    @pytest.mark.parametrize("name", ["notes.txt", ".hydra"])
    def test_what_stood_there_stays(self, tmp_path, name):
        (tmp_path / "mine.txt").touch()
        (tmp_path / name).touch()
        claim("run", tmp_path, "")
        (tmp_path / "train.log").touch()
        assert withdraw("run")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"mine.txt", name})

    @pytest.mark.parametrize("existed", [False, True])
    def test_a_folder_in_which_something_has_begun_stays(self, tmp_path, existed):
        config = tmp_path / "config.yaml"
        if existed:
            config.write_text("seed: 0")
        claim("run", tmp_path, "")
        config.write_text("seed: 1")
        (tmp_path / "train.log").touch()
        assert not withdraw("run")
        assert (tmp_path / "train.log").is_file()


def test_a_sweep_goes_on_past_a_refused_job_which_leaves_no_folder(tmp_path, run_here):
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


def test_garbage_is_looked_for_again_once_the_libraries_are_imported():
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
