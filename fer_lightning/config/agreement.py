"""Refuse values that are right by themselves and wrong beside each other."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from fer_lightning.data.classes import wrong_names
from fer_lightning.data.mapping import mapped_classes, wrong_map
from fer_lightning.errors import UserError
from fer_lightning.kinds import shown

SCORES = ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "accuracy_quick")
MOST_BYTES = 2**30  # of synthetic faces; a checkpoint of a stranger's may ask for more
MOST_WEIGHTS = 2**29  # of a network that a machine can hold


def scores(classes: Sequence[str]) -> list[str]:
    """Return the names of the validation's scores, all of them the better the higher."""
    return [*SCORES, *(f"{score}_{name}" for score in ("precision", "recall", "f1") for name in classes)]


def check_agreement(values: Mapping[str, Any]) -> None:
    """Refuse nodes (name -> plain value, each right by itself) that do not agree; a command may lack some."""
    for sentence in _disagreements(values):
        raise UserError(sentence)


def _disagreements(values: Mapping[str, Any]) -> Iterator[str]:
    # A node that is missing or cannot be resolved counts as a node without a class.
    nodes: Mapping[str, Any] = defaultdict(lambda: {"_target_": ""}, values)
    trained = "checkpoint" in values  # batches and targets do not matter
    if not trained:
        yield from _batches(nodes["sampler"], nodes["augmentation"], nodes["mixing"])
        yield from _targets(nodes)
    yield from _protocol(nodes["protocol"], nodes["data"])
    if _is(nodes["data"], "FacesDataModule"):
        yield from _faces(nodes["data"], nodes["sampler"].get("classes_per_batch", 0), trained)
    yield from _parts(nodes["embedder"], nodes["loss"], nodes["classifier"])
    yield from _training(nodes["optimizer"], nodes["trainer"])
    if values.get("int8") and values.get("format") != "onnx":
        yield "int8=true needs format=onnx: a bundle is computed in 32 bits"
    if values.get("half") and values.get("format") != "bundle":
        yield "half=true needs format=bundle: an ONNX model holds what it computes with, and int8=true makes it smaller"
    if "callbacks" in values:
        yield from _checkpoints(values["callbacks"])
    if {"data", "embedder", "loss", "classifier", "callbacks", "model"} <= values.keys():
        yield from _sizes(values)
        yield from _objective(values)


def _is(node: Mapping[str, Any], name: str) -> bool:
    """Return whether a node makes the class of ours with this name."""
    target = node["_target_"]
    return target.startswith("fer_lightning.") and target.endswith(f".{name}")


def _protocol(protocol: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    if (_is(protocol, "kfold") or _is(protocol, "subject")) and protocol["fold"] >= protocol["folds"]:
        fold, folds = protocol["fold"], protocol["folds"]
        yield f"protocol.fold={fold} must be a number from 0 to {folds - 1}, such as 0: protocol.folds={folds}"
    if _is(protocol, "subject") and _is(data, "FacesDataModule") and data["root"] is None:
        yield "protocol=subject needs faces of persons as data.root, for synthetic ones show nobody, or protocol=kfold"


def _faces(data: Mapping[str, Any], in_batch: int, trained: bool) -> Iterator[str]:
    """Yield too many drawn faces, labels that they lack, two sources of labels, wrong names, maps, too few classes."""
    drawn, votes, crowd = data["root"] is None, data.get("votes"), data.get("crowd")
    most, count = MOST_BYTES // data["image_size"] ** 2, data["drawn"]["count"]
    if drawn and count > most:
        yield (
            f"data.drawn.count={count} must be at most {most} with data.image_size={data['image_size']}, such as 2800: "
            f"more than {MOST_BYTES / 2**30:.0f} GiB of faces are not drawn"
        )
    if drawn and votes is not None:
        yield "data.votes labels FER2013: give fer2013.csv or Kaggle's archive as data.root"
    if drawn and crowd is not None and not trained:
        yield f"data.crowd={crowd} counts votes on FER2013: give fer2013.csv or Kaggle's archive as data.root"
    if votes is not None and crowd != votes:
        yield f"data.crowd={crowd} must be data.votes={votes}, or be left out: one file has the votes"
    source = "root" if data.get("labels") is None else "labels"
    if source == "labels" and drawn:
        yield f"data.labels={data['labels']} labels pictures: give their folder or .zip as data.root"
    if source == "labels" and votes is not None:
        yield f"data.labels={data['labels']} and data.votes={votes} both label faces: leave one out"
    if wrong := wrong_names(data["classes"]):
        yield f"data.{source}={shown(data[source])} has {wrong} (a class is a folder in train/, or data.classes)"
    joined = data.get("map")
    if joined and not trained and (wrong := wrong_map(data["classes"], joined)):
        yield wrong
    if not trained and in_batch > (number := len(mapped_classes(data["classes"], joined))):
        yield (
            f"sampler.classes_per_batch={in_batch} must be a whole number from 2 to the {number} classes, such as "
            f"{min(4, number)}"
        )


def _batches(sampler: Mapping[str, Any], augmentation: Mapping[str, Any], mixing: Mapping[str, Any]) -> Iterator[str]:
    """Yield a batch size that its classes do not divide, and augmentation that the device cannot do."""
    if _is(sampler, "ClassSampler"):
        number, size = sampler["classes_per_batch"], sampler["batch_size"]
        if size % number or size < 2 * number:
            yield (
                f"data.batch_size={size} must be a multiple of sampler.classes_per_batch={number}, with two or more "
                f"faces of each class, such as {max(2, round(size / number)) * number}"
            )
    if augmentation.get("device") == "accelerator":
        if _is(mixing, "mixup"):
            yield "augmentation.device=accelerator needs mixing=none: pictures are mixed on the processor"
        if not augmentation["online"]:
            yield "augmentation.device=accelerator needs augmentation.online=true: others are drawn once"


def _targets(nodes: Mapping[str, Any]) -> Iterator[str]:
    """Yield a loss of the library's that cannot learn shares of the classes."""
    loss, data = nodes["loss"], nodes["data"]
    distribution = data.get("targets") == "distribution"
    if distribution and not data["votes"]:
        yield "data.targets=distribution needs data.votes=fer2013new.csv, the votes of FER+"
    if distribution and data["corrections"]:
        yield "data.targets=distribution needs data.corrections=null"
    if _is(loss, "SmoothedSoftmaxLoss") or not loss["_target_"].startswith(("pytorch_", "fer_lightning.")):
        return
    for option, soft in {
        "mixing=mixup": _is(nodes["mixing"], "mixup"),
        "data.targets=distribution": distribution,
    }.items():
        if soft:
            yield f"{option} needs loss=softmax_smoothed: other losses learn one class of a face, and no shares"


def _parts(embedder: Mapping[str, Any], loss: Mapping[str, Any], classifier: Mapping[str, Any]) -> Iterator[str]:
    """Yield lists of different or no length, and networks of too many weights."""
    name, weights = "", 0
    if _is(embedder, "FaceNet"):  # as if each width of a module were that of its 5 x 5 convolution
        name, weights = "stages", sum(25 * max(module) ** 2 for stage in embedder["stages"] for module in stage)
    if _is(embedder, "ResNet48"):
        widths, blocks = embedder["widths"], embedder["blocks"]
        if len(widths) != len(blocks):
            yield (
                f"embedder.blocks must be a list of {len(widths)} numbers, as long as embedder.widths, such as "
                f"[{','.join(['1'] * len(widths))}]; it has {len(blocks)}"
            )
        name, weights = "widths", sum(9 * width**2 * number for width, number in zip(widths, blocks, strict=False))
    if weights > MOST_WEIGHTS:
        yield (
            f"embedder.{name} must be narrower or fewer, such as those in conf/embedder: they make {weights:,} "
            f"weights, and {MOST_WEIGHTS:,} are the most"
        )
    losses = loss.get("losses") or []
    for name in ("weights", "miners"):
        if losses and loss.get(name) is not None and len(loss[name]) != len(losses):
            yield f"loss.{name} must be a list of {len(losses)}, one for each of loss.losses"
    if _is(classifier, "KNNClassifier") and classifier["k"] is None and not classifier["candidates"]:
        yield "classifier.candidates=[] must be a list of numbers, such as [5,15], where classifier.k=null"


def _training(optimizer: Mapping[str, Any], trainer: Mapping[str, Any]) -> Iterator[str]:
    """Yield steps that cannot be made, and a run without a validation, which chooses the checkpoint."""
    if optimizer["_target_"] == "torch.optim.SGD" and optimizer.get("nesterov") and not optimizer.get("momentum"):
        yield "optimizer.momentum must be above 0, such as 0.9, where optimizer.nesterov=true"
    clip, precision = trainer.get("gradient_clip_val"), str(trainer.get("precision"))
    if clip and precision in ("16", "bf16", "16-mixed", "bf16-mixed") and optimizer.get("fused"):  # scales them itself
        yield f"trainer.gradient_clip_val={clip} with trainer.precision={precision} needs optimizer.fused=false"
    unvalidated = trainer["_target_"] == "lightning.Trainer" and trainer["check_val_every_n_epoch"] is None
    if unvalidated and not isinstance(trainer["val_check_interval"], int):
        yield (
            "trainer.check_val_every_n_epoch=null must be a whole number, 1 or more, such as 1, where "
            "trainer.val_check_interval is no number of steps"
        )


def _checkpoints(callbacks: Mapping[str, Any]) -> Iterator[str]:
    if "checkpoint" not in callbacks:
        yield "callbacks.checkpoint is missing: add callbacks.checkpoint=..."
        return
    best, last = callbacks["checkpoint"], callbacks.get("last", {})
    if best["_target_"].startswith("lightning.") and not isinstance(best.get("monitor"), str):
        yield "callbacks.checkpoint.monitor must be the name of a metric, such as val/accuracy"
    if best.get("filename") is not None and best.get("filename") == last.get("filename"):
        yield (
            f"callbacks.last.filename={last['filename']} must be another name than callbacks.checkpoint.filename, such "
            "as last: both would be one file"
        )


def _sizes(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield parts that were made for another embedder, another picture size or another number of classes."""
    for node, name, source in (
        ("classifier", "embedding_size", "embedder"),
        ("loss", "embedding_size", "embedder"),
        ("embedder", "image_size", "data"),
    ):
        size, right = values[node].get(name), values[source].get(name)
        if size is not None and right is not None and size != right:
            yield f"{node}.{name}={size} must be {right}, as {source}.{name}"
    if values["data"].get("training_sizes") and values["embedder"].get("image_size"):
        yield (
            "data.training_sizes needs embedder=resnet48: the others are made for data.image_size alone, and need "
            "data.training_sizes=null"
        )
    classes = values["model"].get("classes")  # None: a class of the user's own
    data = values["data"]
    if classes is not None and "classes" in data and "checkpoint" not in values:
        right = list(mapped_classes(data["classes"], data.get("map")))
        if classes != right:
            yield f"model.classes={shown(classes)} must be {shown(right)}, the classes of the faces"
    losses = {f"loss.losses.{at}": loss for at, loss in enumerate(values["loss"].get("losses") or [])}
    nodes = {node: values.get(node, {}) for node in ("classifier", "loss", "mixing")}
    for node, part in {**nodes, **losses}.items():
        number = part.get("num_classes")
        if number is not None and classes is not None and number != len(classes):
            yield f"{node}.num_classes={number} must be the number of classes, {len(classes)}"


def _objective(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield an objective that the validation does not log, or of which more is not better."""
    classifier, callbacks = values["classifier"], values["callbacks"]
    if not classifier["_target_"].startswith("fer_lightning."):  # may log scores of its own
        return
    candidates = [f"accuracy_k{number}" for number in classifier.get("candidates", [])]
    metrics = [f"val/{name}" for name in (*scores(values["model"].get("classes", ())), *candidates)]
    objectives = {
        "objective": values["objective"],
        "callbacks.checkpoint.monitor": callbacks["checkpoint"].get("monitor"),
        "callbacks.results.objective": callbacks.get("results", {}).get("objective"),
        "model.objective": values["model"].get("objective"),
    }
    for name, callback in callbacks.items():
        monitor = callback.get("monitor")
        if callback["_target_"].startswith("lightning.") and not str(monitor).startswith("train/"):
            objectives.setdefault(f"callbacks.{name}.monitor", monitor)
    for option, name in objectives.items():
        if name is not None and name not in metrics:
            close = get_close_matches(name, metrics, n=3) or ["val/accuracy"]
            yield (
                f"{option}={name} must be a metric of the validation that is better the higher it is, such as "
                f"val/accuracy: did you mean {' or '.join(close)}?"
            )
