"""The colour and the marker of each class, in figures and pages; no matplotlib, whose import takes half a second.

The colours are those of M. Okabe and K. Ito (Color universal design, 2008), which colour-blind readers can tell apart;
maps use a marker of its own for each class besides.
"""

from collections.abc import Sequence
from itertools import cycle

from fer_lightning.data.faces import CLASSES

# The first seven are those of the seven classes that are known, in their order; other classes take what is left.
PALETTE = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#7F7F7F", "#0072B2", "#56B4E9", "#000000", "#F0E442")
MARKERS = "ovs^DPX*<>phd"


def class_colors(classes: Sequence[str]) -> dict[str, str]:
    """Return the colour of each class."""
    return _by_class(classes, PALETTE)


def class_markers(classes: Sequence[str]) -> dict[str, str]:
    """Return the marker of each class."""
    return _by_class(classes, MARKERS)


def _by_class(classes: Sequence[str], looks: Sequence[str]) -> dict[str, str]:
    """Return a look for each class, its own for each of the seven; from the first again where they run out."""
    known = dict(zip(CLASSES, looks, strict=False))
    free = [look for look in looks if look not in {known.get(name) for name in classes}]
    others = cycle(free or looks)
    return {name: known.get(name) or next(others) for name in classes}
