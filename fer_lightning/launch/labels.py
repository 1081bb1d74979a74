"""The labels of a run's training folder that its network does not believe."""

import logging
import sys
from pathlib import Path

import fer_lightning.config.resolvers  # noqa: F401  registers the functions that conf/ calls
from fer_lightning.config.verbs import verb
from fer_lightning.data.votes import read_votes
from fer_lightning.errors import UserError
from fer_lightning.launch.console import Printable
from fer_lightning.launch.trained import trained_run

log = logging.getLogger(__name__)


@verb(
    "labels",
    "list the labels of the training folder that a run's network does not believe",
    {
        "run": {"metavar": "RUN", "help": "folder or checkpoint of a run"},
        "--output": {"help": "folder of labels.html and corrections.csv; RUN unless given"},
        "--root": {"help": "folder, .zip or .csv of the faces, where they are no longer at the run's data.root"},
        "--crowd": {"help": "FER+'s fer2013new.csv: how many of the labels people call wrong"},
    },
)
def labels(run: Path, output: Path | None, root: str | None, crowd: str | None) -> None:
    """Judge the labels of a run's training folder and write labels.html and corrections.csv."""
    run = Path(str(run).removeprefix("checkpoint=")).expanduser()  # as other verbs take it
    checkpoint = run if run.suffix == ".ckpt" else run / "checkpoints" / "best.ckpt"
    run = checkpoint.absolute().parent.parent
    if not checkpoint.is_file():
        raise UserError(f"{checkpoint} does not exist: give the folder or a checkpoint of a run that has trained")
    folder = output or run
    if (folder / "corrections.csv").exists():  # it may have been edited, and a run may train with it
        raise UserError(f"{folder}/corrections.csv exists already: give another folder by --output, or delete it")
    if crowd is not None:
        read_votes(crowd, "--crowd")

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Printable("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("fer_lightning").setLevel(logging.INFO)
    log.info("loading torch")
    from fer_lightning.use.doubts import too_weak, write_labels  # here, so that a refusal does not wait
    from fer_lightning.use.judgement import judge

    datamodule, model = trained_run(str(checkpoint), {"data.root": root, "data.crowd": crowd})
    log.info("judging the labels of the training folder by %s", checkpoint)
    judgement = judge(model, model.classifier, datamodule.partition, datamodule.audit)
    if weak := too_weak(judgement, datamodule.faces.classes):
        raise UserError(f"{run}: {weak}")
    lines = write_labels(folder, run.absolute().name, judgement, datamodule.audit)
    print("\n".join([*lines, f"written: {folder}/labels.html, corrections.csv"]))
