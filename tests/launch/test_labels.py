"""The command labels finds the wrong labels of drawn faces."""

import re

import pytest

from fer_lightning.__main__ import main
from fer_lightning.data.corrections import read_corrections
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


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    best = tmp_path / "checkpoints/best.ckpt"
    for run in (tmp_path, best, f"checkpoint={best}"):
        with pytest.raises(SystemExit, match=f"^error: {best} does not exist: give the folder or"):
            main(["labels", str(run)])
    best.parent.mkdir()
    best.write_text("")
    with pytest.raises(SystemExit, match=r"^error: --crowd=v\.csv does not exist: give FER"):
        main(["labels", str(tmp_path), "--crowd", "v.csv"])


@pytest.mark.parametrize(
    ("own", "wrong", "faces", "least"),
    [
        (options("small", "tiny", "brief", "plain"), 15, 150, 0),
        pytest.param(QUICK, 210, 2100, 80, marks=pytest.mark.long),  # four in five of the first 210
    ],
    ids=["brief", "trained"],
)
def test_wrong_labels_of_the_drawn_faces_are_found(
    run_here, tmp_path, capfd, caplog, monkeypatch, own, wrong, faces, least
):
    """The drawn faces know which labels are wrong; only a trained network finds most of them."""
    caplog.set_level("INFO", "fer_lightning")  # the command sets it too, and here it is set back
    done = run_here("train.py", *own, "hydra.run.dir=run", "paths.cache_dir=cache")
    assert done.code == 0, done.text
    if not least:
        near_chance = (
            r"error: .*run: its network is near chance: it believes \d+\.\d % of the 150 labels .* happy has 20\.7 %"
        )
        with pytest.raises(SystemExit, match=near_chance):
            main(["labels", "run", "--output", "out"])
        assert not (tmp_path / "out").exists()
        monkeypatch.setattr("fer_lightning.use.doubts.too_weak", lambda *_: "")
    main(["labels", "run", "--output", "out"])
    said = capfd.readouterr().out
    assert caplog.messages[0] == "loading torch"
    assert "judging the labels of the training folder by run/checkpoints/best.ckpt" in caplog.messages
    found = re.search(rf"{wrong} labels are known to be wrong: ([\d.]+) % of the first {wrong}", said)
    assert found, said
    assert float(found[1]) >= least
    corrections = read_corrections("out/corrections.csv")
    assert 0 < len(corrections) < faces
    assert f"list {found[1]} % are wrong" in (tmp_path / "out/labels.html").read_text()
    assert (tmp_path / "out/figures/labels.png").is_file()
    assert not (tmp_path / "run/corrections.csv").exists()
    with pytest.raises(SystemExit, match=r"out/corrections.csv exists already: give another folder by --output, or"):
        main(["labels", "run", "--output", "out"])
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
