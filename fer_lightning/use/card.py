"""Model card: the data, the scores, the limits and the origin of a network, as Markdown."""

from collections.abc import Sequence
from importlib.metadata import version

from fer_lightning import __version__
from fer_lightning.data.demo import SOURCE
from fer_lightning.report.html import TEMPLATES
from fer_lightning.report.stress import Outcome, by_change, mean_remains
from fer_lightning.runs.description import Description
from fer_lightning.runs.record import Record
from fer_lightning.words import number


def write_card(
    description: Description, record: Record, name: str, costs: Sequence[str], stress: Sequence[Outcome]
) -> str:
    """Return the card of the file or folder ``name``.

    ``record`` is the record of the network's run. ``costs`` holds a sentence per change or comparison of the export.
    ``record`` and ``stress`` are empty if they are unknown.
    """

    def score(metric: str) -> str:
        """Return a share of the test in percent."""
        share = record.figures.get(f"test/{metric}")
        return "unknown" if share is None else number(share)

    source = record.data or description.origin.get("data", "unknown")
    changes = {
        change.replace("_", " "): [number(outcome.accuracy) for outcome in outcomes]
        for change, outcomes in by_change(stress).items()
    }
    versions = {
        "fer_lightning that exported": __version__,
        "torch that exported": version("torch"),
        **{f"{package} of the training": text for package, text in record.environment.items()},
        **description.origin,
        "format": description.format,
    }
    template = TEMPLATES.overlay(autoescape=False).get_template("card.md")
    return template.render(
        name=name,
        description=description,
        embedder=description.embedder["_target_"].rpartition(".")[2],
        classifier=description.classifier["_target_"].rpartition(".")[2],
        source=source,
        drawn=source == SOURCE,
        record=record,
        score=score,
        changes=changes,
        remains=mean_remains(stress),
        costs=costs,
        versions=versions,
    )
