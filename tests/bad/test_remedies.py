"""Command lines of a new user: each message is one sentence, and its remedy is accepted when it is typed."""

import shlex
from types import SimpleNamespace

import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.launch import entry
from tests.bad.attempts import is_sentence
from tests.conftest import make_tree

# Typed | as the message corrects it. The words that are new in the correction stand in the message; without a
# correction the line is accepted as it is. BEST, RUN, FACES, DONE and PHOTO are made.
LINES = """
train data.root=~/my_faces
train data.root=FACES=1.zip | train 'data.root="FACES=1.zip"'
train embedder.pretrained=true | train embedder=timm embedder.pretrained=true
train +embedder.pretrained=true | train embedder=timm embedder.pretrained=true
train optimizer.momentum=0.9 | train optimizer=sgd optimizer.momentum=0.9
train +optimizer.momentum=0.9 | train optimizer=sgd optimizer.momentum=0.9
train loss.margin=0.5 loss=softmax | train loss=arcface loss.margin=0.5
train embedder=timm embedder.model=resnet18 | train embedder=timm embedder.model_name=resnet18
train embedder.model_name=resnet18 | train embedder=timm embedder.model_name=resnet18
train callbacks.early_stopping.patience=5 | train callbacks=early_stopping callbacks.early_stopping.patience=5
train checkpoint=BEST | train init_from=BEST
train ckpt_path=BEST | train init_from=BEST
train init_from=RUN
train init_from=None
train data.root=FACES data.classes=None | train data.root=FACES data.classes=SEVEN
train trainer.gradient_clip_val=None
train miner=None | train miner=none
train scheduler=null | train scheduler=constant
train logger=None | train logger=none
train data.val_split=0.2 | train protocol.validation_share=0.2
train trainer.max_time=00:12:00:00
train epochs=5 | train trainer.max_epochs=5
train --epochs=5 | train trainer.max_epochs=5
train --lr 0.1 | train optimizer.lr=0.1
train --batch-size 32 | train data.batch_size=32
train lr=0.1 | train optimizer.lr=0.1
train learning_rate=0.1 | train optimizer.lr=0.1
train batch_size=32 | train data.batch_size=32
train gpus=1 | train trainer.devices=1
train device=cpu | train trainer.accelerator=cpu
train fp16=bf16-mixed | train trainer.precision=bf16-mixed
train output_dir=here | train hydra.run.dir=here
train workers=0 | train data.num_workers=0
train wd=0.1 | train optimizer.weight_decay=0.1
train data.path=FACES | train data.root=FACES
train dataset=FACES | train data.root=FACES
train FACES | train data.root=FACES
train "optimizer={'lr': 0.01}" | train optimizer.lr=0.01
train optimizer=adan | train optimizer=adam
train optimizer=Adam | train optimizer=adam
train optimizer=3 | train optimizer=adam
train loss=tripelt | train loss=triplet
train experiment=quick | train experiment=quickstart
train experiment=paper | train experiment=paper_trial1
train optimizer=adam,sgd | train -m optimizer=adam,sgd
train hydra/launcher=joblb | train hydra/launcher=joblib
train trainer.min_epochs=2 | train +trainer.min_epochs=2
train CLIPPED | train CLIPPED optimizer.fused=false
train data.batch_size=17 sampler=balanced | train data.batch_size=16 sampler=balanced
train embedder.image_size=64 | train data.image_size=64
train seed=-1 | train seed=0
train data.batch_size=16.5 | train data.batch_size=16
train trainer.accelerator=gpu | train trainer=cpu
train data.root=nowhere | train data.root=null
train data.root= | train data.root=null
train init_from=nowhere | train init_from=BEST
train trainer.max_epoch=3 | train trainer.max_epochs=3
train classifier.neighbours=5 | train classifier.k=5
train n_neighbors=5 | train classifier.k=5
train augment=none | train augmentation=none
train data.augmentation=none | train augmentation=none
train model=resnet18 | train model=metric_learning
train loss=null | train loss=softmax
eval | eval checkpoint=BEST
eval RUN
eval BEST
eval ckpt_path=BEST | eval checkpoint=BEST
eval model=BEST | eval checkpoint=BEST
eval checkpoint=latest
train init_from=pretrained
eval checkpoint=nowhere.ckpt | eval checkpoint=BEST
predict BEST PHOTO
predict RUN PHOTO
predict model=BEST input=PHOTO | predict checkpoint=BEST input=PHOTO
predict checkpoint=BEST source=PHOTO | predict checkpoint=BEST input=PHOTO
predict checkpoint=BEST images=PHOTO | predict checkpoint=BEST input=PHOTO
predict input=PHOTO
predict PHOTO
predict checkpoint=BEST | predict checkpoint=BEST input=PHOTO
predict BEST PHOTO detector=haar | predict BEST PHOTO detector=none
predict BEST PHOTO batch=2 | predict BEST PHOTO batch_size=2
predict BEST PHOTO every=0 | predict BEST PHOTO every=1
predict BEST PHOTO hydra.run.dir=DONE | predict BEST PHOTO hydra.run.dir=here
predict BEST PHOTO more | predict checkpoint=BEST input=PHOTO
audit FACES
audit data=FACES | audit data.root=FACES
audit root=FACES | audit data.root=FACES
stress RUN
export RUN
export RUN format=onx | export RUN format=onnx
export RUN gallery=kmean | export RUN gallery=kmeans
app
app RUN
app bundle=BEST | app checkpoint=BEST
"""


def accepted(typed: str, run_here, reached: list[str]) -> tuple[str, bool]:
    """Return the message of a command line, and whether the command line comes as far as its verb."""
    verb, *arguments = shlex.split(typed)
    script = f"{verb}.py" if verb in ("train", "eval") else "fer_lightning/__main__.py"
    del reached[:]
    try:
        done = run_here(script, *([] if verb in ("train", "eval") else [verb]), *arguments)
    except Exception as error:
        return f"Traceback of {error!r}", False
    return done.text, done.code == 0 and set(reached) == {verb}


@pytest.fixture
def type_line(run_here, monkeypatch, tmp_path, checkpoint):
    """Return a function that types a line; each verb of Hydra's ends where its work would begin."""
    reached: list[str] = []
    monkeypatch.setenv("HOME", str(tmp_path))
    run = tmp_path / "logs/train/runs/one"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints/best.ckpt").write_bytes(checkpoint.read_bytes())
    (tmp_path / "done").mkdir()
    (tmp_path / "done/predictions.csv").write_text("file\n")
    make_tree(tmp_path / "my_faces", 1)
    make_tree(tmp_path / "my_faces=1.zip", 1)
    names = {"BEST": run / "checkpoints/best.ckpt", "RUN": run, "FACES": "my_faces", "DONE": "done"}
    names["SEVEN"] = f"[{','.join(CLASSES)}]"
    names["CLIPPED"] = "trainer.gradient_clip_val=1 trainer.precision=bf16-mixed"
    names["PHOTO"] = tmp_path / "my_faces/train/sad/0.png"
    work = {verb.function: (lambda cfg, name=name: reached.append(name)) for name, verb in entry.verbs().items()}
    monkeypatch.setattr(entry, "import_module", lambda _: SimpleNamespace(**work))

    def answer(line: str) -> tuple[str, bool]:
        for name, path in names.items():
            line = line.replace(name, str(path))
        return accepted(line, run_here, reached)

    return answer


@pytest.mark.attack
def test_command_lines_of_a_new_user(type_line, tally):
    for line in LINES.strip().splitlines():
        typed, _, remedy = (part.strip() for part in line.partition(" | "))
        text, right = type_line(typed)
        if remedy:
            sentence = text.splitlines()[-1] if text else ""
            new = {word.partition("=")[0] for word in set(shlex.split(remedy)) - set(shlex.split(typed))}
            right = not right and sentence.startswith("error: ") and is_sentence(sentence, *new)
            if right:
                text, right = type_line(remedy)
        tally.judge(line, right, text[-600:])
