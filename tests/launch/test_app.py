"""The command app: it serves until a signal, and refuses in one sentence."""

import re
import signal
import subprocess
import sys
from functools import partial

import pytest

from tests.conftest import ENVIRONMENT
from tests.use.photos import encoded, send


@pytest.fixture
def app(run_here):
    """Run the command."""
    return partial(run_here, "fer_lightning/__main__.py", "app", "hydra.run.dir=out")


def test_mistake_is_one_sentence(app, page, checkpoint):
    for arguments, words in (
        (["checkpoint=none"], "checkpoint=none does not exist"),
        (["bundle=none"], "bundle is no option: did you mean checkpoint?"),
        ([f"checkpoint={checkpoint}", "port=70000"], "port=70000 must be a whole number from 0 to 65535"),
        (
            [f"checkpoint={checkpoint}", f"port={page[0]}"],
            f"port={page[0]} cannot be had (another program has it): give",
        ),
        ([f"checkpoint={checkpoint}", "port=0", "faces=none"], "faces=none cannot be used"),
    ):
        done = app(*arguments)
        assert (done.code, "Traceback" in done.text) == (1, False), done.text
        assert words in done.text.splitlines()[-1]


def test_missing_extra_is_named(app, checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for module in ("fer_lightning.use.server", "fer_lightning.launch.app"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    done = app(f"checkpoint={checkpoint}")
    assert done.code == 1
    assert done.text.splitlines()[-1].endswith("app needs starlette and uvicorn: pip install -e '.[app]'")


def test_command_serves_until_a_signal_and_writes_no_photo(checkpoint, onto, tmp_path):
    pytest.importorskip("uvicorn", reason="needs the extra app")
    line = [sys.executable, "-m", "fer_lightning", "app", f"checkpoint={checkpoint}", "port=0", "hydra.run.dir=out"]
    with subprocess.Popen(line, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        network, address = process.stdout.readline(), process.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", address)[1])
        assert send(port, encoded(onto((90, 90))))[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "the page is closed\n"
    assert process.returncode == 130
    assert "best.ckpt: " in network
    left = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert left == {"app.log", "config.yaml", "hydra.yaml", "overrides.yaml", ".lock"}
