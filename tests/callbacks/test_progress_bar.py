"""What stands on the screen of a terminal of 80 columns, read with a terminal emulator."""

import fcntl
import os
import pty
import re
import runpy
import struct
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest

from tests.conftest import ROOT, options
from tests.processes import start

COLUMNS, ROWS = 80, 200
# A bar by itself: what it counts, the bar, and figures; or a line of a table.
BAR = re.compile(r"(epoch \d+/\d+|Validation|Testing|[a-z ]{10,40}) +[━╸╺ ]{20,} +\d[^━]*|[┏┡][━╇┳┩┓]+")
SHOWN = options("small", "tiny", "logger=wandb", "trainer.enable_progress_bar=true")


def on_terminal(terminal: str, folder: Path, *arguments: str) -> None:
    """Run train.py in a folder, with a terminal as its own."""
    os.chdir(folder)
    os.environ.pop("COLUMNS", None)  # which rich would believe
    for number in range(3):
        os.dup2(os.open(terminal, os.O_RDWR), number)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    sys.argv = ["train.py", *arguments]
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")


def screen_of(
    folder: Path, *arguments: str, stop: Callable[[str], object] = lambda line: None
) -> tuple[list[str], int]:
    """Return what a training has left on the screen, and its exit code; every state of its bar is looked at.

    Args:
        folder: Where it runs.
        arguments: Its options.
        stop: Whether a line of the screen is the sign to press Ctrl-C.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = start(on_terminal, os.ttyname(theirs), folder, *arguments, TERM="xterm-256color")
    screen = pyte.Screen(COLUMNS, ROWS)
    stream, pressed = pyte.ByteStream(screen), False
    torn = []
    try:
        while process.is_alive() or _waiting(ours):
            if not _waiting(ours):
                process.join(0.02)
                continue
            stream.feed(os.read(ours, 65536))
            lines = [line.rstrip() for line in screen.display]
            torn += [line for line in lines if re.search("[━╸╺]", line) and not BAR.fullmatch(line)]
            if not pressed and any(map(stop, lines)):
                pressed = bool(os.write(ours, b"\x03"))
    finally:
        process.kill()
        os.close(theirs)
        os.close(ours)
    assert not torn
    return [line.rstrip() for line in screen.display if line.strip()], process.exitcode


def _waiting(terminal: int) -> int:
    """Return the number of bytes to read."""
    return struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, b"\0" * 4))[0]


def logged(folder: Path) -> list[str]:
    """Return the messages that a run has written into its train.log."""
    text = (folder / "train.log").read_text()
    return [re.sub(r"^\[.*?\] - ", "", line) for line in text.splitlines()]


def assert_whole(shown: list[str], messages: list[str]) -> None:
    """Look whether the lines hold the messages in their order and nothing else, broken between words alone."""
    assert "".join("".join(shown).split()) == "".join("".join(messages).split())
    said = {word for message in messages for word in message.split()}
    words = {word for line in shown for word in line.split()}
    assert not {word for word in said - words if len(word) < COLUMNS - 30}, "torn words"


@pytest.mark.long
def test_ctrl_c_leaves_whole_lines_and_the_command_that_goes_on(tmp_path):
    shown, code = screen_of(
        tmp_path,
        *options(*SHOWN, "data.drawn.count=240", "data.batch_size=14", "trainer.max_epochs=500", "hydra.run.dir=run"),
        stop=lambda line: line.startswith("epoch 2/500  train/loss"),
    )
    assert code == 130, shown
    assert_whole([line for line in shown if line != "^C"], logged(tmp_path / "run"))
    said = next(number for number, line in enumerate(shown) if re.fullmatch(r"SIGINT at step \d+", line))
    assert "".join(shown[said + 1 :]) == f"to go on: python train.py resume_from={tmp_path}/run"  # broken by the screen
    text = " ".join(line.strip() for line in shown)
    assert re.search(r"training on 1\d\d faces, CPU: embedder facenet, loss supcon, optimizer adam, lr 0\.0001,", text)
    assert re.search(
        r"batch size 14; 21,672 parameters; 500 epochs of 2\d steps about \d+ (s|min|h) .*for 500 epochs", text
    )
    assert re.search(r"epoch 2/500 .* \d+ s, about \d+ (min|h .* min) left", text)
    assert f"wandb leet {tmp_path}/run/wandb" in "".join(shown)


@pytest.mark.long
def test_a_sweep_shows_one_table_that_fits(tmp_path):
    sweep = options(
        *SHOWN, "brief", "sweep", "optimizer=adam,rmsprop", "logger=csv", "hydra.sweep.subdir=${optimizer._target_}"
    )
    shown, code = screen_of(tmp_path, "-m", *sweep)
    assert code == 0, shown
    heads = [number for number, line in enumerate(shown) if line.startswith("┏")]
    assert len(heads) == 1, shown
    table = shown[heads[0] : heads[0] + 6]
    assert {(line[0], line[-1], len(line)) for line in table} == {
        *((left, right, len(table[0])) for left, right in ("┏┓", "┃┃", "┡┩", "││", "└┘"))
    }
    assert table[1].split()[1::2] == ["job", "status", "val/accuracy", "test/accuracy"]
    assert sorted(line.split()[1] for line in table[3:5]) == ["optimizer=adam", "optimizer=rmsprop"]
    assert shown[heads[0] + 6].startswith("left out for lack of room: test/macro_f1, test/balanced_accuracy, seconds;")
    assert [line[:11] for line in shown if line.startswith("job ")] == ["job 1 of 2:", "job 2 of 2:"]
    assert [line[:5] for line in shown].count("Best:") == 1
    assert f"to see what another seed changes: python train.py sweep.resume={tmp_path}/out seed=0,1,2" in "".join(shown)
