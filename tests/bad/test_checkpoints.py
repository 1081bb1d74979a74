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
from torch import nn
from torch.nn.functional import normalize

from fer_lightning.data.audit import audit
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError
from fer_lightning.launch.resume import resume_arguments
from fer_lightning.models.module import Batch
from fer_lightning.models.network import check_weights
from fer_lightning.runs.checkpoints import load, load_for_trainer, load_resumable, newest
from fer_lightning.runs.rebuilding import take_weights
from tests.conftest import ROOT, make_tree, options

NAN = float("nan")
GONE = object()
FIT = ("loops", "fit_loop")
BATCHES = (*FIT, "epoch_loop.batch_progress", "current")
ADAM = ("optimizer_states", 0)
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
        ((("state_dict",), []), "no tensor"),
        ((("state_dict", "embedder.head.5.bias"), 5), "no tensor"),
        ((("pytorch-lightning_version",), GONE), "written by Lightning None"),
        ((("pytorch-lightning_version",), "0.1"), "written by Lightning 0.1"),
        ((("pytorch-lightning_version",), "99.0"), "written by Lightning 99.0"),
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
        ((("state_dict", "classifier._extra_state"), GONE), "holds no KNNClassifier"),
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
        (("hyper_parameters",), None),
        (("more",), torch.zeros(5)),
    ],
)
def test_what_is_unusual_but_sound_is_scored(run, tmp_path, edit):
    assert run.predict(run.edited(tmp_path / "unusual.ckpt", edit)).isfinite().all()


def test_checkpoint_before_the_first_validation_is_not_scored(run, tmp_path):
    """Fault 49: SIGTERM in the first epoch leaves one."""
    empty = (GALLERY, torch.empty(0, 128)), (LABELS, torch.empty(0, dtype=torch.int64))
    path = run.edited(tmp_path / "early.ckpt", *empty)
    assert "no face is known, as no validation had ended" in refusal(run.predict, path)
    load_resumable(str(path))
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
        (("loops",), GONE, "its loops is missing or empty"),
        (("callbacks",), {}, "its callbacks is missing or empty"),
        (("optimizer_states",), GONE, "its optimizer_states is missing or empty"),
        (("lr_schedulers",), [], "its lr_schedulers is missing or empty"),
        (("resumption",), GONE, "its resumption is missing or empty"),
    ],
)
def test_checkpoint_without_training_state_is_not_resumed(run, tmp_path, keys, value, words):
    """Fault 83: such as the weights alone."""
    path = run.edited(tmp_path / "edited.ckpt", (keys, value))
    assert words in refusal(lambda path: load_resumable(str(path)), path)
    assert run.predict(path).isfinite().all()


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([((*ADAM, "param_groups", 0, "params"), [0, 1])], "cannot be resumed (ValueError: loaded state dict contains"),
        ([((*FIT, "epoch_progress"), GONE)], "cannot be resumed (KeyError: 'epoch_progress')"),
        (
            [
                *(((*BATCHES, name), 10**9) for name in ("ready", "started", "processed", "completed")),
                ((*FIT, "epoch_progress", "current", "processed"), 1),
            ],
            "stands after batch 1,000,000,000",
        ),
    ],
)
def test_state_that_cannot_be_loaded_is_one_sentence(run, tmp_path, edits, words):
    """Fault 83."""
    with pytest.raises(UserError) as info:
        run.go_on(run.edited(tmp_path / "edited.ckpt", *edits))
    assert words in str(info.value)
    assert "\n" not in str(info.value)


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
        ("twins", {"identical": arrays["twins"]["identical"] + 99}),
        ("twins", {"groups": arrays["twins"]["groups"][1:]}),
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


@pytest.mark.attack
def test_damaged_checkpoints(run, tmp_path, tally, monkeypatch):
    """Cuts, flipped bits and bytes, and other weights and scores at random places; then a training is to go on."""
    monkeypatch.chdir(tmp_path)
    chance, content = random.Random(0), run.path.read_bytes()
    places = [("state_dict", name) for name in run.content["state_dict"]]
    for number in range(200):
        path, kind = tmp_path / f"{number}.ckpt", ("cut", "bits", "bytes", "weight", "weight")[number % 5]
        data, where = bytearray(content), chance.randrange(len(content))
        if kind == "cut":
            del data[where:]
        elif kind == "weight":
            keys, value = chance.choice(places), chance.choice([GONE, None, "text", NAN, 10**15, [], torch.zeros(3)])
            kind = str((keys, value))
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
