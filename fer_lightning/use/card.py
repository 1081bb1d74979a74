"""The model card: what a model was trained on, how well it does, where it must not be used."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version

from fer_lightning import __version__
from fer_lightning.data.demo import SOURCE
from fer_lightning.report.stress import Outcome, by_change, mean_remains
from fer_lightning.runs.record import Record
from fer_lightning.use.description import Description
from fer_lightning.words import number, percent

HEADLINES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
DRAWN = "The faces were drawn by fer_lightning itself: they show nobody, and bind the weights to nothing."
TERMS = """\
Where the faces are FER2013's: P.-L. Carrier and A. Courville collected them by an image search for a challenge of 2013
(I. J. Goodfellow et al., arXiv:1307.0414). They are other people's photographs, and as far as we know neither the
challenge nor the copies on Kaggle carry a licence of their photographers or of the people shown. What may be done with
weights that were trained on them, for money above all, is not settled. The gallery holds one embedding of each training
face. The licence of fer_lightning's code (MIT) extends to no face, weight or embedding. Other faces have other terms:
theirs hold."""
LIMITS = """\
- The labels name what some people saw in a face, not what its owner felt. People agree with FER2013's labels on
  65 +- 5 % of its faces.
- Cameras, ages, skins and cultures are shown unevenly in any data set of faces, and no score per group is known.
  FER2013's faces are small, grey, mostly frontal, from the web of 2013.
- A vote says how often such a face of the validation set had that label where votes are calibrated, else which share of
  the neighbours has it. On other people's pictures it promises neither.
- One face alone is judged, without its moment before and after, voice, words or place.

Not for decisions about people. In the European Union, Article 5(1)(f) of Regulation (EU) 2024/1689 (AI Act) forbids to
place on the market, to put into service for this purpose and to use AI systems that infer emotions of a natural person
at the workplace and in education institutions, except for medical or safety reasons. Elsewhere in the Union they
count as high-risk (Annex III, 1(c)), and people who are exposed to them must be told (Article 50(3)). Other laws, of
faces as biometric data among them, come on top."""
USE = """\
```python
from fer_lightning import load_model

model = load_model("{place}")
for prediction in model.predict(["face.jpg"]):
    print(prediction.label, prediction.confidence)
```"""


def write_card(
    description: Description, record: Record, place: str, costs: Sequence[str], stress: Sequence[Outcome]
) -> str:
    """Return the card as Markdown.

    Args:
        description: What the model says of itself.
        record: What the run of its checkpoint measured; the empty one where that is not known.
        place: Name of the file or folder that the card is about.
        costs: What was changed or compared on export, one sentence each.
        stress: How it does on changed faces; empty where that is not known.
    """
    source = record.data or description.origin.get("data", "unknown")
    sections = {
        "": f"Recognises {len(description.classes)} expressions in faces of {description.image_size} x "
        f"{description.image_size} grey pixels: {', '.join(description.classes)}. A network "
        f"({_class(description.embedder)}) makes a unit vector of each face, a classifier "
        f"({_class(description.classifier)}) votes.",
        "Use": USE.format(place=place),
        "Data and protocol": _data(source, record),
        "How well it does": _scores(description, record),
        "Under stress": _stress(stress),
        "Export": "\n".join(f"- {cost}" for cost in costs),
        "Limits": LIMITS,
        "What the terms of the faces mean for the weights": DRAWN if source == SOURCE else TERMS,
        "Versions and fingerprints": _origin(description, record),
    }
    parts = [f"## {title}\n\n{text}" if title else f"# {place}\n\n{text}" for title, text in sections.items() if text]
    return "\n\n".join(parts) + "\n"


def _data(source: str, record: Record) -> str:
    lines = [f"- faces: {source}"]
    part = f" (a part: {record.unscored:,} more were not scored)" if record.unscored else ""
    if record.protocol:
        lines += [
            f"- protocol: {record.protocol}; its score shows {record.proves}",
            f"- what leaks: {record.leaks or 'nothing that was found'}",
            f"- {record.train_faces:,} training faces, {record.test_faces:,} test faces{part}; {record.left_out:,} "
            "training faces removed because a copy is in the test set",
        ]
    else:
        lines.append("- protocol and leaks: not known, the checkpoint did not lie in the folder of its run")
    return "\n".join(lines)


def _scores(description: Description, record: Record) -> str:
    found = record.figures
    if "test/accuracy" not in found:
        return "Not known: the checkpoint did not lie in the folder of a run that has been tested."
    lines = ["| on the test faces | % | 95 % interval |", "|---|---|---|"]
    for name, words in HEADLINES.items():
        low, high = (_percent(found, f"test/{name}_{end}") for end in ("low", "high"))
        lines.append(f"| {words} | {_percent(found, f'test/{name}')} | {low} to {high} |")
    lines += ["", "| class | precision | recall | F1 |", "|---|---|---|---|"]
    for name in description.classes:
        scores = [_percent(found, f"test/{metric}_{name}") for metric in ("precision", "recall", "f1")]
        lines.append(f"| {name} | {' | '.join(scores)} |")
    lines += ["", f"How sure it is: {description.calibration}."]
    if "test/accuracy_answered" in found:
        lines.append(
            f"Of the test faces {_percent(found, 'test/answered')} % are answered, "
            f"{_percent(found, 'test/accuracy_answered')} % of them rightly. Expected calibration error of the votes: "
            f"{_percent(found, 'test/calibration_error')} % ({_percent(found, 'test/calibration_error_raw')} % before)."
        )
    if record.labels_allow is not None:
        lines += ["", f"Labels of this quality allow {100 * record.labels_allow:.1f} % at most."]
    if record.too_good:
        lines += ["", f"**{record.too_good}**"]
    lines += [
        "",
        "Intervals: bootstrap over groups of twins, of the test faces alone; another seed moves the score too.",
    ]
    return "\n".join(lines)


def _stress(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "Not known: `python -m fer_lightning stress` was not run on its checkpoint."
    lines = ["| on test faces that are changed | % at each strength, the weakest first |", "|---|---|"]
    lines += [
        f"| {name.replace('_', ' ')} | {', '.join(number(outcome.accuracy) for outcome in found)} |"
        for name, found in by_change(outcomes).items()
    ]
    return "\n".join([*lines, "", f"On average {percent(mean_remains(outcomes))} of the accuracy remains."])


def _origin(description: Description, record: Record) -> str:
    rows = {
        "fer_lightning that exported": __version__,
        "torch that exported": version("torch"),
        **{f"{name} of the training": value for name, value in (record.environment or {}).items()},
        **description.origin,
        "format": str(description.format),
    }
    return "\n".join(["| what | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _percent(metrics: Mapping[str, float], name: str) -> str:
    return f"{100 * metrics[name]:.1f}" if name in metrics else "unknown"


def _class(config: Mapping[str, object]) -> str:
    return str(config.get("_target_", "")).rsplit(".", 1)[-1]
