"""Bundles of strangers: flipped, cut, and edited ones whose hashes fit."""

import hashlib
import json
import random
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from fer_lightning import load_model
from fer_lightning.models.calibration import Calibration
from fer_lightning.names import printable
from fer_lightning.use.bundles import CONFIG, WEIGHTS, read_checkpoint, write_bundle
from tests.bad.attempts import ANSWER, REFUSAL, attempts, flipped, is_sentence

VALUES = (None, [], {}, "x", -1, 0, 10**12, 1e308, float("nan"), [[]], True)
TARGETS = ("os.system", "builtins.eval", "torch.load", "fer_lightning.use.bundles.FaceReader", ["os.system"], {}, "x")
NAMES = ("<b>x</b>", "\x1b[31mred", "=1+1", "../../x", "a|b", "a\nb", "a\u202eb", "", "fear", "x" * 100_000)
EXTRAS = {"_args_": ["x"], "_recursive_": True, "x": {"_target_": "os.system"}, "y": "${oc.env:HOME}"}
GALLERY, LABELS = "classifier.gallery", "classifier.gallery_labels"
CHANGES: dict[str, Callable[[torch.Tensor], Any]] = {
    "nan": lambda tensor: torch.full_like(tensor.float(), float("nan")),
    "infinite": lambda tensor: torch.full_like(tensor.float(), float("inf")),
    "1e38": lambda tensor: torch.full_like(tensor.float(), 1e38),
    "-1": lambda tensor: torch.full_like(tensor, -1),
    "0": torch.zeros_like,
    "99": lambda tensor: torch.full_like(tensor, 99),
    "twice": lambda tensor: tensor * 2,
    "half": torch.Tensor.half,
    "double": torch.Tensor.double,
    "eight bits": lambda tensor: tensor.float().to(torch.float8_e4m3fn),
    "int32": torch.Tensor.int,
    "flat": torch.Tensor.flatten,
    "shorter": lambda tensor: tensor[:-1] if tensor.ndim else tensor.reshape(1),
    "longer": lambda tensor: torch.cat([tensor, tensor]) if tensor.ndim else tensor.repeat(2),
    "empty": lambda tensor: tensor[:0] if tensor.ndim else tensor.reshape(1)[:0],
    "missing": lambda _: None,
}


def numbers(header: bytes, rest: bytes = b"") -> bytes:
    """Return a file of safetensors with a header."""
    return struct.pack("<Q", len(header)) + header + rest


FILES = {
    "header of 2^63": struct.pack("<Q", 2**63) + b"{}",
    "offsets": numbers(b'{"a":{"dtype":"F32","shape":[9999999999],"data_offsets":[0,4]}}', b"1234"),
    "overflow": numbers(b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'),
    "nothing": numbers(b'{"a":{"dtype":"F32","shape":[0,999999999999],"data_offsets":[0,0]}}'),
    "metadata": numbers(b'{"__metadata__":1}'),
    "deep": numbers(b"[" * 90_000),
    "type": numbers(b'{"a":{"dtype":"F3","shape":[1],"data_offsets":[0,4]}}', b"1234"),
    "no byte": b"",
}


@pytest.fixture(scope="module")
def bundle(calibrated, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    write_bundle(folder, *read_checkpoint(calibrated), card="# card\n")
    return folder


def edits(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield descriptions with one odd value each."""
    for node in (None, "embedder", "classifier", "calibration", "origin"):
        inside = config if node is None else config[node]
        for key in inside:
            odd = TARGETS if key == "_target_" else VALUES
            for value in (*odd, *([10**6, [10**9] * 4] if node == "embedder" else [])):
                edited = {**inside, key: value}
                yield f"{node or ''}.{key}={value!r}", edited if node is None else {**config, node: edited}
        for key, value in EXTRAS.items():
            if node in ("embedder", "classifier", "calibration"):
                yield f"{node} with {key}={value}", {**config, node: {**inside, key: value}}
    for name in NAMES:
        yield f"class {name:.20}", {**config, "classes": [name, *config["classes"][1:]]}
    for names in (config["classes"][:5], [*config["classes"], "more"]):
        yield f"{len(names)} classes", {**config, "classes": names}
    short = {"temperature": 1.0, "smoothing": 0.2, "accuracy": 0.9}
    for scores in ({}, {"answered": 2}, {"answered": 0.5}):
        yield f"scores {scores}", {**config, "calibration": {**config["calibration"], "scores": scores}}
        yield f"scores {scores} alone", {**config, "calibration": {**short, "scores": scores}}
    for size in (1, 47, 64, 1024):
        yield f"image_size={size}", {**config, "image_size": size}
        yield f"both {size}", {**config, "image_size": size, "embedder": {**config["embedder"], "image_size": size}}
    yield "names of the gallery", {**config, "gallery": "\n".join(NAMES * 9)}
    yield "more names than faces", {**config, "gallery": "a\n" * 5000}


def cases(config: dict[str, Any], weights: bytes, chance: random.Random) -> Iterator[tuple[str, str, bytes, bool]]:
    """Yield bundles: name, description, weights, and whether the hash is to fit them."""
    text, tensors = json.dumps(config), load(weights)
    yield "whole", text, weights, True
    for name, edited in edits(config):
        yield name, json.dumps(edited), weights, True
    chosen = [GALLERY, LABELS, "classifier._extra_state"]
    for ending in ("conv1.weight", "running_var", "running_mean", "bias"):
        chosen += [name for name in tensors if name.startswith("embedder") and name.endswith(ending)][:1]
    for name in chosen:
        for change, function in CHANGES.items():
            changed = {**tensors, name: function(tensors[name].clone())}
            yield f"{name}: {change}", text, save({n: t for n, t in changed.items() if t is not None}), True
    for name in ("x", "embedder.x", "classifier.x"):
        yield f"more: {name}", text, save({**tensors, name: torch.ones(3)}), True
    for name, content in FILES.items():
        yield f"weights: {name}", text, content, True
    yield "description: deep", '{"format":1,"a":' + "[" * 200_000 + "]" * 200_000 + "}", weights, False
    yield "description: twice a key", text[:-1] + ',"image_size":1}', weights, True
    for number in range(40):
        yield f"weights flipped {number}", text, flipped(weights, chance), False
        yield f"description flipped {number}", flipped(text.encode(), chance).decode("latin-1"), weights, False
    for part in range(10):
        yield f"weights cut {part}", text, weights[: len(weights) * part // 10], False
        yield f"weights cut {part}, hash fits", text, weights[: len(weights) * part // 10], True
        yield f"description cut {part}", text[: len(text) * part // 10], weights, False


def write(folder: Path, text: str, weights: bytes, sealed: bool) -> None:
    folder.mkdir()
    if sealed:
        text = re.sub(r',\s*"model": "sha256:[0-9a-f]{64}"', "", text)  # as in a bundle from before that hash
        text = re.sub('"weights": "[0-9a-f]{64}"', f'"weights": "{hashlib.sha256(weights).hexdigest()}"', text)
    (folder / CONFIG).write_text(text, encoding="latin-1")
    (folder / WEIGHTS).write_bytes(weights)


def answer(folder: Path, faces: np.ndarray) -> str:
    """Return the answers of a bundle about faces: labels, votes, and its description."""
    model = load_model(folder)
    size = model.image_size
    predictions = model.predict(list(faces) if size == 48 else [np.zeros((size, size), np.uint8)] * len(faces))
    votes = [list(prediction.votes.values()) for prediction in predictions]
    assert np.isfinite(votes).all(), "votes are not finite"
    assert all(0 <= prediction.distance <= 2.001 for prediction in predictions), "distances"
    assert str(model.calibration)
    return json.dumps([[round(vote, 4) for row in votes for vote in row], json.loads(model.description.to_json())])


def as_described(answers: str, text: str) -> bool:
    """Return whether a bundle that answers otherwise was taken by the letter of its description."""
    taken, written = json.loads(answers)[1], json.loads(text)
    written["gallery"] = printable(written["gallery"]).rstrip("\n")
    written["calibration"] = asdict(Calibration(**written["calibration"]))
    return taken == written


@pytest.mark.attack
def test_bundles_of_strangers(bundle, drawn, tally, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, weights = json.loads((bundle / CONFIG).read_text()), (bundle / WEIGHTS).read_bytes()
    texts, tries = {}, {}
    for name, text, content, sealed in cases(config, weights, random.Random(0)):
        folder = tmp_path / f"bundle {len(tries)}"
        write(folder, text, content, sealed)
        texts[name], tries[name] = folder / CONFIG, partial(answer, folder, drawn[0][:3])
    whole = next(attempts(tries))[1].value
    assert json.loads(whole)[0] == json.loads(answer(bundle, drawn[0][:3]))[0]
    for name, (kind, value) in attempts(tries):
        if kind == ANSWER:
            right = value == whole or ("flipped" not in name and as_described(value, texts[name].read_text()))
        else:
            right = kind == REFUSAL and is_sentence(value, texts[name].parent.name)
        tally.judge(f"{name:.80}", right, f"{kind}: {value:.400}")
