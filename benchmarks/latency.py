"""Claim 14: model and k-NN take 1.1 times as long as the embedder at most; predict answers 300 pictures a second.

A network of random weights and a gallery as large as FER2013's, in clusters as a trained network's (neighbours.py),
through a bundle and an ONNX model. The embedder alone is the same network in the same library; for ONNX
it is cut out of the model. One thread, in seconds of the processor, or BENCH_THREADS=2 by the clock on the wall; the
pictures a second, compared with the number 300, are always in processor seconds.
"""

import resource
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
import torch
from harness import Claim, command, compare, configure, main, seconds
from hydra.utils import instantiate
from neighbours import vectors
from PIL import Image

from fer_lightning import __version__, load_model
from fer_lightning.data.demo import draw_faces
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.pictures import scale
from fer_lightning.runs.checkpoints import KEY
from fer_lightning.use.answers import BATCH
from fer_lightning.use.bundles import read_checkpoint, write_bundle

SIDE = 48  # pixels
SIZES = {1: 40, 256: 1}  # faces, calls of which the mean is taken
RATE = 300  # pictures a second
ONNX = all(map(find_spec, ("onnx", "onnxruntime", "onnxscript")))


def write_models(folder: Path, embedder: str, count: int, faces: np.ndarray) -> dict[str, Path]:
    """Write a network with a gallery of ``count`` faces as a bundle and for ONNX; return the path of each format."""
    module = instantiate(configure(folder, f"embedder={embedder}").model)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            layer.momentum = None  # takes the statistics of the faces, without which all of them look alike
    with torch.no_grad():
        module(scale(torch.from_numpy(faces)))
    module.eval().classifier.fit(vectors(count), torch.arange(count) % len(CLASSES))
    names = "\n".join(f"train/{CLASSES[row % len(CLASSES)]}/{row}.jpg" for row in range(count))
    record = {"overrides": [], "version": __version__, "classes": list(CLASSES), "image_size": SIDE, "gallery": names}
    checkpoint, paths = folder / "best.ckpt", {"bundle": folder / "bundle"}
    saved = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams), KEY: record}
    torch.save(saved, checkpoint)
    network, description = read_checkpoint(checkpoint)
    write_bundle(paths["bundle"], network, description, "")
    if ONNX:
        from fer_lightning.use.onnx_model import describe, to_onnx

        paths["ONNX"] = folder / "model.onnx"
        paths["ONNX"].write_bytes(describe(to_onnx(network, SIDE), description))
    return paths


def embed_alone(path: Path) -> Callable[[np.ndarray], object]:
    """Return a function that embeds a batch of faces (N, H, W) uint8 and does nothing else."""
    if path.suffix == ".onnx":
        import onnx
        from onnx.utils import Extractor

        from fer_lightning.use.onnx_model import OnnxBackend

        part = Extractor(onnx.load(path)).extract_model(["faces"], ["embeddings"])
        session = OnnxBackend(part.SerializeToString()).session
        return lambda faces: session.run(None, {"faces": faces})
    network = load_model(path).backend.network
    return torch.inference_mode()(lambda faces: network(scale(torch.from_numpy(faces))))


def search_claims(paths: dict[str, Path], embedder: str, faces: np.ndarray, rounds: int) -> list[Claim]:
    """Return the claim of each format and number of faces."""
    claims = []
    for kind, path in paths.items():
        model, embed = load_model(path), embed_alone(path)
        for size, times in SIZES.items():
            images = faces[:size]
            batches = [images[start : start + BATCH] for start in range(0, size, BATCH)]

            def milliseconds(work: Callable[[], object], times: int = times) -> float:
                return 1000 * seconds(lambda: [work() for _ in range(times)]) / times

            ours = partial(milliseconds, partial(model.answer, images))
            theirs = partial(milliseconds, lambda batches=batches, embed=embed: [embed(batch) for batch in batches])
            ours(), theirs()  # the first calls allocate
            plural = "s" if size > 1 else ""
            name = f"{embedder}, {size} face{plural} by {kind}: with k-NN over the embedder"
            claims.append(compare(14, name, ours, theirs, "ms", 1.1, "at most", rounds))
    return claims


def predict(checkpoint: Path, pictures: Path, *limits: str) -> float:
    """Return the processor seconds of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        options = [f"checkpoint={checkpoint}", f"input={pictures}", "hydra.run.dir=predictions", *limits]
        command("-m", "fer_lightning", "predict", *options, folder=Path(folder))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rate_claims(paths: dict[str, Path], embedder: str, faces: np.ndarray, rounds: int) -> list[Claim]:
    """Return the pictures a second of the command, with its start and without."""
    claims = []
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(name) / "pictures"
        pictures.mkdir()
        for number, face in enumerate(faces):
            Image.fromarray(face).save(pictures / f"{number}.jpg")
        for kind, path in paths.items():
            pairs = [(predict(path, pictures), predict(path, pictures, "limit=1")) for _ in range(rounds)]
            rates = {
                "once it has started": [(len(faces) - 1) / (whole - start) for whole, start in pairs],
                "with its start": [len(faces) / whole for whole, _ in pairs],
            }
            for condition, figures in rates.items():
                name = f"{embedder}, predict by {kind}, {len(faces):,} pictures, {condition}"
                ratios = [rate / RATE for rate in figures]
                claims.append(Claim(14, name, median(figures), RATE, "pictures/s", ratios, 1, "at least"))
    return claims


def measure(tiny: bool) -> list[Claim]:
    """Return the claims on the embedder of experiment=best; tiny ones are on another and start no process."""
    torch.manual_seed(0)
    rounds, embedder = (1, "facenet") if tiny else (3, "resnet48")
    faces = draw_faces(max(SIZES) if tiny else 1000, 0.0, 0, SIDE).images
    with tempfile.TemporaryDirectory() as name:
        paths = write_models(Path(name), embedder, 900 if tiny else 28_821, faces[:256])
        claims = search_claims(paths, embedder, faces, rounds)
        if not tiny:
            claims += rate_claims(paths, embedder, faces, rounds)
    return claims


if __name__ == "__main__":
    main(measure)
