"""Draw the gain of a leak: accuracy against the number of pictures trained on, honest and leaky.

    python docs/figures/leak.py HONEST_RUN LEAKY_RUN

Both are folders of runs of ``experiment=best``. The figure shows no face.
"""

import sys
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from fer_lightning.report.style import LEAKY, RUN_COLORS, STYLE, save, share_axis
from fer_lightning.runs.record import Run, read_run
from fer_lightning.words import percent

PEOPLE = 0.65  # accuracy of people on FER2013 (I. J. Goodfellow et al., arXiv:1307.0414)
CLAIM = 0.9993  # the paper's mean


def main(honest: Path, leaky: Path) -> None:
    """Write leak.png and leak.svg beside this file."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot()
        curve(axes, read_run(leaky), LEAKY, "protocol=paper: test pictures, which also choose the checkpoint")
        curve(axes, read_run(honest), RUN_COLORS[0], "protocol=honest: validation faces")
        test = read_run(honest).figures["test/accuracy"]
        axes.plot([axes.lines[-1].get_xdata()[-1]], [test], "D", color=RUN_COLORS[0])
        axes.annotate(f"test faces, once: {percent(test)}", (axes.lines[-1].get_xdata()[-1], test), (-8, 10), **RIGHT)
        for name, share in (("people 65 %", PEOPLE), ("the paper's claim 99.93 %", CLAIM)):
            axes.axhline(share, color="#7F7F7F", linestyle=":", linewidth=1)
            axes.annotate(name, (0, share), (4, -9), textcoords="offset points", fontsize=7, color="#5D6470")
        axes.set_xlabel("pictures trained on")
        axes.set_ylabel("accuracy")
        axes.xaxis.set_major_formatter(lambda pictures, _: f"{pictures:,.0f}")
        axes.set_xlim(0)
        axes.set_ylim(0.5, 1.02)
        share_axis(axes.yaxis)
        axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.9))
        save(figure, Path(__file__).parent / "leak.png")


RIGHT = {"textcoords": "offset points", "ha": "right", "fontsize": 8, "color": RUN_COLORS[0]}


def curve(axes, run: Run, color: str, name: str) -> None:
    """Draw the exact validations of a run."""
    steps, accuracy = run.history["val/accuracy"]
    pictures = (steps + 1) * run.record.settings["batch_size"]
    axes.plot(pictures, accuracy, "o-", color=color, label=name, markersize=4)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
