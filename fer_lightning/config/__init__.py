"""Read what options mean: kinds, defaults, near misses, help; find conf/. Imports no torch."""

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CONF = next(path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if path.is_dir())  # in a wheel, in a checkout
CONFIG_DIR = re.compile(r"(-cd|--config-d\w*)=")  # as launch/arguments.py writes it


def user_folder() -> Path | None:
    """Return the folder of --config-dir, or None without it."""
    from hydra.core.hydra_config import HydraConfig  # here, because --help needs no Hydra

    if HydraConfig.initialized():
        sources = HydraConfig.get().runtime.config_sources
        return next((Path(source.path) for source in sources if source.provider == "command-line"), None)
    return next((Path(text.partition("=")[2]).absolute() for text in sys.argv if CONFIG_DIR.match(text)), None)


def find_files(group: str, name: str = "*") -> list[Path]:
    """Return the files of a group, or the one of a choice, in conf/ and in the folder of --config-dir."""
    folders = filter(None, (CONF, user_folder()))
    return [path for folder in folders for path in (folder / group).glob(f"{name}.yaml")]
