"""Predictions that were made elsewhere, judged like those of a run."""

import logging
import shlex
from pathlib import Path

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.verbs import verb
from fer_lightning.data.datamodule import FacesDataModule
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import Calibration
from fer_lightning.models.metrics import classification_metrics, present_alone
from fer_lightning.report.page import write_report
from fer_lightning.report.peers import Peer, has_seen, read_peer
from fer_lightning.report.ranking import rank_runs
from fer_lightning.report.results import Tested, test_figures, write_results
from fer_lightning.report.tables import leaderboard
from fer_lightning.runs.command import WHOLE, key, quoted
from fer_lightning.runs.record import Record, Status, read_run
from fer_lightning.words import percent

log = logging.getLogger(__name__)


@verb("score", "score predictions that were made elsewhere, and say what they rest on")
def score(cfg: DictConfig) -> None:
    """Write the files of a test for each csv of predictions, and the report of all."""
    datamodule, output = instantiate(cfg.data), Path(cfg.paths.output_dir)
    paths = [Path(path) for path in cfg.predictions]
    if len({path.stem for path in paths}) < len(paths):
        raise UserError("predictions= names two files of one name: rename one, for each gets a folder of its name")
    faces = datamodule.faces
    peers = [read_peer(str(path), faces.classes, faces.names.tolist(), faces.rows) for path in paths]
    folders = [output / path.stem for path in paths] if len(paths) > 1 else [output]
    for folder, path, peer in zip(folders, paths, peers, strict=True):
        log.info("%s: %d faces", path, (peer.predictions >= 0).sum())
        _score(folder, path, peer, datamodule)
    runs = [read_run(folder) for folder in folders]
    if len(runs) > 1:
        for run in runs:
            write_report(run.folder, [run])
        log.info("%s", leaderboard(rank_runs(runs)), extra=WHOLE)
    write_report(output, runs)
    log.info("results: %s (report.html, figures/, metrics.json, predictions.csv, slices.csv)", output)


def _score(folder: Path, path: Path, peer: Peer, datamodule: FacesDataModule) -> None:
    """Write the files of a test for the predictions of one network."""
    faces, partition = datamodule.faces, datamodule.partition
    rows, training, validation = map(peer.answered, (partition.test, partition.train, partition.validation))
    if not len(rows):
        raise UserError(
            f"predictions={path} predicts none of the {len(partition.test):,} faces outside the training: name the "
            "training faces by trained_on=, or give trained_on=null"
        )
    labels, predictions = faces.labels[rows], peer.predictions[rows]
    votes, shares = (None if column is None else column[rows] for column in (peer.votes, peer.shares))
    absent = [name for label, name in enumerate(faces.classes) if label not in labels]
    metrics = classification_metrics(faces.classes).clone(prefix="test/")
    values = metrics(torch.from_numpy(predictions), torch.from_numpy(labels))
    figures = {name: value.item() for name, value in present_alone(values, "test/", faces.classes, absent).items()}
    tested = Tested(
        rows=rows,
        labels=labels,
        predictions=predictions,
        votes=votes,
        raw_votes=votes,
        abstained=np.zeros(len(labels), np.int64),
        absent=absent,
        shares=shares,
    )
    figures |= test_figures(datamodule, tested, Calibration())
    learnt, chosen = (peer.predictions[part] == faces.labels[part] for part in (training, validation))
    for name, right in (("train", learnt), ("val", chosen)):
        if len(right):
            figures[f"{name}/accuracy"] = float(right.mean())
    alarm = has_seen(learnt, predictions == labels)
    options = [option for option in HydraConfig.get().overrides.task if key(option) != "predictions"]
    record = Record(
        status=Status.COMPLETED,
        overrides=shlex.join([f"predictions=[{quoted(path)}]", *options]),
        objective="test/accuracy",
        figures=figures,
        predictions=str(path),
        too_good=alarm and f"{path.name} {alarm}",
    )
    write_results(folder, record, datamodule, tested)
    if peer.unknown:
        log.info("%d lines of %s are about other faces than those of %s", peer.unknown, path, faces.source)
    if len(learnt):
        log.info("of the training faces %s of %d are right", percent(learnt.mean()), len(learnt))
    elif partition.measurable:
        log.info("whether the network has seen the test faces is unknown: %s answers no training face", path)
