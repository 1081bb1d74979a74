"""Read what options mean: kinds, defaults, near misses, help; find conf/. Imports no torch."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CONF = next(path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if path.is_dir())  # in a wheel, in a checkout
