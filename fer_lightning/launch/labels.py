"""The labels that a run does not believe, as a command: faces and network put together again from a checkpoint."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.config import CONF
from fer_lightning.data.classes import check_same, classes_of
from fer_lightning.errors import UserError
from fer_lightning.runs.command import quoted


def labels(run: Path, output: Path | None, root: str | None) -> None:
    """Judge the labels of a run's training folder, write labels.html and labels.csv, and say how many are doubted.

    Args:
        run: The run's folder.
        output: Folder of the files; the run's if None.
        root: Where the faces lie now, in place of the run's data.root; None where they have not moved.

    Raises:
        UserError: If the folder holds no checkpoint, it cannot be read, or the faces cannot.
    """
    checkpoint = run / "checkpoints" / "best.ckpt"
    if not checkpoint.is_file():
        raise UserError(f"{run} holds no checkpoints/best.ckpt: give the folder of a run that has trained")

    from fer_lightning.launch.schema.refusals import check_values
    from fer_lightning.models.weights import check_weights  # here, so that a refusal does not wait for torch
    from fer_lightning.runs.checkpoints import KEY, load, read_overrides
    from fer_lightning.use.doubts import summary, write_labels
    from fer_lightning.use.judgement import judge

    moved = [] if root is None else [f"data.root={quoted(Path(root))}"]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("eval", overrides=[*read_overrides(str(checkpoint)), *moved])
    check_values(cfg, "eval", carrier=str(checkpoint))
    datamodule, model = instantiate(cfg.data), instantiate(cfg.model)
    saved = load(str(checkpoint), "checkpoint")
    source = f"checkpoint={checkpoint}"
    check_same(classes_of(saved[KEY], source), datamodule.faces.classes, source)
    weights = saved["state_dict"]
    check_weights(model, weights, source)
    model.load_state_dict(weights)
    found = judge(model.eval(), model.classifier, datamodule.partition, datamodule.audit)
    folder = output or run
    write_labels(folder, run.absolute().name, found, datamodule.audit)
    print("\n".join([*summary(found, datamodule.audit), f"written: {folder}/labels.html, labels.csv"]))
