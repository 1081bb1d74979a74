"""The audit as a command: options as for train.py."""

import logging
from pathlib import Path

import hydra
from omegaconf import DictConfig

import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.config import CONF
from fer_lightning.launch.checks import check
from fer_lightning.launch.entry import run

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="audit")
def main(cfg: DictConfig) -> None:
    """Audit the faces and write audit.json, audit.html and audit.csv."""
    check(cfg, "audit")

    from fer_lightning.files import write_json
    from fer_lightning.report.audit import show, worst, write_files  # here, so that refusals do not wait for pictures
    from fer_lightning.report.html import write_page

    datamodule = hydra.utils.instantiate(cfg.data)
    found, folder = datamodule.audit, Path(cfg.paths.output_dir)
    report = found.report()
    show(found)
    write_json(folder / "audit.json", report)
    write_files(folder / "audit.csv", found)
    content = {"report": report, "classes": found.faces.classes, "sections": worst(found)}
    write_page(folder / "audit.html", "audit.html", title="Audit", **content)
    for logger in hydra.utils.instantiate(cfg.logger).values():
        logger.log_hyperparams({"audit": report})
        logger.log_metrics(found.figures())
        logger.finalize("success")
    log.info("written: %s/audit.html, audit.json, audit.csv", folder)


if __name__ == "__main__":
    run(main, "audit")
