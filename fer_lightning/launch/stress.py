"""The stress test: the score of a trained network on changed test faces."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.verbs import verb
from fer_lightning.data.classes import check_same
from fer_lightning.launch.checks import check
from fer_lightning.launch.history import judge
from fer_lightning.launch.trained import over_checkpoint
from fer_lightning.report.figures import draw_stress
from fer_lightning.report.page import write_report
from fer_lightning.report.stress import by_change, mean_remains, write_stress
from fer_lightning.report.style import save
from fer_lightning.runs.checkpoints import fingerprint
from fer_lightning.runs.record import read_run, read_tested, run_of
from fer_lightning.use.bundles import TorchBackend, read_checkpoint
from fer_lightning.use.model import Model
from fer_lightning.words import number, percent

log = logging.getLogger(__name__)


@verb("stress", "score a trained network's test faces in the dark, blurred, turned, covered")
def stress(cfg: DictConfig) -> None:
    """Write stress.json, stress.csv and a figure; also into the run that tested these weights, and its report."""
    cfg = over_checkpoint(cfg)
    check(cfg, "stress")
    test, (network, description) = instantiate(cfg.stress, _convert_="all"), read_checkpoint(cfg.checkpoint)
    model, weights = Model(TorchBackend(network), description), fingerprint(network.state_dict())
    datamodule = instantiate(cfg.data)
    check_same(model.classes, datamodule.faces.classes, f"checkpoint={cfg.checkpoint}")
    judge(datamodule, cfg.checkpoint)
    partition = datamodule.partition
    rows = test.sample(partition.test, cfg.limit)
    faces = partition.faces
    outcomes = test(model, faces.images[rows], faces.labels[rows], partition.groups[rows], cfg.batch_size)
    head = {"checkpoint": cfg.checkpoint, "data": faces.source, "faces": len(rows), "seed": cfg.stress.seed}
    head["weights"] = weights
    folders, run = [Path(cfg.paths.output_dir)], run_of(cfg.checkpoint)
    if read_tested(cfg.checkpoint, weights).weights:
        folders.append(run)
    else:
        log.info("checkpoint=%s lies in no run that tested it, so no report shows this stress test", cfg.checkpoint)
    for folder in folders:
        write_stress(folder, outcomes, head)
        save(draw_stress(outcomes), folder / "figures" / "stress.png")
    log.info("%d test faces as they are: %s", len(rows), percent(outcomes[0].accuracy))
    for name, strengths in by_change(outcomes).items():
        log.info("%-14s %s %%", name, ", ".join(number(outcome.accuracy) for outcome in strengths))
    log.info("on average %s of the accuracy remains", percent(mean_remains(outcomes)))
    if run in folders:
        write_report(run, [read_run(run)])
    log.info("written: %s", ", ".join(f"{folder}/stress.json, stress.csv, figures/stress.png" for folder in folders))
