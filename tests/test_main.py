"""The command line and the public names: what they load, what they say."""

import json

import pytest

import fer_lightning
from fer_lightning.__main__ import main
from fer_lightning.config.verbs import verbs
from tests.conftest import ROOT, command

HEAVY = ("torch", "lightning", "wandb", "matplotlib")
# Runs some lines and says which libraries each one left loaded.
LOADED = f"""
import json, sys
found = []
for line in sys.argv[1:]:
    try:
        exec(line)
    except SystemExit as stop:
        assert not stop.code, stop
    found.append([name for name in {HEAVY} if name in sys.modules])
print(json.dumps(found))
"""


def test_nothing_is_loaded_before_it_is_needed(tmp_path):
    lines = (
        "import fer_lightning",
        "from fer_lightning.__main__ import main; main(['--help'])",
        "main(['report', '--help'])",
        "fer_lightning.read_runs, fer_lightning.Faces, fer_lightning.UserError",
        "import fer_lightning.launch.entry",
        "import fer_lightning.use.model, fer_lightning.use.onnx_model, fer_lightning.use.prediction_files",
        "import fer_lightning.report.page, fer_lightning.report.paper_tables",
        "import fer_lightning.callbacks.media",
    )
    done = command(tmp_path, "-c", LOADED, *lines)
    assert done.returncode == 0, done.stderr
    *help_lines, loaded = done.stdout.splitlines()
    assert json.loads(loaded) == [[], [], [], [], [], [], ["matplotlib"], ["torch", "lightning", "matplotlib"]]
    for name, verb in verbs().items():
        assert any(line.split()[0] == name or verb.help in line for line in help_lines if line.strip())


def test_the_package_offers_its_public_names():
    assert {name: getattr(fer_lightning, name).__name__ for name in fer_lightning.PUBLIC} == {
        name: name for name in fer_lightning.PUBLIC
    }
    assert {"ExpressionModule", "load_model", "load_module", "read_faces", "__version__"} <= set(dir(fer_lightning))
    with pytest.raises(AttributeError, match="has no attribute 'torch'"):
        fer_lightning.torch  # noqa: B018
    assert (ROOT / "fer_lightning/py.typed").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--version"], 0, f"fer_lightning {fer_lightning.__version__}\n"),
        ([], 2, "list the labels of the training folder"),
        (["paint"], 2, "invalid choice: 'paint' (choose from "),
        (["report", "a", "--colour"], 2, "unrecognized arguments: --colour"),
        (
            ["report", "/nowhere"],
            "error: /nowhere holds no run that has ended: give the folder of a run or of a sweep",
            "",
        ),
        (["dashboard", "me", "s"], "error: me is no ENTITY/PROJECT: write your W&B account before the project", ""),
    ],
)
def test_what_it_says(capsys, arguments, code, words):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == code
    said = capsys.readouterr()
    assert words in said.out + said.err


def test_hydra_gets_the_rest_of_the_line(run_here):
    done = run_here("fer_lightning/__main__.py", "audit", "data.root=x", "seed=3", "--cfg", "job", "-p", "data")
    assert done.code == 0, done.text
    assert "root: x\n" in done.text
    done = run_here("fer_lightning/__main__.py", "train", "data.rooot=x")
    assert (done.code, "data.rooot is no option: did you mean data.root" in done.text) == (1, True)
