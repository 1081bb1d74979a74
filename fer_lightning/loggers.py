"""The CSV of a run, continued where the run is."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from fer_lightning.files import write_text


class ContinuedCSVLogger(CSVLogger):
    """Lightning's CSV logger, which would delete the earlier rows of a run that goes on."""

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer, made when it is first used."""
        if self._experiment is None:
            self._experiment = ContinuedWriter(self.log_dir)
        return self._experiment


class ContinuedWriter(ExperimentWriter):
    """Rows are added to those of the file, and the file is replaced whole when a column is added."""

    def keep_until(self, step: int) -> None:
        """Drop the rows from a step on, and what a killed process left unfinished: they come again."""
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [
                    row for row in csv.DictReader(file) if (row["step"] or "").isdigit() and int(row["step"]) < step
                ]
            self._replace(rows)

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                self.metrics_keys = list(csv.DictReader(file).fieldnames or [])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        with Path(self.metrics_file_path).open(newline="", encoding="utf-8") as file:
            self._replace(list(csv.DictReader(file)))

    def _replace(self, rows: list[Mapping[str, str]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.metrics_keys, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        write_text(Path(self.metrics_file_path), text.getvalue())
