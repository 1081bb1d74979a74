"""The style of all figures: colours, names that fit, and the files that a figure is written to."""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

RUN_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
RUN_STYLES = ("-", "--", ":", "-.")  # of the repetitions of an experiment
DPI = 150  # pixels of a PNG to an inch
LEAKY = "#A32A12"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "fer_lightning",
}


def save(figure: Figure, path: Path) -> Path:
    """Write a figure to a PNG file, and as SVG beside it; return the PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
        figure.set_layout_engine("none")  # it has found every place, which takes as long as drawing
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    return path


def run_color(number: int) -> str:
    """Return the colour of the run or experiment of a number."""
    return RUN_COLORS[number % len(RUN_COLORS)]


def share_axis(axis: Axis) -> None:
    """Let an axis show shares, with labels that do not touch."""
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")


def mark(axes: Axes, name: str, share: float, vertical: bool) -> None:
    """Draw a line at a share, and its name: above the axes where it is vertical, else at its right end."""
    line: dict[str, Any] = {"color": "#7F7F7F", "linestyle": ":", "linewidth": 1}
    text: dict[str, Any] = {"fontsize": 7, "color": "#5D6470"}
    if vertical:
        axes.axvline(share, **line)
        place: dict[str, Any] = {
            "rotation": 90,
            "ha": "center",
            "va": "bottom",
            "transform": axes.get_xaxis_transform(),
        }
        axes.text(share, 1.02, name, **place, **text)
    else:
        axes.axhline(share, **line)
        axes.text(1, share, name, ha="right", va="bottom", transform=axes.get_yaxis_transform(), **text)


def legend_columns(names: Sequence[str]) -> int:
    """Return how many columns of a legend fit side by side."""
    longest = max(len(line) for name in names for line in name.split("\n"))
    return max(1, min(4, 110 // (longest + 8)))


def legend_height(names: Sequence[str]) -> float:
    """Return the inches that a legend takes."""
    return 0.18 * -(-len(names) // legend_columns(names)) * max(name.count("\n") + 1 for name in names)


def short(name: str, length: int) -> str:
    """Return a name of at most so many letters."""
    return name if len(name) <= length else f"{name[: length - 3]}..."


def wrapped(name: str, width: int) -> str:
    """Return a name on three lines at most, its options without their groups, its paths without their folders."""
    name = re.sub(r"\b[\w.]*\.(\w+=)", r"\1", name)
    name = re.sub(r"=\S*/(?=[^/\s])", "=", name)
    return "\n".join(textwrap.wrap(name, width, max_lines=3, placeholder=" ...")) or name
