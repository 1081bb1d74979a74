"""The figures of a report: what is drawn of which run."""

from fer_lightning.report.figures import plots
from fer_lightning.report.ranking import rank_runs
from fer_lightning.runs.record import Record, Run, Status


def test_run_from_before_votes_were_calibrated_has_its_curve(tmp_path):
    (tmp_path / "predictions.csv").write_text("label,prediction,vote\nfear,fear,0.9\nsad,fear,0.6\n")
    run = Run(tmp_path, Record(Status.COMPLETED, data="d", protocol="p", figures={"test/accuracy": 0.5}))
    figures = {plot.name: plot for plot in plots(rank_runs([run]))}
    assert "reliability" not in figures
    assert "ring" not in figures["risk_coverage"].text
    assert figures["risk_coverage"].draw().axes[0].lines[0].get_ydata().tolist() == [0, 0.5]
