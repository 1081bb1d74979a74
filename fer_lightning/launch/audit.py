"""The audit of the faces, with the options of a training."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.verbs import verb
from fer_lightning.files import write_json
from fer_lightning.report.audit import print_audit, worst_cases, write_findings
from fer_lightning.report.html import write_page

log = logging.getLogger(__name__)


@verb("audit", "look at the faces before a training; takes options as train does")
def audit(cfg: DictConfig) -> None:
    """Audit the faces and write audit.json, audit.html and audit.csv."""
    result, folder = instantiate(cfg.data).audit, Path(cfg.paths.output_dir)
    report = result.report()
    print_audit(result)
    write_json(folder / "audit.json", report)
    write_findings(folder / "audit.csv", result)
    content = {"report": report, "classes": result.faces.classes, "sections": worst_cases(result)}
    write_page(folder / "audit.html", "audit.html", title="Audit", **content)
    for logger in instantiate(cfg.logger).values():
        logger.log_hyperparams({"audit": report})
        logger.log_metrics(result.figures())
        logger.finalize("success")
    log.info("written: %s/audit.html, audit.json, audit.csv", folder)
