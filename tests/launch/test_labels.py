"""The command labels finds the wrong labels of drawn faces."""

import re

import pytest
import torch

from fer_lightning.__main__ import main
from fer_lightning.data.corrections import read_corrections
from fer_lightning.runs.checkpoints import KEY
from fer_lightning.runs.record import read_record
from tests.conftest import options

QUICK = (  # finds the wrong labels of the synthetic faces: each plain and changed in an epoch, 30 s of one core
    "experiment=quickstart",
    "embedder=resnet48",
    "embedder.stem_channels=16",
    "embedder.widths=[32,64,128]",
    "data.image_size=32",
    "data.batch_size=32",
    "augmentation.copies=2",
    "augmentation.keep_original=true",
    "optimizer.lr=2e-3",
    "trainer.max_epochs=4",
    "trainer.check_val_every_n_epoch=4",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "classifier.k=60",
    "logger=csv",
    "~callbacks.media",
    "~callbacks.quick_validation",
    "hydra.callbacks.jobs.report=false",
)


LABELS = ("fer_lightning/__main__.py", "labels")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "checkpoint=nowhere does not exist: give logs/"),
        (["pretrained"], "checkpoint=pretrained is not of a run, whose training folder is judged: give the run's"),
        (["nowhere", "data.crowd=v.csv"], "checkpoint=nowhere does not exist"),
        (
            ["nowhere", "--crowd", "v.csv"],
            "--crowd is no option: options are written NAME=VALUE, did you mean data.crowd=v.csv?",
        ),
        (["nowhere", "--output", "out"], "did you mean output=out?"),
        (["nowhere", "--root", "faces"], "did you mean data.root=faces?"),
    ],
)
def test_mistake_is_one_sentence(run_here, arguments, words):
    done = run_here(*LABELS, *arguments)
    assert (done.code, "Traceback" in done.text) == (1, False)
    assert words in done.text.splitlines()[-1]


@pytest.mark.parametrize(
    ("own", "wrong", "faces", "least"),
    [
        (options("small", "tiny", "brief", "plain"), 15, 150, 0),
        pytest.param(QUICK, 210, 2100, 80, marks=pytest.mark.long),  # four in five of the first 210
    ],
    ids=["brief", "trained"],
)
def test_wrong_labels_of_the_drawn_faces_are_found(run_here, tmp_path, capfd, monkeypatch, own, wrong, faces, least):
    """The drawn faces know which labels are wrong; only a trained network finds most of them."""
    done = run_here("train.py", *own, "hydra.run.dir=run", "paths.cache_dir=cache")
    assert done.code == 0, done.text
    judging = (*LABELS, "run", "output=out", "paths.cache_dir=cache")
    if not least:
        near_chance = (
            r"error: .*run: its network is near chance: it believes \d+\.\d % of the 150 labels .* happy has 20\.7 %"
        )
        done = run_here(*judging)
        assert re.match(near_chance, done.text.splitlines()[-1])
        assert not (tmp_path / "out").exists()
        monkeypatch.setattr("fer_lightning.launch.labels.too_weak", lambda *_: "")
        content = torch.load("run/checkpoints/best.ckpt", weights_only=True)
        content[KEY]["overrides"].append("data.corrections=gone.csv")
        torch.save(content, "run/checkpoints/best.ckpt")
    said = run_here(*judging).text
    gone = "data.corrections=gone.csv is gone: the faces that it left out count as trained on"
    assert (gone in said) == (not least)
    assert "judging the labels of the training folder by run/checkpoints/best.ckpt" in said
    found = re.search(rf"{wrong} labels are known to be wrong: ([\d.]+) % of the first {wrong}", said)
    assert found, said
    assert float(found[1]) >= least
    corrections = read_corrections("out/corrections.csv")
    assert 0 < len(corrections.lines) < faces
    assert f"list {found[1]} % are wrong" in (tmp_path / "out/labels.html").read_text()
    assert (tmp_path / "out/figures/labels.png").is_file()
    assert not (tmp_path / "run/corrections.csv").exists()
    again = "out/corrections.csv exists already: give another folder by output=, or delete it"
    assert again in run_here(*judging).text
    if not least:  # train on the first of them; the network would leave whole classes out
        lines = (tmp_path / "out/corrections.csv").read_text().splitlines()
        (tmp_path / "out/corrections.csv").write_text("\n".join(lines[:21]))
        done = run_here(
            "train.py", *own, "hydra.run.dir=next", "paths.cache_dir=cache", "data.corrections=out/corrections.csv"
        )
        assert done.code == 0, done.text
        record, words = (
            read_record(tmp_path / "next").corrections,
            r"\(\w{8}\): (\d+) training faces relabelled, 0 left out, (\d+)",
        )
        assert record in done.text
        assert sum(map(int, re.search(words, record).groups())) == 20
        capfd.readouterr()
        main(["compare", "run", "next"])
        said = capfd.readouterr().out
        assert f"labels of run: not corrected\nlabels of next: {record}\n" in said
