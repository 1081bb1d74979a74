"""Refuse values that are right by themselves and wrong beside each other."""

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
    absent = {"_target_": ""}  # a node that the command lacks, or that points to what is missing
    data, sampler = values.get("data", absent), values.get("sampler", absent)
    yield from _memory(data)
    if "checkpoint" not in values:  # what is trained already draws no batches and has learnt its targets
        yield from _sampler(sampler)
        yield from _targets(values)
        yield from _augmentation(values.get("augmentation", absent), values.get("mixing", absent))
    yield from _protocol(values.get("protocol", absent), data)
    yield from _classes(data, sampler, "checkpoint" in values)
    yield from _embedder(values.get("embedder", absent))
    yield from _losses(values.get("loss", absent))
    yield from _classifier(values.get("classifier", absent))
    yield from _optimizer(values.get("optimizer", absent))
    yield from _clipping(values.get("optimizer", absent), values.get("trainer", absent))
    yield from _validation(values.get("trainer", absent))
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


def _memory(data: Mapping[str, Any]) -> Iterator[str]:
    if not _is(data, "FacesDataModule"):
        return
    most, count = MOST_BYTES // data["image_size"] ** 2, data["drawn"]["count"]
    if data["root"] is None and count > most:
        yield (
            f"data.drawn.count={count} must be at most {most} with data.image_size={data['image_size']}, such as 2800: "
            f"more than {MOST_BYTES / 2**30:.0f} GiB of faces are not drawn"
        )


def _sampler(sampler: Mapping[str, Any]) -> Iterator[str]:
    if not _is(sampler, "ClassSampler"):
        return
    classes, size = sampler["classes_per_batch"], sampler["batch_size"]
    if size % classes or size < 2 * classes:
        yield (
            f"data.batch_size={size} must be a multiple of sampler.classes_per_batch={classes}, with two or more faces "
            f"of each class, such as {max(2, round(size / classes)) * classes}"
        )


def _protocol(protocol: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    if (_is(protocol, "kfold") or _is(protocol, "subject")) and protocol["fold"] >= protocol["folds"]:
        fold, folds = protocol["fold"], protocol["folds"]
        yield f"protocol.fold={fold} must be a number from 0 to {folds - 1}, such as 0: protocol.folds={folds}"
    if _is(protocol, "subject") and _is(data, "FacesDataModule") and data["root"] is None:
        yield "protocol=subject needs faces of persons as data.root, for synthetic ones show nobody, or protocol=kfold"


def _classes(data: Mapping[str, Any], sampler: Mapping[str, Any], trained: bool) -> Iterator[str]:
    """Yield votes on drawn faces, wrong names and maps of classes, batches of more classes than there are."""
    if not _is(data, "FacesDataModule"):
        return
    classes, drawn = data["classes"], sampler.get("classes_per_batch", 0)
    if data.get("votes") is not None and data["root"] is None:
        yield "data.votes labels FER2013: give fer2013.csv or Kaggle's archive as data.root"
    if data.get("crowd") is not None and data["root"] is None and not trained:
        yield f"data.crowd={data['crowd']} counts votes on FER2013: give fer2013.csv or Kaggle's archive as data.root"
    if data.get("votes") is not None and data["crowd"] != data["votes"]:
        yield f"data.crowd={data['crowd']} must be data.votes={data['votes']}, or be left out: one file has the votes"
    source = "root" if data.get("labels") is None else "labels"
    if source == "labels" and data["root"] is None:
        yield f"data.labels={data['labels']} labels pictures: give their folder or .zip as data.root"
    if source == "labels" and data.get("votes") is not None:
        yield f"data.labels={data['labels']} and data.votes={data['votes']} both label faces: leave one out"
    if wrong := wrong_names(classes):
        yield f"data.{source}={shown(data[source])} with {wrong} (a class is a folder in train/, or data.classes)"
    joined = data.get("map")
    if joined and not (trained and data["root"] is None) and (wrong := wrong_map(classes, joined)):
        yield wrong
    if drawn > len(classes := mapped_classes(classes, joined)) and not trained:
        yield (
            f"sampler.classes_per_batch={drawn} must be a whole number from 2 to the {len(classes)} classes, such as "
            f"{min(4, len(classes))}"
        )


def _embedder(embedder: Mapping[str, Any]) -> Iterator[str]:
    """Yield lists that describe different numbers of stages, and networks of too many weights."""
    if _is(embedder, "FaceNet"):  # as if each width of a module were that of its 5 x 5 convolution
        weights = sum(25 * max(module) ** 2 for stage in embedder["stages"] for module in stage)
        yield from _size("stages", weights)
    for network, name in (("ResNet48", "blocks"), ("VGG48", "convolutions")):
        if _is(embedder, network):
            widths, numbers = embedder["widths"], embedder[name]
            if len(widths) != len(numbers):
                yield (
                    f"embedder.{name} must be a list of {len(widths)} numbers, as long as embedder.widths, such as "
                    f"[{','.join(['1'] * len(widths))}]; it has {len(numbers)}"
                )
            else:
                pairs = zip(widths, numbers, strict=True)
                yield from _size("widths", sum(9 * width**2 * number for width, number in pairs))


def _size(name: str, weights: int) -> Iterator[str]:
    if weights > MOST_WEIGHTS:
        yield (
            f"embedder.{name} must be narrower or fewer, such as those in conf/embedder: they make {weights:,} "
            f"weights, and {MOST_WEIGHTS:,} are the most"
        )


def _losses(loss: Mapping[str, Any]) -> Iterator[str]:
    losses = loss.get("losses") or []
    for name in ("weights", "miners"):
        items = loss.get(name)
        if losses and items is not None and len(items) != len(losses):
            yield f"loss.{name} must be a list of {len(losses)}, one for each of loss.losses"


def _targets(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a loss of the library's that cannot learn shares of the classes."""
    absent = {"_target_": ""}
    loss, data, teachers = (values.get(node, absent) for node in ("loss", "data", "teacher"))
    distribution = data.get("targets") == "distribution"
    if distribution and not data["votes"]:
        yield "data.targets=distribution needs data.votes=fer2013new.csv, the votes of FER+"
    if distribution and (data["corrections"] or teachers.get("runs")):
        yield "data.targets=distribution needs data.corrections=null and teacher.runs=null"
    if _is(loss, "SmoothedSoftmaxLoss") or not loss["_target_"].startswith(("pytorch_", "fer_lightning.")):
        return
    for option, soft in {
        "mixing=mixup": _is(values.get("mixing", absent), "mixup"),
        "teacher.runs": bool(teachers.get("runs")),
        "data.targets=distribution": distribution,
    }.items():
        if soft:
            yield f"{option} needs loss=softmax_smoothed: other losses learn one class of a face, and no shares"


def _augmentation(augmentation: Mapping[str, Any], mixing: Mapping[str, Any]) -> Iterator[str]:
    """Yield pictures that cannot be made on the device of the training."""
    if augmentation.get("device") == "accelerator":
        if _is(mixing, "mixup"):
            yield "augmentation.device=accelerator needs mixing=none: pictures are mixed on the processor"
        if not augmentation["online"]:
            yield "augmentation.device=accelerator needs augmentation.online=true: others are drawn once"


def _classifier(classifier: Mapping[str, Any]) -> Iterator[str]:
    if _is(classifier, "KNNClassifier") and classifier["k"] is None and not classifier["candidates"]:
        yield "classifier.candidates=[] must be a list of numbers, such as [5,15], where classifier.k=null"


def _optimizer(optimizer: Mapping[str, Any]) -> Iterator[str]:
    if optimizer["_target_"] == "torch.optim.SGD" and optimizer.get("nesterov") and not optimizer.get("momentum"):
        yield "optimizer.momentum must be above 0, such as 0.9, where optimizer.nesterov=true"


def _clipping(optimizer: Mapping[str, Any], trainer: Mapping[str, Any]) -> Iterator[str]:
    """Yield gradients that are clipped where the optimizer itself undoes their scale."""
    clip, precision = trainer.get("gradient_clip_val"), str(trainer.get("precision"))
    if clip and precision in ("16", "bf16", "16-mixed", "bf16-mixed") and optimizer.get("fused"):
        yield f"trainer.gradient_clip_val={clip} with trainer.precision={precision} needs optimizer.fused=false"


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


def _validation(trainer: Mapping[str, Any]) -> Iterator[str]:
    """Yield a run without a validation, which chooses the checkpoint."""
    if trainer["_target_"] != "lightning.Trainer" or trainer["check_val_every_n_epoch"] is not None:
        return
    interval = trainer["val_check_interval"]
    if not isinstance(interval, int):
        yield (
            "trainer.check_val_every_n_epoch=null must be a whole number, 1 or more, such as 1, where "
            "trainer.val_check_interval is no number of steps"
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
        yield "data.training_sizes needs embedder=resnet48 or vgg48: the others are made for data.image_size alone"
    classes = values["model"].get("classes")  # None: a class of the user's own
    data = values["data"]
    if classes is not None and "classes" in data and "checkpoint" not in values:
        right = list(mapped_classes(data["classes"], data.get("map")))
        if classes != right:
            yield f"model.classes={shown(classes)} must be {shown(right)}, the classes of the faces"
    losses = {f"loss.losses.{at}": loss for at, loss in enumerate(values["loss"].get("losses") or [])}
    for node, part in {"classifier": values["classifier"], "loss": values["loss"], **losses}.items():
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
    for option, name in objectives.items():
        if name is not None and name not in metrics:
            close = get_close_matches(name, metrics, n=3) or ["val/accuracy"]
            yield (
                f"{option}={name} must be a metric of the validation that is better the higher it is, such as "
                f"val/accuracy: did you mean {' or '.join(close)}?"
            )
