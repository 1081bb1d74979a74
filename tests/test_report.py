"""What people look at after a sweep: W&B offline files, report.html, sweep.md, figures; read back and compared."""

import csv
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import ROOT, SMALL

from fer_lightning.data.faces import CLASSES
from fer_lightning.figures import COLORS, MARKERS

FIGURES = ("confusion_matrix", "per_class", "augmentation", "embeddings_pca", "embeddings_tsne")
CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """The folder of a sweep of four jobs, one of which fails."""
    cwd = tmp_path_factory.mktemp("sweep")
    options = ("optimizer=adam,sgd", "data.batch_size=16,18", "trainer.max_epochs=2", "trainer.limit_train_batches=12")
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", "-m", *SMALL[:-1], *options, "hydra.sweep.dir=out"],
        cwd=cwd,
        env={**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 1  # 18 cannot hold four classes
    assert "job 1 of 4: " in done.stdout
    assert re.search(r"job 4 of 4: .*; about \d+ (s|min) left", done.stdout)
    return cwd / "out"


def inspect(path: Path) -> dict:
    """Return what W&B's own reader finds in an offline run."""
    wandb = Path(sys.executable).with_name("wandb")
    command = [wandb, "leet", "inspect", "--summary", "--json", path]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def documented() -> list[re.Pattern]:
    text = (ROOT / "docs/dashboard.md").read_text()
    names = re.findall(r"`([a-z_]+/[a-z0-9_/<>]+|epoch|trainer/global_step)`", text)
    return [re.compile(name.replace("<class>", f"({'|'.join(CLASSES)})").replace("<option>", ".+")) for name in names]


def test_every_key_of_a_run_is_there_and_documented(sweep):
    (run,) = sweep.glob("adam-bs16-*/wandb/offline-run-*")
    found = inspect(run)
    summary = {name: value for name, value in found["summary"].items() if not name.startswith("_")}
    patterns = documented()
    assert [name for name in summary if not any(pattern.fullmatch(name) for pattern in patterns)] == []
    expected = {
        *(f"media/{name}" for name in FIGURES),
        *(f"tables/{name}" for name in ("mistakes", "per_class", "confusion", "audit")),
        *("train/loss", "train/active_share", "train/spread", "train/learning_rate", "train/positive_distance"),
        *("val/accuracy", "val/macro_f1", "test/accuracy", "test/accuracy_low", "test/accuracy_without_twins"),
        *(f"test/f1_{name}" for name in CLASSES),
    }
    assert expected <= set(summary)
    assert summary["media/failures"] == 0
    metrics = json.loads((run.parents[1] / "metrics.json").read_text())
    assert summary["test/accuracy"] == pytest.approx(metrics["test/accuracy"])
    config = json.dumps(found["config"])
    assert metrics["data_fingerprint"] in config
    assert metrics["proves"] in config


def test_a_closing_run_holds_the_sweep(sweep):
    (run,) = sweep.glob("wandb/offline-run-*")
    summary = inspect(run)["summary"]
    assert summary["sweep/jobs"] == 4
    assert summary["sweep/failed"] == 2
    assert {"sweep/leaderboard", "sweep/options", "best/val/accuracy", "best/test/accuracy"} <= set(summary)
    with (sweep / "sweep.csv").open() as file:
        best = max(float(row["val/accuracy"]) for row in csv.DictReader(file) if row["val/accuracy"])
    assert summary["best/val/accuracy"] == pytest.approx(best)


def test_figures_lie_in_the_folder_in_two_formats(sweep):
    (folder,) = sweep.glob("sgd-bs16-*")
    for name in FIGURES:
        assert (folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (folder / "figures" / f"{name}.svg").read_text()
    mistakes = json.loads((folder / "mistakes.json").read_text())["mistakes"]
    assert 0 < len(mistakes) <= 24
    assert all(mistake["label"] != mistake["prediction"] for mistake in mistakes)
    assert all(len(mistake["neighbours"]) == 5 for mistake in mistakes)
    similarities = [near["similarity"] for near in mistakes[0]["neighbours"]]
    assert similarities == sorted(similarities, reverse=True)


class Table(HTMLParser):
    """The leaderboard's cells."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag, attributes):
        if tag == "table":
            self.inside = ("id", "leaderboard") in attributes
        elif self.inside and tag == "tr":
            self.rows.append([])
        elif self.inside and tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag == "table":
            self.inside = False

    def handle_data(self, data):
        if self.inside and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def numbers(page: str) -> set[tuple[str, ...]]:
    table = Table()
    table.feed(page)
    header, *rows = ([" ".join(cell.split()) for cell in row] for row in table.rows)
    at = [header.index(name) for name in ("val/accuracy", "test accuracy", "test macro F1")]
    return {tuple(row[place].split(" ")[0] for place in at) for row in rows}


def test_the_report_shows_the_sweeps_numbers(sweep):
    page = (sweep / "report.html").read_text()
    assert len(page) < 5_000_000
    with (sweep / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ("val/accuracy", "test/accuracy", "test/macro_f1")
    assert numbers(page) == {tuple(f"{float(row[n]):.4f}" if row[n] else "" for n in names) for row in rows}
    assert "data.batch_size=18" in page  # the failed job's error
    assert "python train.py" in page
    assert "http" not in page.split("</head>")[1]
    text = (sweep / "sweep.md").read_text()
    best = max(rows, key=lambda row: float(row["val/accuracy"] or 0))
    assert f"{float(best['test/accuracy']):.4f} ({float(best['test/accuracy_low']):.4f} to" in text


def test_reports_over_several_folders(sweep, tmp_path):
    (run,) = sweep.glob("adam-bs16-*")
    command = [sys.executable, "-m", "fer_lightning.report", run, sweep, "--output", tmp_path]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    assert len(numbers((tmp_path / "report.html").read_text())) >= 2
    command = [sys.executable, "-m", "fer_lightning.report", tmp_path / "none"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "holds no run" in done.stderr) == (1, True)


def test_classes_have_colours_and_markers_of_their_own():
    assert len(set(COLORS.values())) == len(set(MARKERS.values())) == len(CLASSES)


@pytest.mark.filterwarnings("ignore:.*@validator:DeprecationWarning")  # wandb-workspaces 0.4 on pydantic 2
@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
def test_the_dashboard_is_built_from_code():
    pytest.importorskip("wandb_workspaces", reason="needs the extra dashboard")
    from fer_lightning.dashboard import saved_view, sweep_report

    view = saved_view("me", "fer_lightning", "2026-01-01")
    panels = [panel for section in view.sections for panel in section.panels]
    assert len(panels) == 15
    assert sweep_report("me", "fer_lightning", "2026-01-01").blocks[1].runsets[0].name == "2026-01-01"


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}")
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_and_ask_for_nothing(sweep, width):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra browser")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto((sweep / "report.html").as_uri())
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert size[0] <= size[1]
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert errors == []
        shown = [
            [cell.inner_text().split()[0] for cell in row.locator("td").all()[1:3]]
            for row in page.locator("#leaderboard tbody tr", has_text="completed").all()
        ]
        with (sweep / "sweep.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["status"] == "completed"]
        assert shown == [[f"{float(row[name]):.4f}" for name in ("val/accuracy", "test/accuracy")] for row in rows]
        browser.close()
