"""Damaged, edited and hostile checkpoints, caches and places: each is refused in one sentence, or harms nothing."""

import os
import random
import zipfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.nn.functional import normalize

from fer_lightning.callbacks.resumption import unsound
from fer_lightning.data.audit import audit
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError
from fer_lightning.launch.resume import resume_arguments
from fer_lightning.models.module import Batch
from fer_lightning.models.network import check_weights
from fer_lightning.runs.checkpoints import KEY, load, load_for_trainer, load_resumable, newest
from fer_lightning.runs.rebuilding import take_weights
from tests.conftest import ROOT, make_tree, options

NAN = float("nan")
GONE = object()
FIT = ("loops", "fit_loop")
BATCHES = (*FIT, "epoch_loop.batch_progress", "current")
ADAM = ("optimizer_states", 0)
BEST = ("callbacks", ModelCheckpoint(monitor="val/accuracy", mode="max").state_key)
BIAS = ("state_dict", "embedder.head.5.bias")
GALLERY, LABELS = ("state_dict", "classifier.gallery"), ("state_dict", "classifier.gallery_labels")


class Run:
    """A finished training of two epochs, and what reads its last checkpoint."""

    def __init__(self, folder: Path, *wanted: str) -> None:
        self.folder = folder
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            chosen = [*options("small", "tiny", "trainer.max_epochs=2", "trainer.limit_train_batches=2", *wanted)]
            chosen += ["~callbacks.media", f"hydra.runtime.output_dir={folder}"]
            self.cfg = compose("train", chosen, return_hydra_config=True)
        HydraConfig.instance().set_config(self.cfg)
        self.model = instantiate(self.cfg.model)
        instantiate(self.cfg.trainer).fit(self.model, instantiate(self.cfg.data))
        self.another = instantiate(self.cfg.trainer)  # which has done nothing
        self.path = folder / "checkpoints" / "last.ckpt"
        self.content = torch.load(self.path, weights_only=True)
        self.images = torch.randn(16, 1, 48, 48, generator=torch.Generator().manual_seed(0))
        self.predictions = self.predict(self.path)

    def edited(self, path: Path, *edits: tuple[tuple, Any]) -> Path:
        """Write the checkpoint with other values at some keys; a function makes the value from the one before."""
        content = deepcopy(self.content)
        for keys, value in edits:
            node = content
            for key in keys[:-1]:
                node = node[key]
            if value is GONE:
                del node[keys[-1]]
            else:
                node[keys[-1]] = value(node[keys[-1]]) if callable(value) else value
        torch.save(content, path)
        return path

    def predict(self, path: Path) -> torch.Tensor:
        """Return what a checkpoint says of some pictures: its votes and embeddings (B, 7 + D)."""
        weights = load_for_trainer(str(path), "checkpoint")["state_dict"]
        check_weights(self.model, weights, f"checkpoint={path}", fitted=True)
        self.model.load_state_dict(weights)
        batch = Batch(self.images, torch.zeros(16, dtype=torch.int64), torch.arange(16))
        with torch.no_grad():
            said = self.model.eval().predict_step(batch, 0)
        return torch.cat([said.votes, said.embeddings], dim=1)

    def look(self, path: Path) -> str | None:
        """Return why a training does not go on from a checkpoint, or None."""
        return unsound(self.another, self.model, load_resumable(str(path)))

    def go_on(self, path: Path) -> None:
        """Train a third epoch, as ``train.py`` would."""
        load_resumable(str(path))
        HydraConfig.instance().set_config(self.cfg)
        trainer = instantiate(self.cfg.trainer, max_epochs=3)
        trainer.fit(instantiate(self.cfg.model), instantiate(self.cfg.data), ckpt_path=path, weights_only=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return Run(tmp_path_factory.mktemp("run"))


def refusal(read: Callable[[Path], object], path: Path) -> str:
    """Return the sentence that a file is refused with."""
    with pytest.raises(UserError) as info:
        read(path)
    text = str(info.value)
    assert path.name in text
    assert "\n" not in text
    return text


def test_each_kind_of_damage_is_found_and_named(run, tmp_path, caplog):
    """Fault 80: torch itself loads three of these."""
    content = run.path.read_bytes()
    with zipfile.ZipFile(run.path) as archive:
        weights = max(archive.infolist(), key=lambda member: member.file_size)
    middle = weights.header_offset + 200 + weights.file_size // 2
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    path = folder / "last.ckpt"
    for damaged in (
        content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        content[:middle] + bytes(64) + content[middle + 64 :],
        content[: len(content) // 2],
        content[100:],
        b"",
    ):
        path.write_bytes(damaged)
        assert "is damaged or no fer_lightning checkpoint" in refusal(lambda path: load(str(path), "checkpoint"), path)
    (folder / "best.ckpt").write_bytes(content)
    assert newest(tmp_path) == folder / "best.ckpt"
    assert "passed over: resume_from=" in caplog.text


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ((GALLERY, torch.zeros(1, 128).expand(8_000_000, 128)), "tensors would take 4,09"),
        ((GALLERY, torch.empty(10**12, device="meta")), "without numbers"),
        ((GALLERY, torch.zeros(5, 128).to_sparse()), "is damaged or no fer_lightning checkpoint"),
        ((("state_dict",), []), "state_dict is no table"),
        ((("state_dict", "embedder.head.5.bias"), 5), "no tensor"),
        (((KEY, "overrides"), [5]), "overrides are no list of texts"),
        (((KEY, "version"), None), "version is None"),
        ((("pytorch-lightning_version",), GONE), "written by Lightning None"),
        ((("pytorch-lightning_version",), "0.1"), "written by Lightning '0.1'"),
        ((("pytorch-lightning_version",), "99.0"), "written by Lightning '99.0'"),
        ((("pytorch-lightning_version",), ["2"]), "written by Lightning"),
        ((BIAS, lambda bias: bias * NAN), "not finite"),
        ((BIAS, lambda bias: bias[:5]), "holds another network"),
        ((BIAS, GONE), "holds another network"),
        ((GALLERY, lambda gallery: gallery * NAN), "gallery is not finite"),
        ((GALLERY, lambda gallery: gallery.half()), "gallery is torch.float16"),
        ((GALLERY, lambda gallery: gallery.long()), "gallery is torch.int64"),
        ((GALLERY, lambda gallery: gallery[:, :5]), r"not (N, 128)"),
        ((GALLERY, lambda gallery: gallery.repeat(2, 1)), "faces and"),
        ((GALLERY, GONE), "holds no KNNClassifier"),
        ((LABELS, lambda labels: labels[1:]), "faces and"),
        ((LABELS, lambda labels: labels + 99), "outside 0 to 6"),
        ((LABELS, lambda labels: labels - 1), "outside 0 to 6"),
        ((LABELS, lambda labels: labels.float()), "gallery_labels is torch.float32"),
        ((LABELS, lambda labels: labels.int()), "gallery_labels is torch.int32"),
        ((LABELS, lambda labels: labels.view(-1, 1)), "gallery_labels is"),
        ((LABELS, torch.empty(0, dtype=torch.int64)), "a part is empty"),
        ((("state_dict", "classifier._extra_state"), torch.tensor(0)), "k is no whole number"),
    ],
)
def test_what_no_training_saves_is_not_scored(run, tmp_path, edit, words):
    """Faults 81 and 82."""
    assert words in refusal(run.predict, run.edited(tmp_path / "edited.ckpt", edit))


@pytest.mark.parametrize(
    "edit",
    [
        (BIAS, lambda bias: nn.Parameter(bias)),
        (("pytorch-lightning_version",), "2.0.0"),
        (("state_dict", "classifier._extra_state"), GONE),
        (("hyper_parameters",), None),
        (("more",), torch.zeros(5)),
    ],
)
def test_what_is_unusual_but_sound_is_scored(run, tmp_path, edit):
    assert run.predict(run.edited(tmp_path / "unusual.ckpt", edit)).isfinite().all()


def test_a_checkpoint_from_before_the_first_validation_goes_on_but_is_not_scored(run, tmp_path):
    """Fault 49: SIGTERM in the first epoch leaves one."""
    empty = (GALLERY, torch.empty(0, 128)), (LABELS, torch.empty(0, dtype=torch.int64))
    path = run.edited(tmp_path / "early.ckpt", *empty)
    assert "no face is known, as no validation had ended" in refusal(run.predict, path)
    assert run.look(path) is None
    take_weights(run.model, str(path))
    half = run.edited(tmp_path / "half.ckpt", (GALLERY, lambda gallery: gallery.bfloat16()))
    check_weights(run.model, load(str(half), "resume_from")["state_dict"], "half.ckpt")


@pytest.mark.parametrize("head", ["prototype", "linear"])
def test_scores_of_a_class_are_looked_at_too(make_cfg, head):
    """Fault 82."""
    classifier = instantiate(make_cfg(f"classifier={head}").classifier)
    assert classifier.defect(classifier.state_dict(), fitted=False) is None
    classifier.fit(normalize(torch.randn(70, 128)), torch.arange(70) % 5)  # two classes without a face
    state = classifier.state_dict()
    assert classifier.defect(state, fitted=True) is None
    for change, words in (
        ({"weight": state["weight"] / 0}, "weight is not finite"),
        ({"weight": state["weight"][:5]}, "not of 7 classes"),
        ({"bias": state["bias"].half()}, "bias is torch.float16"),
    ):
        assert words in classifier.defect({**state, **change}, fitted=True)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("epoch",), -5, "epoch is -5"),
        (("epoch",), NAN, "epoch is nan"),
        (("epoch",), 10**6, "epoch is 1000000, of 2 begun"),
        (("global_step",), -7, "global_step is -7"),
        (("global_step",), 1e15, "global_step is 1000000000000000.0"),
        (("global_step",), 10**15, "and the optimizer has done 4 steps"),
        (("loops",), GONE, "loops is missing"),
        (FIT, 5, "loops.fit_loop is no table"),
        ((*FIT, "epoch_progress"), GONE, "epoch_progress is missing"),
        ((*FIT, "epoch_progress", "current", "processed"), NAN, "processed is nan"),
        ((*BATCHES, "completed"), -3, "completed is -3"),
        ((*BATCHES, "ready"), 1e9, "ready is 1000000000.0"),
        ((*BATCHES, "ready"), "two", "ready is 'two'"),
        (("optimizer_states",), [], "optimizer_states is no list of 1"),
        (("optimizer_states",), lambda states: states * 2, "optimizer_states is no list of 1"),
        (("optimizer_states",), GONE, "optimizer_states is missing"),
        ((*ADAM, "state"), {}, "optimizer_states is empty"),
        ((*ADAM, "state", 0, "exp_avg"), torch.zeros(3), "exp_avg is a tensor (3,)"),
        ((*ADAM, "state", 0, "exp_avg"), GONE, "exp_avg is missing"),
        ((*ADAM, "state", 0, "exp_avg_sq"), lambda tensor: tensor * NAN, "exp_avg_sq is a tensor"),
        ((*ADAM, "state", 0, "step"), "four", "step is 'four'"),
        ((*ADAM, "param_groups", 0, "lr"), NAN, "lr is nan"),
        ((*ADAM, "param_groups", 0, "params"), [0, 1], "params is no list of"),
        ((*ADAM, "param_groups", 0, "betas"), "text", "betas is no tuple"),
        ((*ADAM, "param_groups", 0, "weight_decay"), GONE, "cannot be taken (KeyError: 'weight_decay')"),
        (("lr_schedulers",), [], "lr_schedulers is no list of 1"),
        (("lr_schedulers",), GONE, "lr_schedulers is missing"),
        (("lr_schedulers", 0, "last_epoch"), -9, "last_epoch is -9"),
        (("lr_schedulers", 0, "last_epoch"), 10**9, "last_epoch is 1000000000, after 4 steps"),
        (("lr_schedulers", 0, "step"), 5, "lr_schedulers.0 holds step"),
        (("lr_schedulers", 0, "_last_lr"), ["x"], "_last_lr.0 is 'x'"),
        (("callbacks",), GONE, "callbacks is missing"),
        (("callbacks",), {}, "callbacks is empty"),
        (("callbacks", "Health"), "idle", "callbacks.Health is no table"),
        (("callbacks", "Health", "idle"), "idle", "idle is 'idle'"),
        (("callbacks", "QuickValidation", "step"), "text", "step is 'text'"),
        (("resumption",), GONE, "resumption is missing"),
        (("resumption",), [1], "resumption is no table"),
        (("resumption", "streams"), [], "streams is empty"),
        (("resumption", "streams"), ["x"], "streams.0 cannot be restored"),
        (("resumption", "streams", 0, "torch"), lambda stream: stream[:9], "streams.0 cannot be restored"),
        (("resumption", "streams", 0, "python"), (3, (1, 2), None), "streams.0 cannot be restored"),
        (("resumption", "streams", 0, "numpy"), GONE, "streams.0 cannot be restored"),
        ((*BEST, "best_model_score"), torch.zeros(3), "best_model_score is no number"),
        ((*BEST, "best_k_models"), {"best.ckpt": "high"}, "names a checkpoint that has no score"),
        ((*BEST, "kth_best_model_path"), "text", "names a checkpoint that has no score"),
        (("resumption", "monitored"), "high", "monitored is no number"),
        ((KEY, "data_fingerprint"), GONE, "data_fingerprint is missing"),
        ((KEY, "overrides"), None, "overrides are no list of texts"),
    ],
)
def test_what_no_training_saves_is_not_resumed(run, tmp_path, keys, value, words):
    """Fault 83."""
    path = run.edited(tmp_path / "edited.ckpt", (keys, value))
    state = torch.get_rng_state()
    try:
        found = run.look(path) or ""
    except UserError as error:
        found = str(error)
        assert "edited.ckpt" in found
    assert words in found
    assert torch.equal(torch.get_rng_state(), state)


def test_a_training_goes_on_whichever_way_its_steps_were_computed(run, tmp_path):
    """One from before Adam took its steps in one pass, too."""
    fused = (*ADAM, "param_groups", 0, "fused")
    for way in (None, False, True):
        assert run.look(run.edited(tmp_path / "edited.ckpt", (fused, way))) is None


def test_whole_training_goes_on_and_looks_at_what_only_the_faces_tell(run, tmp_path):
    """Fault 83: counts against the batches of an epoch."""
    middle = [((*BATCHES, name), 10**9) for name in ("ready", "started", "processed", "completed")]
    edits = {
        "middle": (
            [*middle, ((*FIT, "epoch_progress", "current", "processed"), 1)],
            "stands after batch 1,000,000,000",
        ),
        "moments": ([((*ADAM, "state", 0, "exp_avg"), torch.zeros(3))], r"moments.ckpt holds no training that could"),
    }
    for name, (edit, words) in edits.items():
        with pytest.raises(UserError, match=words):
            run.go_on(run.edited(tmp_path / f"{name}.ckpt", *edit))
    assert run.look(run.path) is None


def test_places_that_hold_no_checkpoint(tmp_path):
    """Fault 84: nothing is opened, so nothing hangs."""
    folder, pipe, link = tmp_path / "folder", tmp_path / "pipe.ckpt", tmp_path / "link.ckpt"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.ckpt").touch()
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for place, words in {
        folder: "is a folder: in it are checkpoints/best.ckpt",
        pipe: "is a pipe",
        link: "is a device",
        Path("/dev/zero"): "is a device",
        Path("a" * 5000, "b.ckpt"): "cannot be looked up (File name too long)",
        tmp_path / "none.ckpt": "does not exist",
    }.items():
        for option in ("checkpoint", "init_from"):
            with pytest.raises(UserError) as info:
                load(str(place), option)
            assert words in str(info.value)
    with pytest.raises(UserError, match=r"link.ckpt is a device"):
        resume_arguments([f"resume_from={link}"])


def test_weights_that_are_nan_end_an_evaluation_before_it_scores(run, tmp_path, run_here):
    """Fault 82, as a command."""
    bad = run.edited(tmp_path / "bad.ckpt", (BIAS, lambda bias: bias * NAN))
    done = run_here("eval.py", f"checkpoint={bad}", "~callbacks.media")
    assert done.code == 1
    assert "bad.ckpt holds embedder.head.5.bias with a number that is not finite" in done.text
    assert "test/accuracy" not in done.text


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("pipe", "is a pipe"),
        ("/dev/zero", "is a device"),
        ("", "the current folder is written as data.root=."),
        ("a" * 5000, "File name too long"),
        ("~nobody-of-this-name/faces", "home"),
    ],
)
def test_places_that_hold_no_faces(tmp_path, monkeypatch, root, words):
    """Fault 85."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(UserError) as info:
        read_faces(root, str(tmp_path / "cache"), {}, 48)
    assert words in str(info.value)


def test_a_cache_of_anything_else_is_built_anew(tmp_path, caplog):
    """Fault 86: its checksums hold, and its content is other than its name promises."""
    root, folder = make_tree(tmp_path / "faces", faces=1), str(tmp_path / "cache")
    whole = read_faces(str(root), folder, {}, 48)
    found = audit(whole, folder)
    caches = {path.name[:5]: path for path in Path(folder).iterdir()}
    arrays = {name: dict(np.load(path)) for name, path in caches.items()}
    changes: list[tuple[str, dict[str, Any]]] = [
        ("faces", {"labels": arrays["faces"]["labels"] + 99}),
        ("faces", {"labels": arrays["faces"]["labels"][:-1]}),
        ("faces", {"images": arrays["faces"]["images"][:, :10, :10]}),
        ("faces", {"images": arrays["faces"]["images"] / 255}),
        ("faces", {"images": 255 - arrays["faces"]["images"]}),
        ("faces", {"splits": np.full(len(whole), "elsewhere")}),
        ("faces", {"names": None}),
        ("audit", {"identical": arrays["audit"]["identical"] + 99}),
        ("audit", {"groups": arrays["audit"]["groups"][1:]}),
        ("audit", {"copies": None}),
    ]
    for name, change in changes:
        content = {key: value for key, value in {**arrays[name], **change}.items() if value is not None}
        np.savez(caches[name], **content)
        caplog.clear()
        again = read_faces(str(root), folder, {}, 48)
        assert again.fingerprint == whole.fingerprint
        assert np.array_equal(again.images, whole.images)
        assert np.array_equal(audit(again, folder).copies, found.copies)
        assert caplog.text.count("is built anew") == 1
    caches["faces"].unlink()
    os.mkfifo(caches["faces"])
    assert read_faces(str(root), folder, {}, 48).fingerprint == whole.fingerprint
    assert "it is a pipe" in caplog.text


def leaves(content: Any, keys: tuple = ()) -> list[tuple]:
    """Return the keys of everything in a checkpoint, of tables and lists too."""
    below = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [keys, *(found for key, part in below for found in leaves(part, (*keys, key)))]


@pytest.mark.attack
def test_damaged_checkpoints(run, tmp_path, tally, monkeypatch):
    """Cuts, flipped bits and bytes, and edited fields at random places, from which a training is to go on."""
    monkeypatch.chdir(tmp_path)
    chance, content = random.Random(0), run.path.read_bytes()
    places = leaves({key: part for key, part in run.content.items() if key != "hyper_parameters"})[1:]
    for number in range(200):
        path, kind = tmp_path / f"{number}.ckpt", ("cut", "bits", "bytes", "field", "field")[number % 5]
        data, where = bytearray(content), chance.randrange(len(content))
        if kind == "cut":
            del data[where:]
        elif kind == "field":
            keys = (
                places[chance.randrange(len(places))]
                if number % 2
                else chance.choice([p for p in places if len(p) < 5])
            )
            kind = str((keys, value := chance.choice([GONE, None, "text", NAN, -1, 10**15, [], {}, torch.zeros(3)])))
            data = bytearray(run.edited(path, (keys, value)).read_bytes())
        else:
            for _ in range(3):
                data[where] ^= 1 << chance.randrange(8) if kind == "bits" else chance.randrange(1, 256)
                where = chance.randrange(len(content))
        path.write_bytes(data)
        try:
            same = torch.equal(run.predict(path), run.predictions)
            run.go_on(path)
            tally.judge((number, kind), same, "other predictions")
        except UserError as error:
            tally.judge((number, kind), "\n" not in str(error), error)
        except Exception as error:
            tally.judge((number, kind), False, f"{type(error).__name__}: {error!s:.300}")
        path.unlink()
