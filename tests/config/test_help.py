"""The text of --help: it fits a narrow terminal and names every choice."""

import re

import pytest

from fer_lightning.config import CONF
from fer_lightning.config.help import EXAMPLES, WIDTH, write_help
from fer_lightning.config.verbs import program, verbs

PROGRAMS = {name: program(name) for name in verbs()}


@pytest.mark.parametrize("config_name", [name for name, verb in verbs().items() if not verb.arguments])
def test_help_fits_a_narrow_terminal_and_names_every_choice(config_name):
    text = write_help(config_name)
    assert max(map(len, text.splitlines())) <= WIDTH
    head, *lines = text.splitlines()
    assert head.startswith(PROGRAMS[config_name])
    assert [line.partition("  # ")[0].strip() for line in lines[1 : 1 + len(EXAMPLES)]] == [
        one.format(**PROGRAMS) for one in EXAMPLES
    ]
    assert "README.md" in text
    groups = re.findall(
        r"^- (?:override )?(\w+):", (CONF / f"{config_name}.yaml").read_text().replace("  - ", "- "), re.M
    )
    for group in set(groups) - {"hydra", "data", "model", "paths", "hparams_search", "stress"}:
        assert f"\n  {group} " in text
        for choice in (CONF / group).glob("*.yaml"):
            assert re.search(rf"\s{choice.stem}\*?\s", text), f"{group}={choice.stem}"


def test_help_marks_what_is_taken():
    """The stars are the choices that Hydra comes to, of groups that other groups set too."""
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig

    with initialize_config_dir(str(CONF), version_base="1.3"):
        HydraConfig.instance().set_config(compose("train", return_hydra_config=True))
    chosen = HydraConfig.get().runtime.choices
    lines = write_help("train").splitlines()
    for place, line in enumerate(lines):
        group = line[2:].partition(" ")[0]
        if line.startswith("  ") and group in chosen and (CONF / group).is_dir():
            starred = re.findall(r"(\w+)\*", " ".join(lines[place + 1 : place + 4]))
            assert (starred or [None])[0] == chosen[group] or chosen[group] is None, group


def test_help_and_the_raw_configuration_of_a_command(run_here):
    done = run_here("train.py", "--help")
    assert (done.code, done.text.splitlines()[2]) == (0, write_help("train").splitlines()[2])
    done = run_here("train.py", "--cfg", "job", "-p", "optimizer")
    assert (done.code, "_target_: torch.optim.Adam" in done.text) == (0, True)
