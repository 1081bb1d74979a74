"""Score a trained network on changed test faces: python -m fer_lightning stress."""

import logging
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.config import CONF
from fer_lightning.data.classes import check_same
from fer_lightning.launch.checks import check
from fer_lightning.launch.entry import run
from fer_lightning.words import number, percent

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="stress")
def main(cfg: DictConfig) -> None:
    """Write stress.json, stress.csv and a figure; where the checkpoint lies in its run, into that run's report too."""
    check(cfg, "stress")

    from fer_lightning.report import figures  # here, so that refusals do not wait for torch
    from fer_lightning.report.page import write_report
    from fer_lightning.report.stress import by_change, mean_remains, write_stress
    from fer_lightning.report.style import save
    from fer_lightning.runs.checkpoints import read_overrides
    from fer_lightning.runs.record import NAME, read_run
    from fer_lightning.use.model import load_model

    # The checkpoint's own settings first, then what this command line says.
    cfg = hydra.compose("stress", overrides=[*read_overrides(cfg.checkpoint), *HydraConfig.get().overrides.task])
    check(cfg, "stress", carrier=f"checkpoint={cfg.checkpoint}")
    stress, model = hydra.utils.instantiate(cfg.stress, _convert_="all"), load_model(cfg.checkpoint)
    partition = hydra.utils.instantiate(cfg.data).partition
    rows = stress.sample(partition.test, cfg.limit)
    faces = partition.faces
    check_same(model.classes, faces.classes, f"checkpoint={cfg.checkpoint}")
    outcomes = stress(model, faces.images[rows], faces.labels[rows], partition.groups[rows], cfg.batch_size)
    head = {"checkpoint": cfg.checkpoint, "data": faces.source, "faces": len(rows), "seed": cfg.stress.seed}
    folder, own = Path(cfg.paths.output_dir), Path(cfg.checkpoint).absolute().parents[1]
    folders = [folder, own] if (own / NAME).is_file() else [folder]
    for place in folders:
        write_stress(place, outcomes, head)
        save(figures.stress(outcomes), place / "figures" / "stress.png")
    plain, *_ = outcomes
    log.info("%d test faces as they are: %s", len(rows), percent(plain.accuracy))
    for name, found in by_change(outcomes).items():
        log.info("%-14s %s %%", name, ", ".join(number(outcome.accuracy) for outcome in found))
    log.info("on average %s of the accuracy remains", percent(mean_remains(outcomes)))
    if own in folders:
        write_report(own, [read_run(own)])
    log.info("written: %s", ", ".join(f"{place}/stress.json, stress.csv, figures/stress.png" for place in folders))


if __name__ == "__main__":
    run(main, "stress")
