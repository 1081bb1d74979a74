"""What people look at after a sweep: W&B offline files, report.html, sweep.md, figures; read back and compared."""

import base64
import csv
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fer_lightning.__main__ import main
from fer_lightning.data.faces import CLASSES
from fer_lightning.report.page import command as command_of
from fer_lightning.report.page import write_report
from fer_lightning.runs.record import read_runs
from fer_lightning.words import named, number, percent
from tests import processes
from tests.browser import in_chromium
from tests.conftest import ROOT, command, options
from tests.wandb_files import inspect, records

FIGURES = ("training_graphs", "confusion_matrix", "per_class", "augmentation", "embeddings_pca", "embeddings_tsne")
SWEEP_FIGURES = ("scores", "training_graphs", "options", "confusion_matrices", "per_class")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """The folder of a sweep of four jobs, two of which fail."""
    output = tmp_path_factory.mktemp("sweep") / "output.txt"
    swept = ("optimizer=adam,sgd", "data.batch_size=300,16", "trainer.limit_train_batches=4", "loss=triplet")
    noted = ("logger=wandb", "logger.wandb.tags=[mine]", "logger.wandb.notes=first try", "hydra.sweep.dir=out")
    tiny = options("small", "tiny", "sampler.classes_per_batch=4", "callbacks.media.map_faces=60")
    process = processes.start(processes.command, output, "-m", *options(*tiny, *swept), *noted)
    process.join()
    said = output.read_text()
    assert process.exitcode == 1  # 300 pictures are more than there are
    assert "job 1 of 4: data.batch_size=300 optimizer=adam\n" in said
    assert re.search(r"job 4 of 4: .*; about \d+ (s|min) left", said)
    assert re.search(r"\nBest: data.batch_size=16 optimizer=(adam|sgd), validation accuracy ", said)
    assert re.search(r"\nIs the best really better\? (Yes|No|Too early to say), the", said)
    return output.parent / "out"


def documented() -> list[re.Pattern]:
    text = (ROOT / "docs/dashboard.md").read_text()
    names = re.findall(r"`([a-z_]+/[a-z0-9_/<>]+|epoch|trainer/global_step)`", text)
    stand_ins = {"<class>": f"({'|'.join(CLASSES)})", "<option>": ".+", "<k>": r"\d+"}
    return [re.compile(re.sub("<(class|option|k)>", lambda match: stand_ins[match[0]], name)) for name in names]


def test_a_run_that_failed_after_a_validation_has_a_report(sweep, tmp_path):
    """Its metrics.json holds neither faces nor protocol."""
    (run,) = sweep.glob("adam-bs16-*")
    shutil.copytree(run, tmp_path / "run")
    failed = {"status": "failed", "error": "out of luck", "overrides": "", "objective": "val/accuracy"}
    (tmp_path / "run/metrics.json").write_text(json.dumps(failed))
    (tmp_path / "run/report.html").unlink()
    main(["report", str(tmp_path / "run")])
    assert "out of luck" in (tmp_path / "run/report.html").read_text()


def test_every_key_of_a_run_is_there_and_documented(sweep):
    (run,) = sweep.glob("adam-bs16-*/wandb/offline-run-*")
    found = inspect(run)
    summary = {name: value for name, value in found["summary"].items() if not name.startswith("_")}
    patterns = documented()
    assert [name for name in summary if not any(pattern.fullmatch(name) for pattern in patterns)] == []
    expected = {
        *(f"media/{name}" for name in FIGURES),
        *(f"tables/{name}" for name in ("mistakes", "per_class", "confusion", "audit")),
        *("train/loss", "train/spread", "train/learning_rate"),
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


def test_curves_follow_the_step_and_media_come_once_at_the_end(sweep):
    (folder,) = sweep.glob("adam-bs16-*/wandb/offline-run-*")
    run = records(folder, "run")[0]
    assert (run["run_group"], run["job_type"], run["project"]) == ("out", "train", "fer_lightning")
    history = [record["item"] for record in records(folder, "history")]
    steps = [row["trainer/global_step"] for row in history if "train/loss" in row]
    assert len(steps) == len(set(steps)) > 1
    assert sum("val/accuracy" in row for row in history) == 2  # epochs
    media = [number for number, row in enumerate(history) if any(key.startswith("media/") for key in row)]
    assert media == [len(history) - 1]


def test_tables_and_configuration_are_whole(sweep):
    (folder,) = sweep.glob("adam-bs16-*/wandb/offline-run-*")
    (table,) = (folder / "files/media/table/tables").glob("mistakes_*.table.json")
    table = json.loads(table.read_text())
    faces = ["face", *(f"neighbour {number}" for number in range(1, 6))]
    assert [name for name in table["columns"] if name in faces] == faces
    assert {row[table["columns"].index(name)] for row in table["data"] for name in faces} == {"Image"}
    (table,) = (folder / "files/media/table/tables").glob("confusion_*.table.json")
    assert len(json.loads(table.read_text())["data"]) == len(CLASSES) ** 2
    config = inspect(folder)["config"]
    assert (
        config["audit"]["data_fingerprint"]
        == json.loads((folder.parents[1] / "metrics.json").read_text())["data_fingerprint"]
    )
    assert "${" not in json.dumps(config)


def test_what_opens_first_in_wandb_is_what_matters(sweep):
    (folder,) = sweep.glob("adam-bs16-*/wandb/offline-run-*")
    rows = [record["item"] for record in records(folder, "history")]
    points = Counter(name for row in rows for name in {key.split(".")[0] for key in row} if name[0] != "_")
    assert len(points) <= 30
    assert {name.split("/")[0] for name in points} == {"train", "trainer", "val", "media"}
    assert [name for name, number in points.items() if number == 1 and not name.startswith("media/")] == []
    assert not set(points) & {f"val/{name}_{label}" for name in ("precision", "recall", "f1") for label in CLASSES}

    found, record = inspect(folder), json.loads((folder.parents[1] / "metrics.json").read_text())
    chosen = max(row["val/accuracy"] for row in rows if "val/accuracy" in row)
    assert found["summary"]["val/accuracy"] == chosen == record["val/accuracy"]
    assert found["summary"]["test/accuracy"] == pytest.approx(record["test/accuracy"])
    config = found["config"]
    flat = {"optimizer": "adam", "lr": 1e-4, "batch_size": 16, "epochs": 2, "seed": 0, "protocol": "honest"}
    assert {name: config[name] for name in flat} == flat
    assert (config["loss"], config["embedder"]) == ("triplet", "facenet")
    assert config["options"]["optimizer"]["lr"] == 1e-4
    assert "optimizer" not in config["options"]["model"]  # once, in options.optimizer
    assert "seed" not in config["options"]["augmentation"]

    run = records(folder, "run")[-1]  # as it is at the end
    assert run["tags"] == ["mine", "honest", "synthetic faces"]
    findings = [line for line in run["notes"].splitlines() if line in (folder.parents[1] / "train.log").read_text()]
    assert run["notes"].splitlines() == ["first try", *findings]
    assert findings
    assert run["display_name"].startswith("triplet balanced adam ")
    assert "batch_size=16" in run["display_name"].split()


def test_a_closing_run_holds_the_sweep(sweep):
    (run,) = sweep.glob("wandb/offline-run-*")
    summary = inspect(run)["summary"]
    assert summary["sweep/jobs"] == 4
    assert summary["sweep/failed"] == 2
    assert {"sweep/leaderboard", "best/val/accuracy", "best/test/accuracy", "sweep/by_optimizer_table"} <= set(summary)
    assert {f"sweep/{name}" for name in SWEEP_FIGURES} <= set(summary)
    (record,) = records(run, "run")
    assert (record["run_group"], record["job_type"]) == ("out", "sweep")
    with (sweep / "sweep.csv").open() as file:
        best = max(float(row["val/accuracy"]) for row in csv.DictReader(file) if row["val/accuracy"])
    assert summary["best/val/accuracy"] == pytest.approx(best)


def test_figures_lie_in_the_folder_in_two_formats(sweep):
    (folder,) = sweep.glob("sgd-bs16-*")
    for name in FIGURES:
        assert (folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (folder / "figures" / f"{name}.svg").read_text()
    drawn = (folder / "figures/confusion_matrix.png").read_bytes()
    assert base64.b64encode(drawn).decode() in (folder / "report.html").read_text()  # the same, not drawn again
    for name in SWEEP_FIGURES:
        assert (sweep / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (sweep / "figures" / f"{name}.svg").read_text()
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
    at = [header.index(name) for name in ("validation accuracy", "test accuracy", "test macro F1")]
    return {tuple(" ".join(row[place].split()[:2]) if len(row) == len(header) else "" for place in at) for row in rows}


def test_the_report_shows_the_sweeps_numbers(sweep):
    page = (sweep / "report.html").read_text()
    assert len(page) < 5_000_000
    with (sweep / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ("val/accuracy", "test/accuracy", "test/macro_f1")
    assert numbers(page) == {tuple(percent(float(row[n])) if row[n] else "" for n in names) for row in rows}
    assert "data.batch_size=300" in page  # the failed job's error
    assert "python train.py" in page
    assert "http" not in page.split("</head>")[1]
    text = (sweep / "sweep.md").read_text()
    best = max(rows, key=lambda row: float(row["val/accuracy"] or 0))
    assert f"{percent(float(best['test/accuracy']))} ({number(float(best['test/accuracy_low']))} to" in text


def test_reports_over_several_folders(sweep, tmp_path, capsys):
    (run,) = sweep.glob("adam-bs16-*")
    main(["report", str(run), str(sweep), "--output", str(tmp_path / "new")])
    assert capsys.readouterr().out == f"written: {tmp_path}/new/report.html\n"
    page = (tmp_path / "new/report.html").read_text()
    assert len(numbers(page)) >= 2
    assert "<h1>4 runs on synthetic faces: batch_size 16, 300; optimizer " in page  # the first is one of the sweep's


def test_a_sweep_of_which_nothing_was_scored_has_a_page(make, tmp_path):
    make("one", ["optimizer=adam"], status="failed", error="UserError: a | b")
    make("two", ["optimizer=sgd"], status="running")
    write_report(tmp_path, read_runs(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert "No run has been tested yet" in page
    assert "UserError: a | b" in page


def test_command_repeats_one_job_of_an_experiment_that_sweeps(make, tmp_path):
    make("a", ["experiment=paper_table4", "optimizer=sgd", "data.root=my faces.zip", "hydra.sweep.dir=out", "seed=1"])
    make("b", ["experiment=best", "seed=1", "resume_from=logs/b"])
    expected = "python train.py experiment=paper_table4 optimizer=sgd 'data.root=my faces.zip' seed=1 hydra.mode=RUN"
    resumed = "python train.py experiment=best seed=1"  # it sweeps nothing
    assert [command_of(run) for run in read_runs(tmp_path)] == [expected, resumed]


@pytest.fixture(scope="module")
def pages(sweep, tmp_path_factory) -> dict[str, Path]:
    """The page of a sweep, of a run and of an audit."""
    folder = tmp_path_factory.mktemp("audit")
    assert command(folder, "-m", "fer_lightning", "audit", "logger=none", "hydra.run.dir=.").returncode == 0
    long = tmp_path_factory.mktemp("long") / "out"  # a sweep over faces that lie far away
    shutil.copytree(sweep, long)
    for job, path in enumerate(long.glob("*/.hydra/overrides.yaml")):
        path.write_text(f"- data.root=/srv/{'averylongname' * 8}/faces{job}.zip\n- seed=0\n")
    write_report(long, read_runs(long))
    (run,) = sweep.glob("adam-bs16-*/report.html")
    return {"sweep": sweep / "report.html", "run": run, "audit": folder / "audit.html", "long": long / "report.html"}


CUT = """[...document.querySelectorAll(".scroll:has(#leaderboard), .plots")]
    .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 200))"""


@in_chromium
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["sweep", "run", "audit", "long"])
def test_pages_fit_and_ask_for_nothing(pages, open_page, name, width):
    page = open_page(pages[name], width)
    assert page.locator("h1").count() == 1
    assert page.locator("img").count() > (10 if name != "audit" else 0)
    assert page.locator("nav a").count() == page.locator("h2").count() > 5
    # On a telephone a run's figures stand below each other, so that none is behind an edge.
    assert name == "audit" or page.evaluate(CUT) == []


@in_chromium
def test_page_shows_sweep_csv_and_leads_to_its_runs(sweep, open_page):
    page = open_page(sweep / "report.html", 1280)
    with (sweep / "sweep.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "completed"]
    header = page.locator("#leaderboard thead th").all_inner_texts()
    columns = ("val/accuracy", "test/accuracy", "test/balanced_accuracy", "test/macro_f1")
    at = [header.index(named(name)) for name in columns]
    cells = [row.locator("td").all_inner_texts() for row in page.locator("#leaderboard tbody tr").all()]
    shown = [[" ".join(row[place].split()[:2]) for place in at] for row in cells if len(row) == len(header)]
    assert shown == [[percent(float(row[name])) for name in columns] for row in rows]
    assert page.locator("#leaderboard tr.failed").count() == 2
    assert "%" in page.locator("#verdict").inner_text()
    page.locator("#leaderboard a").first.click()
    assert page.locator("h1").inner_text().endswith(", batch size 16, 2 epochs on synthetic faces")


@in_chromium
def test_table_sorts_and_page_has_a_dark_scheme(sweep, open_page):
    page = open_page(sweep / "report.html", 1280, "dark")
    head = page.locator("#leaderboard th", has_text="test macro F1")
    column = page.locator("#leaderboard thead th").all_inner_texts().index("test macro F1")
    shown = []
    for _ in range(2):
        head.click()
        rows = [row.locator("td").all_inner_texts() for row in page.locator("#leaderboard tbody tr").all()]
        shown.append([float(row[column].split()[0]) for row in rows if len(row) > column])
    assert shown[0] == sorted(shown[1], reverse=True)
    assert shown[1] == sorted(shown[1])
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
    assert "invert" in page.evaluate("getComputedStyle(document.querySelector('.chart img')).filter")
