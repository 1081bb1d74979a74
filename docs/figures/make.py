"""Draw the figures of the documents from trainings on synthetic faces: ``make figures``, about five minutes.

It needs Chromium for pictures of the pages (Debian: apt install chromium).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
RUNS = Path("logs/figures")  # emptied first
OPTIONS = ("data.root=null", "experiment=quickstart", "logger=csv")
SWEEP = ("-m", "optimizer=adam,sgd,rmsprop", "trainer.max_epochs=4", "trainer.check_val_every_n_epoch=1")
PAGE = 1200  # pixels across
COLUMNS = 132  # characters across the terminal: the table fits
LINES = 13  # lines at the end of the output: table and verdict


def main() -> None:
    """Train a run and a sweep, photograph their reports, and draw the end of the sweep's output."""
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next((path for name in names if (path := shutil.which(name))), None)
    if chromium is None:
        raise SystemExit("error: make figures needs Chromium (Debian: apt install chromium)")
    shutil.rmtree(RUNS, ignore_errors=True)
    train(f"hydra.run.dir={RUNS}/run")
    output = train(*SWEEP, f"hydra.sweep.dir={RUNS}/sweep")
    photograph(chromium, RUNS / "run/report.html", HERE / "report.png", height=960)
    photograph(chromium, RUNS / "sweep/report.html", HERE / "sweep.png", height=720)
    terminal("\n".join(output.splitlines()[-LINES:]), HERE / "terminal.svg")


def train(*options: str) -> str:
    """Train on synthetic faces and return the output."""
    command = [sys.executable, "train.py", *OPTIONS, *options]
    environment = {**os.environ, "COLUMNS": str(COLUMNS)}
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return output.replace(f"{Path.cwd()}/", "")


def photograph(chromium: str, page: Path, picture: Path, height: int) -> None:
    """Write the upper part of a page as a PNG."""
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={PAGE},{height}"]
    command = [chromium, *options, f"--screenshot={picture.absolute()}", page.absolute().as_uri()]
    subprocess.run(command, stderr=subprocess.DEVNULL, check=True)  # it warns that there is no desktop


def terminal(output: str, picture: Path) -> None:
    """Write the output of a terminal as SVG."""
    with Path(os.devnull).open("w") as sink:
        console = Console(record=True, width=COLUMNS, file=sink)
        console.print(Text.from_ansi(output))
        console.save_svg(str(picture), title=f"python train.py {OPTIONS[1]} {' '.join(SWEEP)}")


if __name__ == "__main__":
    main()
