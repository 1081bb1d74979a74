"""The style of figures and pages: colours, markers, short names, axes, and the files of a figure.

matplotlib takes half a second to import, so only the functions that need it import it.
"""

import re
import textwrap
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_lightning.data.faces import CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Colours of M. Okabe and K. Ito (Color universal design, 2008), for colour-blind readers. The first seven belong to
# the seven classes of FER2013, in their order; other classes take those that are free.
CLASS_COLORS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#7F7F7F", "#0072B2", "#56B4E9", "#000000", "#F0E442")
CLASS_MARKERS = "ovs^DPX*<>phd"
RUN_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
RUN_STYLES = ("-", "--", ":", "-.")  # of the repetitions of an experiment
LEAKY, GREY, GRID = "#A32A12", "#7F7F7F", "#E5E7EB"
DPI = 150  # pixels of a PNG to an inch
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "fer_lightning",
}


def by_class(classes: Sequence[str], choices: Sequence[str]) -> dict[str, str]:
    """Return a colour or marker for each class: fixed for the seven, a free one for others, repeated if too few."""
    fixed = dict(zip(CLASSES, choices, strict=False))
    used = {fixed[name] for name in classes if name in fixed}
    free = cycle([choice for choice in choices if choice not in used] or choices)
    return {name: fixed[name] if name in fixed else next(free) for name in classes}


def run_color(number: int) -> str:
    """Return the colour of a run or experiment, by its number."""
    return RUN_COLORS[number % len(RUN_COLORS)]


def new_figure(width: float, height: float) -> "tuple[Figure, Axes]":
    """Return a figure of that many inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def new_grid(
    panels: int, width: float, height: float, least_width: float = 0.0, legend: float = 0.0, sharey: bool = False
) -> "tuple[Figure, Any]":
    """Return a figure with three panels in a row, and its grid of axes. Sizes are in inches, of one panel."""
    from matplotlib.figure import Figure

    columns, rows = min(3, max(1, panels)), max(1, -(-panels // 3))
    figure = Figure(figsize=(max(least_width, width * columns), height * rows + legend), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    for axes in grid.flat[panels:]:
        axes.set_axis_off()
    return figure, grid


def save(figure: "Figure", path: Path) -> Path:
    """Write a figure as a PNG file, and as SVG beside it; return the PNG's path."""
    from matplotlib import rc_context

    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
        figure.set_layout_engine("none")  # the layout is done, and takes as long as drawing
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    return path


def share_axis(*axes: "Axis") -> None:
    """Show shares as percentages on some axes, with labels that do not touch."""
    from matplotlib.ticker import MaxNLocator

    for axis in axes:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")


def draw_reference(axes: "Axes", name: str, share: float, vertical: bool, va: str = "center") -> None:
    """Draw a dotted line at a share and write its name outside the axes, where it covers nothing."""
    line: dict[str, Any] = {"color": GREY, "linestyle": ":", "linewidth": 1}
    text: dict[str, Any] = {"fontsize": 7, "color": "#5D6470"}
    if vertical:
        axes.axvline(share, **line)
        axes.text(
            share, 1.02, name, rotation=90, ha="center", va="bottom", transform=axes.get_xaxis_transform(), **text
        )
    else:
        axes.axhline(share, **line)
        axes.text(1.02, share, name, ha="left", va=va, transform=axes.get_yaxis_transform(), **text)


def legend_columns(names: Sequence[str]) -> int:
    """Return how many columns of a legend fit side by side."""
    longest = max(len(line) for name in names for line in name.split("\n"))
    return max(1, min(4, 110 // (longest + 8)))


def legend_height(names: Sequence[str]) -> float:
    """Return the height of a legend in inches."""
    rows = -(-len(names) // legend_columns(names))
    return 0.18 * rows * max(name.count("\n") + 1 for name in names)


def short(name: str, length: int) -> str:
    """Cut a name to at most ``length`` letters."""
    return name if len(name) <= length else f"{name[: length - 3]}..."


def wrapped(name: str, width: int) -> str:
    """Wrap a name to at most three lines; drop the groups of its options and the folders of its paths."""
    name = re.sub(r"\b[\w.]*\.(\w+=)", r"\1", name)
    name = re.sub(r"=\S*/(?=[^/\s])", "=", name)
    return "\n".join(textwrap.wrap(name, width, max_lines=3, placeholder=" ...")) or name
