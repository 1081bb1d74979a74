"""What an option means: where conf/ lies, kinds of values, defaults, near misses, help. Imports no torch."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CONF = next(path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if path.is_dir())  # in a wheel, in a checkout
