"""Nothing named in a checkpoint runs, and no secret of the environment is written down."""

import ast
import os
import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch

from fer_lightning.config.overrides import allowed
from fer_lightning.errors import UserError
from fer_lightning.runs.checkpoints import KEY, load, read_overrides
from tests.conftest import ROOT, SMALL, options

TINY = options("small", "brief", "plain")


class Poison:
    """Unpickled, it would leave a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def checkpoint_of(path: Path, overrides: object) -> str:
    torch.save({"state_dict": {}, KEY: {"overrides": overrides, "version": "0.1.0"}}, path)
    return str(path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("script", "option"), [("eval.py", "checkpoint"), ("train.py", "resume_from")])
def test_poisoned_pickle_is_refused_by_name(tmp_path, run_here, script, option, legacy):
    mark, path = tmp_path / "pwned", tmp_path / "bad.ckpt"
    if legacy:
        path.write_bytes(pickle.dumps({KEY: {"overrides": Poison(mark)}}))
    else:
        torch.save({KEY: {"overrides": [Poison(mark)]}}, path)
    done = run_here(script, f"{option}={path}", *TINY)
    assert done.code == 1
    assert "bad.ckpt" in done.text
    assert "Traceback" not in done.text
    assert not mark.exists()
    pickle.loads(path.read_bytes()) if legacy else torch.load(path, weights_only=False)  # the poison does work
    assert mark.exists()


def test_global_of_a_poisoned_pickle_is_named(tmp_path):
    path = tmp_path / "bad.ckpt"
    torch.save({KEY: Poison(tmp_path / "pwned")}, path)
    (tmp_path / "last.ckpt").touch()
    with pytest.raises(
        UserError, match=r"bad\.ckpt .*names code to run \((posix|nt)\.system\).*beside it are last\.ckpt"
    ):
        load(str(path), "checkpoint")


@pytest.mark.parametrize(
    "override",
    [
        "optimizer._target_=os.system",
        "+embedder._target_=os.system",
        "+loss.x._target_=os.system",
        "augmentation.transforms=[{_target_:os.system,_args_:[id]}]",
        "augmentation.transforms.0={_target_:os.system}",
        "data={_target_:os.system}",
        "+data.x={y:[{z:{_call_:1}}]}",
        "data.root=${oc.env:HOME}",
        "data.root='${oc.env:HOME}'",
        'data.root="\\${oc.env:HOME}"',
        "+data.x={${oc.env:HOME}:1}",
        "data={cache_dir:/tmp}",
        "embedder={pretrained:true}",
        "evil=1",
        "+evil._target_=os.system",
        "+evil@data:x=y",
        "data@trainer=faces",
        "embedder=../../evil",
        "embedder=/etc/passwd",
        "embedder=[facenet,timm]",
        "embedder=facenet,timm",
        "seed=choice(1,2)",
        "seed=range(1,9)",
        "~optimizer",
        "~data.root",
        "experiment=nowhere",
        "seed.._x=1",
        "trainer.precision={_target_:os.system}",
        "trainer.precision._target_=os.system",
        "trainer/precision=gpu",
        "_target_=os.system",
        "seed",
        "",
        "[[[[",
    ],
)
def test_poisoned_override_is_refused_by_name(tmp_path, override):
    path = checkpoint_of(tmp_path / "bad.ckpt", ["seed=1", override])
    with pytest.raises(UserError, match=r"bad\.ckpt carries the override .*: not loaded") as refusal:
        read_overrides(path)
    assert override[:5] in str(refusal.value)


def test_an_option_that_is_typed_again_replaces_a_poisoned_one(tmp_path):
    path = checkpoint_of(tmp_path / "mine.ckpt", ["seed=1", "optimizer._target_=torch.optim.RAdam", "~optimizer.fused"])
    with pytest.raises(UserError, match="give the option again on this command line, if you trust it"):
        read_overrides(path, ["optimizer._target_"])  # one of two
    assert read_overrides(path, ["optimizer._target_", "optimizer.fused"]) == ["seed=1"]


@pytest.mark.parametrize("overrides", [None, "seed=1", {"seed": 1}, [1], [["seed=1"]], torch.zeros(1)])
def test_overrides_that_are_no_texts_are_refused(tmp_path, overrides):
    with pytest.raises(UserError, match="overrides are no list of texts"):
        read_overrides(checkpoint_of(tmp_path / "bad.ckpt", overrides))


def test_poisoned_target_in_a_checkpoint_ends_eval_with_its_name(tmp_path, run_here):
    mark = tmp_path / "pwned"
    override = f"embedder={{_target_:os.system,_args_:['touch {mark}']}}"
    done = run_here("eval.py", f"checkpoint={checkpoint_of(tmp_path / 'bad.ckpt', [override])}", *SMALL)
    assert done.code == 1
    assert "which could run code" in done.text or "which chooses no file" in done.text
    assert "_target_" in done.text
    assert not mark.exists()


def test_honest_overrides_are_kept_and_those_of_the_run_or_machine_dropped():
    defining = [
        "seed=3",
        "embedder=timm",
        "embedder.model_name=resnet10t",
        "experiment=supcon",
        "table6=null",
        "data.root=/faces/a b.zip",
        "data.drawn={count:300}",
        "augmentation.transforms.2.translate_px={x:[-2,2],y:[0,0]}",
        "+optimizer.eps=1e-6",
        "optimizer.lr=1e-3",
        "trainer.precision=64-true",
    ]
    dropped = [
        "hydra.run.dir=/tmp/x",
        "hydra.searchpath=[file:///tmp]",
        "hydra/launcher=joblib",
        "+trainer.plugins._target_=os.system",
        "~logger",
        "paths.cache_dir=/tmp",
        "resume_from=${oc.env:HOME}",
        "data.cache_dir=/tmp",
        "data.num_workers=64",
        "embedder.pretrained=true",
        "embedder.checkpoint_path=/tmp/evil.pth",
    ]
    assert allowed([*dropped, *defining], "x") == defining


@pytest.mark.parametrize("name", ["hf-hub:evil/model", "hf_hub:evil/model", "local-dir:/tmp", "resnet10t@evil"])
def test_model_names_that_fetch_are_unknown(make_cfg, name):
    from hydra.errors import InstantiationException

    from fer_lightning.config.instantiation import instantiate

    with pytest.raises(InstantiationException, match="is unknown to timm"):
        instantiate(make_cfg("embedder=timm", f"embedder.model_name='{name}'").embedder)


def test_checkpoint_that_is_a_zip_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    with pytest.raises(UserError, match=r"bomb\.ckpt .*damaged or no fer_lightning checkpoint"):
        load(str(path), "checkpoint")


def test_sources_load_weights_only_and_unpickle_nothing():
    """Every call that reads a checkpoint says weights_only=True; nothing else could run what a file names."""
    reading = {"load", "fit", "test", "validate", "predict", "load_from_checkpoint"}
    for file in [ROOT / "train.py", ROOT / "eval.py", *(ROOT / "fer_lightning").rglob("*.py")]:
        text = file.read_text()
        reads = re.sub(r"save_checkpoint\([^()]*\)", "", text).replace(".eval(", "")  # that one writes
        for word in ("import pickle", "from pickle", "yaml.load(", "allow_pickle=True", "weights_only=False", "eval("):
            assert word not in reads, f"{file}: {word}"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in reading:
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                if ast.unparse(node.func) == "torch.load" or "ckpt_path" in options:
                    assert options.get("weights_only") == "True", f"{file}:{node.lineno}"


SECRETS = {
    "WANDB_API_KEY": "f00dfeedf00dfeedf00dfeedf00dfeedf00dfeed",
    "KAGGLE_USERNAME": "somebody-very-secret",
    "KAGGLE_KEY": "kaggle-key-0123456789",
    "KAGGLE_API_TOKEN": "kaggle-token-0123456789",
    "HF_TOKEN": "hf_verysecretverysecret",
    "AWS_SECRET_ACCESS_KEY": "aws/secret/0123456789",
    "MY_PASSWORD": "correct-horse-battery-staple",
}


def test_no_secret_of_the_environment_is_written_down(tmp_path, run_here, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    done = run_here(
        "train.py", *options("small", "brief", "logger=wandb", "callbacks.media.maps={}"), "hydra.run.dir=run"
    )
    assert done.code == 0, done.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.suffix for path in files}
    assert {".yaml", ".ckpt", ".wandb", ".csv", ".json", ".log", ".png"} <= names, names
    for secret in SECRETS.values():
        assert secret not in done.text
        for path in files:
            assert secret.encode() not in path.read_bytes(), path


def test_secret_on_the_command_line_is_refused_before_anything_is_written(tmp_path, run_here):
    done = run_here("train.py", "+logger.wandb.settings.api_key=f00dfeed")
    assert done.code == 1
    assert "WANDB_API_KEY" in done.text
    assert "f00dfeed" not in done.text
    assert list(tmp_path.iterdir()) == []
