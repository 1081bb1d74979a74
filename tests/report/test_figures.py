"""The figures of a report: what is drawn of which run."""

import pytest

from fer_lightning.report.figures import crowd, plots, risk_coverage
from fer_lightning.report.ranking import rank_runs
from fer_lightning.runs.record import Record, Run, Status


def test_run_from_before_votes_were_calibrated_has_its_curve(tmp_path):
    (tmp_path / "predictions.csv").write_text("label,prediction,vote\nfear,fear,0.9\nsad,fear,0.6\n")
    run = Run(tmp_path, Record(Status.COMPLETED, data="d", protocol="p", figures={"test/accuracy": 0.5}))
    figures = {plot.name: plot for plot in plots(rank_runs([run]))}
    assert "reliability" not in figures
    assert "ring" not in figures["risk_coverage"].text
    assert "abstained" not in figures["risk_coverage"].text
    assert figures["risk_coverage"].draw().axes[0].lines[0].get_ydata().tolist() == [0, 0.5]


@pytest.mark.parametrize(("wrong", "top"), [(1, 0.3), (2, 0.6), (4, 1.0)])
def test_risk_ends_at_100_percent_and_a_legend_covers_nothing(tmp_path, wrong, top):
    rows = "".join(f"fear,{'sad' if face < wrong else 'fear'},0.{face + 1}\n" for face in range(4))
    (tmp_path / "predictions.csv").write_text(f"label,prediction,vote\n{rows}")
    board = rank_runs([Run(tmp_path, Record(Status.COMPLETED, data="d", protocol="p", figures={"test/accuracy": 0.5}))])
    figure = risk_coverage(board).draw()
    figure.draw_without_rendering()
    assert figure.axes[0].get_ylim() == (0, pytest.approx(top))
    assert not figure.legends[0].get_window_extent().overlaps(figure.axes[0].bbox)


ANSWERED = {"val/confidence_threshold": 0.625, "val/answered": 0.5, "val/accuracy_answered": 0.9}


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        (
            {"val/accuracy_reachable": 0.863},
            "above 86.3 %, the highest accuracy of any threshold on the validation faces.",
        ),
        (
            ANSWERED,
            "its vote is 62.5 % at least. The validation faces chose this: 50.0 % of them are answered, 90.0 % of",
        ),
        (ANSWERED | {"val/distance_threshold": 0.4}, "62.5 % at least and the nearest training face near enough. The"),
    ],
)
def test_sentence_on_abstention_stands_in_the_report(tmp_path, figures, sentence):
    (tmp_path / "predictions.csv").write_text("label,prediction,vote\nfear,fear,0.9\nsad,fear,0.6\n")
    board = rank_runs([Run(tmp_path, Record(Status.COMPLETED, data="d", protocol="p", figures=figures))])
    plot = risk_coverage(board)
    assert plot.title == "Risk-coverage curve"
    assert sentence in plot.text


def test_what_people_see_stands_beside_the_network(tmp_path):
    rows = ("fear,fear,fear,1.0", "fear,sad,sad,0.8", "sad,sad,other,0.6", "sad,sad,,0.5", "fear,sad,fear,0.9")
    (tmp_path / "predictions.csv").write_text("\n".join(["label,prediction,crowd,agreement", *rows]))
    names = ("accuracy_crowd", "crowd_gives_label", "crowd_one_with_others", "rank_crowd", "rank_crowd_label")
    figures = {f"test/{name}": 0.5 for name in (*names, "cross_entropy_crowd", "entropy_crowd")}
    record = Record(Status.COMPLETED, classes=["fear", "sad", "calm"], figures=figures)
    plot = crowd(rank_runs([Run(tmp_path, record)]))
    assert plot.text.startswith("The 4 test faces on which people do not tie. Their answer is the label in 50.0 %")
    assert "Where 80 %" not in plot.text
    by_agreement, by_label = plot.draw().axes[:2]
    names = [tick.get_text() for tick in by_agreement.get_yticklabels()]
    assert names == ["60 % (1)", "80 % (1)", "90 % (1)", "all (1)"]
    people, label, answer = (line.get_xdata().tolist() for line in by_agreement.lines)
    assert (people, label, answer) == ([0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1])
    assert [tick.get_text() for tick in by_label.get_yticklabels()] == ["fear (3)", "sad (1)"]
    figures |= {"test/accuracy_agreed": 0.9, "test/accuracy_crowd_agreed": 0.7}
    assert "in 90.0 % and their answer in 70.0 %." in crowd(rank_runs([Run(tmp_path, record)])).text
    assert crowd(rank_runs([Run(tmp_path, Record(Status.COMPLETED))])) is None
