"""Print what lists of doubted labels hold of those that people call wrong: ours, by other scores, and by chance.

    python benchmarks/labels.py RUN fer2013new.csv

All scores are of the same votes, and from C. Northcutt et al., Confident learning, arXiv:1911.00068. Ours was chosen on
one half of the faces, and on other networks' answers to the contest's two held-out parts: "new" faces are neither.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from fer_lightning.config.instantiation import instantiate
from fer_lightning.data.crowd import contradicts
from fer_lightning.data.faces import CLASSES
from fer_lightning.use.bundles import read_checkpoint
from fer_lightning.use.judgement import FOLDS, embed, fold_votes, suspicion, weigh

TRAINING = 28709  # rows of fer2013.csv that are the contest's Training
FIRST = 1000


def confident_joint(votes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (M,) int64, the class in whose column of the confident joint each face is; the label itself if in none."""
    thresholds = np.array([votes[labels == label, label].mean() for label in range(votes.shape[1])])
    confident = np.where(votes >= thresholds, votes, -1)
    return np.where(confident.max(axis=1) >= 0, confident.argmax(axis=1), labels)


def lists(votes: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the order of each list, its likeliest wrong label first; (M,) positions, or fewer."""
    rows = np.arange(len(labels))
    believed, own, most = weigh(votes, labels)
    others = votes.copy()
    others[rows, labels] = -1
    margin = own - others.max(axis=1)
    off = np.flatnonzero(confident_joint(votes, labels) != labels)
    return {
        "labels": np.lexsort((own, -suspicion(labels, believed, own, most))),
        "self-confidence": np.lexsort((-most, own)),
        "margin": np.argsort(margin, kind="stable"),
        "confident joint, self-confidence": off[np.argsort(own[off], kind="stable")],
        "confident joint, margin": off[np.argsort(margin[off], kind="stable")],
        "chance": np.random.default_rng(0).permutation(len(labels)),
    }


def main(run: str, path: str) -> None:
    """Judge the training folder of a run, and print the tables."""
    torch.set_num_threads(1)
    (model, _), cfg = read_checkpoint(f"{run}/checkpoints/best.ckpt"), OmegaConf.load(Path(run) / "config.yaml")
    datamodule = instantiate(cfg.data, crowd=path)
    faces, partition, groups = datamodule.faces, datamodule.partition, datamodule.audit.twins.groups
    rows = np.flatnonzero(faces.splits == "train")
    labels, head = faces.labels[rows], np.unique(groups[rows], return_inverse=True)[1]
    votes = fold_votes(model.classifier, embed(model, faces, rows), labels, head, FOLDS)
    wrong = contradicts(faces.crowd[rows], labels)
    chosen_on = (head * 2654435761 % 1000 < 500) | (faces.rows[rows] >= TRAINING)
    unlearnt = ~np.isin(groups[rows], groups[partition.train])
    orders = lists(votes, labels)
    parts = {"all": rows >= 0, "new": ~chosen_on, "not learnt": unlearnt, "not learnt, new": unlearnt & ~chosen_on}
    for title, part in parts.items():
        first = round(FIRST * part.mean())
        print(f"{title}: {part.sum():,}, wrong by people {wrong[part].mean():.3f}; precision of the first {first}")
        for name, order in orders.items():
            order = order[part[order]]
            counts = np.bincount(labels[order[:first]], minlength=len(CLASSES))
            print(f"  {name:36} {wrong[order[:first]].mean():.3f}  {dict(zip(CLASSES, counts.tolist(), strict=True))}")
    believed = weigh(votes, labels)[0]
    for name, doubted in {
        "labels": believed != labels,
        "confident joint": confident_joint(votes, labels) != labels,
    }.items():
        print(f"doubted by {name}: {doubted.sum():,}; per class: precision, recall, wrong in the class")
        for label, wanted in {"all": labels >= 0, **{name: labels == at for at, name in enumerate(CLASSES)}}.items():
            hits = (wrong & doubted & wanted).sum()
            precision, recall = hits / max(1, (doubted & wanted).sum()), hits / max(1, (wrong & wanted).sum())
            print(f"  {label:9} {precision:.3f} {recall:.3f} {wrong[wanted].mean():.3f}")
    contradictory(faces, datamodule.audit.twins.identical, rows, believed)


def contradictory(faces, identical, rows, believed) -> None:
    """Print how often the class that is believed of contradictory identical twins is people's answer."""
    belief = dict(zip(rows, believed, strict=True))
    sided = agreed = groups = 0
    for head in np.unique(identical):
        members = np.flatnonzero(identical == head) if (identical == head).sum() > 1 else []
        if len(members) == 0 or len(set(faces.labels[members])) < 2:
            continue
        groups += 1
        votes = faces.crowd[members].sum(axis=0)
        side = int(votes.argmax())
        beliefs = [belief[row] for row in members if row in belief]
        if side in faces.labels[members] and (votes == votes.max()).sum() == 1 and beliefs:
            sided += 1
            agreed += np.bincount(beliefs).argmax() == side
    print(
        f"{groups} groups of identical twins with contradictory labels; people side with a label in {sided}, and the "
        f"network with people in {agreed} of them"
    )


if __name__ == "__main__":
    main(str(Path(sys.argv[1])), sys.argv[2])
