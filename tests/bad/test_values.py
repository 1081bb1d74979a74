"""Wrong values: each is refused in one sentence that names its option, before torch is imported and data are read."""

import copy
from collections.abc import Iterator
from functools import cache

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from fer_lightning.config import CONF
from fer_lightning.config.agreement import scores
from fer_lightning.config.commands import class_options, group_targets, meanings, nodes
from fer_lightning.config.signatures import signature
from fer_lightning.data import faces
from fer_lightning.launch.checks import check
from fer_lightning.launch.messages import explain
from tests.conftest import SMALL, options

FAST = options("small", "plain", "debug=fast")


@cache
def composed(command: str, folder: str, *choices: str) -> DictConfig:
    """Compose once for all cases that choose the same files."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        place = [f"hydra.runtime.output_dir={folder}", "hydra.job.num=0"]
        return compose(command, [*SMALL, *place, *choices], return_hydra_config=True)


@cache
def without_hydra(command: str, folder: str, *choices: str) -> DictConfig:
    """Return the configuration that ``composed`` makes, without Hydra's own node."""
    cfg = copy.deepcopy(composed(command, folder, *choices))
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


@pytest.fixture(scope="module")
def refusal(tmp_path_factory):
    """Return what is said of some options, or None where they are accepted: composed and checked, nothing else."""
    folder = str(tmp_path_factory.mktemp("run"))

    def said(*given: str, command: str = "train") -> str | None:
        parsed = OverridesParser.create().parse_overrides(list(given))
        values = [one for one in parsed if not (CONF / one.key_or_group).is_dir() and not one.is_delete()]
        choices = [str(one.input_line) for one in parsed if one not in values]
        HydraConfig.instance().set_config(composed(command, folder, *choices))  # a run in between leaves none
        cfg = copy.deepcopy(without_hydra(command, folder, *choices))
        try:
            for one in values:
                OmegaConf.update(cfg, one.key_or_group, one.value(), force_add=one.is_add())
            check(cfg, command)
        except Exception as error:
            return explain(error, command) or f"Traceback of {error!r}"
        return None

    return said


REFUSED = """
seed=-1                                 | seed=-1 must be a whole number from 0 to 4294967295
seed=1.5                                | seed=1.5 must be a whole number
seed=null                               | seed=null must be a whole number
seed=nan                                | seed=nan must be a whole number
seed=99999999999999999999               | must be a whole number from 0 to 4294967295
data.drawn.count=3                      | data.drawn.count=3 must be a whole number, 100 or more, such as 2800
data.drawn.count=-1                     | 100 or more
data.drawn.count=100.7                  | 100 or more
data.drawn.count=null                   | 100 or more
data.drawn.count=99999999999            | data.drawn.count=99999999999 must be at most 466033
data.drawn=null                         | data.drawn=null must be a node
data.drawn.wrong_label_share=2          | must be a number from 0 to 1
data.drawn.wrong_label_share=nan        | data.drawn.wrong_label_share=nan must be a number from 0 to 1
data.drawn.seed=-1                      | data.drawn.seed=-1 must be
protocol.seed=-1                        | protocol.seed=-1 must be
protocol.seed=1.5                       | protocol.seed=1.5 must be
protocol.validation_share=0             | must be a number above 0 and below 1
protocol.validation_share=1             | must be a number above 0 and below 1
protocol=kfold protocol.fold=1.5        | protocol.fold=1.5 must be a whole number
protocol=kfold protocol.fold=5          | protocol.fold=5 must be a number from 0 to 4
protocol=kfold protocol.folds=1         | protocol.folds=1 must be a whole number, 2 or more
protocol=paper protocol.test_share=1    | protocol.test_share=1 must be
augmentation.seed=-1                    | augmentation.seed=-1 must be
augmentation.copies=-1                  | augmentation.copies=-1 must be a whole number from 1
augmentation.copies=1.5                 | augmentation.copies=1.5 must be
augmentation.transforms.0.p=2           | augmentation.transforms.0.p=2 must be a number from 0 to 1
augmentation.transforms=null            | augmentation.transforms=null must be a list
data.eval_batch_size=0                  | data.eval_batch_size=0 must be a whole number, 1 or more
data.eval_batch_size=-5                 | 1 or more
data.eval_batch_size=1.5                | 1 or more
data.eval_batch_size=null               | 1 or more
data.batch_size=16.0                    | data.batch_size=16.0 must be a whole number, 2 or more, such as 16
data.batch_size=null                    | data.batch_size=null must be a whole number
data.batch_size=abc                     | data.batch_size=abc must be a whole number
data.classes=null                       | data.classes=null must be a list of names
data.classes=happy                      | data.classes=happy must be a list of names
data.classes=[1,2]                      | data.classes=[1,2] must be a list of names
data.classes=[happy]                    | data.root=null has 1 class: 2 to 40 are needed
data.classes=[happy,a/b]                | the class 'a/b', which cannot name files
data.map=sad                            | data.map=sad must be a node that lists the members of new classes
data.map={low:[]}                       | data.map={low:[]} must be a node that lists the members
data.map={low:[calm]}                   | data.map names calm, and the classes of the faces are angry, disgust
data.map={low:[sad],bad:[sad]}          | data.map names sad more than once
data.votes=v.csv                        | data.votes labels FER2013: give fer2013.csv or Kaggle's archive as data.root
data.crowd=v.csv                        | data.crowd=v.csv counts votes on FER2013: give fer2013.csv or Kaggle's archive
data.root=f.csv data.votes=v.csv data.crowd=w.csv | data.crowd=w.csv must be data.votes=v.csv, or be left out
data.crowd=[a]                          | data.crowd=[a] must be a path
data.labels=l.csv                       | data.labels=l.csv labels pictures: give their folder or .zip as data.root
data.labels=l.csv data.root=. data.votes=v.csv | data.labels=l.csv and data.votes=v.csv both label faces: leave one out
data.labels=l.csv data.root=.           | data.labels=l.csv does not exist: give a list of files and labels
data.labels=[a]                         | data.labels=[a] must be a path
data.metadata=p.csv                     | data.metadata=p.csv does not exist: give a csv with a column file or row
data.metadata=''                        | data.metadata= must be a path
data.columns.label=''                   | data.columns.label= must be text
data.labels=l.csv data.columns=x        | data.columns=x must be a node
data.labels=l.csv data.columns.file=3   | data.columns.file=3 must be text
data.root=f.csv data.votes=v.csv data.targets=distribution data.corrections=c.csv | needs data.corrections=null
data.batch_size=17 sampler=balanced     | data.batch_size=17 must be a multiple of sampler.classes_per_batch=4
data.batch_size=4 sampler=balanced      | data.batch_size=4 must be a multiple ; two or more ; such as 8
sampler=balanced sampler.classes_per_batch=8 | sampler.classes_per_batch=8 ; from 2 to the 7 classes
data.num_workers=-1                     | data.num_workers=-1 must be a whole number, 0 or more
data.num_workers=1.5                    | data.num_workers=1.5 must be
data.worker_timeout=-1                  | data.worker_timeout=-1 must be a number of seconds
data.image_size=50                      | data.image_size=50 must be a multiple of 16
data.image_size=8 embedder=resnet48     | data.image_size=8 must be a whole number of pixels from 16
data.root=5                             | data.root=5 must be a folder ; or null, such as faces.zip
data.root=true                          | data.root=true must be
data.root=[a]                           | data.root=[a] must be
data.root={a:b}                         | data.root={a:b} must be
data.root=''                            | data.root= must be
data.root=/dev/zero                     | data.root=/dev/zero is a device
data.person='(S'                        | data.person=(S must be a regular expression ; or null, such as '(S
data.person='(S)(.)'                    | must be a regular expression with one group
data.split.share=1                      | data.split.share=1 must be a number above 0 and below 1
data.split.seed=-1                      | data.split.seed=-1 must be
protocol=subject                        | protocol=subject needs faces of persons as data.root
protocol=subject protocol.fold=5        | protocol.fold=5 must be a number from 0 to 4
+data.foo=1                             | data.foo is no option
~miner                                  | miner is missing: add miner=..., one of all, batch_hard
classifier.k=0                          | classifier.k=0 must be a whole number, 1 or more, or null
classifier.k=1.5                        | classifier.k=1.5 must be
classifier.k=true                       | classifier.k=true must be
classifier.candidates=[]                | classifier.candidates=[] must be ; where classifier.k=null
classifier.candidates=[5,0]             | classifier.candidates=[5,0] must be a list of whole numbers
classifier.weights=distance             | must be one of similarity, uniform
classifier.temperature=nan              | classifier.temperature=nan must be a finite number above 0
classifier.temperature=inf              | classifier.temperature=inf must be
classifier.temperature=0                | classifier.temperature=0 must be
classifier.num_classes=3                | classifier.num_classes=3 must be the number of classes, 7
classifier.num_classes=100              | must be the number of classes, 7
mixing=mixup loss=softmax_smoothed mixing.num_classes=6 | mixing.num_classes=6 must be the number of classes, 7
classifier.embedding_size=7             | classifier.embedding_size=7 must be 128
classifier=linear classifier.max_iter=0 | classifier.max_iter=0 must be
embedder.image_size=0                   | embedder.image_size=0 must be a multiple of 16
embedder.image_size=64                  | embedder.image_size=64 must be 48
embedder.embedding_size=0               | embedder.embedding_size=0 must be
embedder.stem_channels=0                | embedder.stem_channels=0 must be
embedder.stem_channels=1000000          | from 1 to 4096
embedder.dropout=nan                    | embedder.dropout=nan must be
embedder.dropout=1                      | embedder.dropout=1 must be a number from 0 to below 1
embedder.stages=null                    | embedder.stages=null must be a list of stages
embedder.stages=[[[1,2]]]               | embedder.stages=[[[1,2]]] must be a list of stages
embedder=resnet48 embedder.blocks=[1]   | embedder.blocks must be a list of 3 numbers
embedder=resnet48 embedder.widths=[4096,4096,4096] embedder.blocks=[4,4,4] | embedder.widths must be narrower or fewer
loss.margin=nan                         | loss.margin=nan must be a finite number, 0 or more
loss.margin=-1                          | loss.margin=-1 must be
loss.margin=abc                         | loss.margin=abc must be
loss.distance.power=0                   | loss.distance.power=0 must be a finite number above 0
loss.distance.power=nan                 | loss.distance.power=nan must be
loss=softmax loss.temperature=0         | loss.temperature=0 must be
loss=softmax_supcon loss.weights=[1]    | loss.weights must be a list of 2
loss=softmax_supcon loss.losses.1.temperature=0 | loss.losses.1.temperature=0 must be
loss=triplet miner=semihard miner.type_of_triplets=xyz | must be one of all, hard, semihard, easy
loss=supcon miner=semihard              | loss.margin is missing ; miner=none
optimizer.lr=-1                         | optimizer.lr=-1 must be a finite number above 0, such as 0.001
optimizer.lr=nan                        | optimizer.lr=nan must be
optimizer.lr=null                       | optimizer.lr=null must be
~optimizer.lr                           | optimizer.lr is missing: add optimizer.lr=
optimizer._target_=5                    | optimizer._target_=5 must be the name of a class
optimizer.weight_decay=-1               | optimizer.weight_decay=-1 must be
+optimizer.betas=[0.9,2]                | optimizer.betas=[0.9,2] must be two numbers below 1
+optimizer.anything=nan                 | optimizer.anything=nan must be a finite number
optimizer=sgd optimizer.momentum=0 optimizer.nesterov=true | optimizer.momentum must be above 0, such as 0.9
scheduler.factor=0                      | scheduler.factor=0 must be a number above 0
scheduler.total_iters=-1                | scheduler.total_iters=-1 must be
scheduler=cosine trainer.max_epochs=0   | trainer.max_epochs=0 must be
scheduler=plateau scheduler.mode=min    | scheduler.mode=min must be max
trainer.max_epochs=-1                   | trainer.max_epochs=-1 must be a whole number from 1
trainer.max_epochs=null                 | trainer.max_epochs=null must be
trainer.max_epochs=0                    | trainer.max_epochs=0 must be a whole number from 1 to
trainer.max_epochs=1.5                  | trainer.max_epochs=1.5 must be
trainer.max_epochs=1e999                | trainer.max_epochs=inf must be
trainer.check_val_every_n_epoch=null    | trainer.check_val_every_n_epoch=null must be
trainer.limit_test_batches=0            | trainer.limit_test_batches=0 must be
trainer.limit_train_batches=0           | trainer.limit_train_batches=0 must be ; 1 or more
trainer.limit_val_batches=0.0           | trainer.limit_val_batches=0.0 must be
trainer.limit_val_batches=1.5           | a share above 0 and up to 1.0
trainer.log_every_n_steps=0             | trainer.log_every_n_steps=0 must be
trainer.log_every_n_steps=-1            | trainer.log_every_n_steps=-1 must be
trainer.gradient_clip_val=-1            | trainer.gradient_clip_val=-1 must be ; or null
trainer.devices=0                       | trainer.devices=0 must be a number of devices
trainer.devices=true                    | trainer.devices=true must be
trainer.precision=8                     | trainer.precision=8 must be one of 32-true, bf16-mixed
trainer.deterministic=maybe             | must be true, false or warn
trainer.callbacks=[1]                   | trainer.callbacks=[1] must be a list of nodes
trainer.logger=true                     | trainer.logger=true must be
callbacks.results.objective=abc         | callbacks.results.objective=abc must be a metric
callbacks.results.settings.seed=[1]     | callbacks.results.settings.seed=[1] must be a number, text or null
trainer.callbacks=null                  | trainer.callbacks=null must be a list
trainer.max_steps=0                     | trainer.max_steps=0 must be ; 1 or more ; -1 for no limit
callbacks.checkpoint=null               | callbacks.checkpoint=null must be a node
callbacks.results=null                  | callbacks.results=null must be a node ; ~callbacks.results
callbacks.resumption=null               | callbacks.resumption=null must be a node
callbacks.checkpoint.monitor=null       | callbacks.checkpoint.monitor=null must be
callbacks.checkpoint.monitor=val/f1 | callbacks.checkpoint.monitor=val/f1 must be ; val/macro_f1 ; did you mean val/f1_
callbacks=early_stopping callbacks.early_stopping.monitor=val/f1 | callbacks.early_stopping.monitor=val/f1 must be
callbacks.checkpoint.mode=min           | callbacks.checkpoint.mode=min must be max
+callbacks.checkpoint.save_top_k=0      | callbacks.checkpoint.save_top_k=0 must be
+callbacks.checkpoint.every_n_epochs=0  | callbacks.checkpoint.every_n_epochs=0 must be
callbacks.last.filename=best            | callbacks.last.filename=best must be another name
callbacks.lines.metrics=null            | callbacks.lines.metrics=null must be a list of texts
callbacks.provenance.overrides=[1]      | callbacks.provenance.overrides=[1] must be a list of texts
callbacks.quick_validation.every_n_steps=0   | callbacks.quick_validation.every_n_steps=0 must be
callbacks.quick_validation.every_n_steps=1.5 | callbacks.quick_validation.every_n_steps=1.5 must be
callbacks.quick_validation.sample_size=-5    | callbacks.quick_validation.sample_size=-5 must be
callbacks.quick_validation.bank_size=0       | callbacks.quick_validation.bank_size=0 must be
callbacks.media.map_faces=-1            | callbacks.media.map_faces=-1 must be
callbacks.media.mistakes=-1             | callbacks.media.mistakes=-1 must be
callbacks.media.neighbours=-1           | callbacks.media.neighbours=-1 must be
callbacks.media.maps=null               | callbacks.media.maps=null must be
+callbacks.mine=null                    | callbacks.mine=null must be a node
logger.csv.buffer_size=0                | logger.csv.buffer_size=0 must be
objective=null                          | objective=null must be the name of a metric
objective=train/loss                    | objective=train/loss must be a metric of the validation
objective=val/acuracy                   | objective=val/acuracy ; did you mean val/accuracy
objective=val/accuracy_k7               | objective=val/accuracy_k7 must be
paths.cache_dir=null                    | paths.cache_dir=null must be a path
paths.cache_dir=''                      | paths.cache_dir= must be a path
paths.output_dir=null                   | paths.output_dir=null must be a path
paths.output_dir=/new/folder            | paths.output_dir=/new/folder must be a folder that is there ; hydra.run.dir
init_from=5                             | init_from=5 must be a path, or null
run_name=5                              | run_name=5 must be text
+foo=1                                  | foo is no option
model.abstention.accuracy=2             | model.abstention.accuracy=2 must be a number from 0 to 1, or null
model.abstention.near=null              | model.abstention.near=null must be a number from 0 to 1
model.mirrored=2                        | model.mirrored=2 must be true or false
sweep.resume=3                          | sweep.resume=3 must be a path, or null
"""

ACCEPTED = """
trainer.devices=auto
trainer.devices=[0,1]
trainer.deterministic=warn
trainer.limit_train_batches=0.5
trainer.limit_test_batches=3
trainer.limit_val_batches=null
trainer.gradient_clip_val=1
trainer.check_val_every_n_epoch=null trainer.val_check_interval=7
trainer.profiler=simple
trainer.max_steps=30
objective=val/macro_f1
objective=val/f1_happy
objective=val/accuracy_k30
classifier.k=7 classifier.candidates=[]
optimizer.lr=1
optimizer=adamw +optimizer.eps=1e-6
optimizer._target_=mine.Optimizer +optimizer.steps=[1,2]
loss=softmax loss._target_=mine.Loss loss.temperature=-3
scheduler._target_=torch.optim.lr_scheduler.ExponentialLR +scheduler.gamma=0.9
+callbacks.mine={_target_:mine.Callback,patience:3}
~callbacks.media ~callbacks.quick_validation
callbacks.media.maps={}
run_name='5'
logger=none
experiment=best debug=limit
experiment=best_gpu debug=profile
"""


def lines(table: str) -> list[list[str]]:
    return [[part.strip() for part in line.split("|")] for line in table.strip().splitlines()]


@pytest.mark.parametrize(("given", "words"), lines(REFUSED))
def test_wrong_value_is_refused_in_one_sentence(refusal, given, words):
    sentence = refusal(*given.split()) or ""
    for word in words.split(" ; "):
        assert word in sentence


@pytest.mark.parametrize("given", [line for (line,) in lines(ACCEPTED)])
def test_right_value_is_accepted(refusal, given):
    assert refusal(*given.split()) is None


def test_objectives_are_what_the_validation_logs(make_cfg):
    module = instantiate(make_cfg("classifier.k=7", "classifier.candidates=[]").model)
    logged = module.val_metrics(torch.arange(7), torch.arange(7))
    assert {f"val/{name}" for name in scores(faces.CLASSES)} == {*logged, "val/accuracy_quick"}


def test_a_long_value_is_shown_in_part(refusal):
    sentence = refusal(f"data.root={'a' * 5000}")
    assert "a" * 100 in sentence
    assert "a" * 300 not in sentence


def test_group_that_is_null_is_named(run_here):
    done = run_here("train.py", "debug=fast", "data=null")
    assert done.code == 1
    assert "data=null must be one of faces" in done.text


COMMANDS = ("eval", "audit", "predict", "export", "stress", "labels", "app", "score")
OPTIONS = {name for command in COMMANDS for name in meanings(command)}
OPEN = {"pictures", "maps", "settings", "translate_px", "changes"}  # nodes whose names are anybody's


def undescribed(node: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield what no signature describes of a YAML: our classes, their arguments, options."""
    if isinstance(node, list):
        for item in node:
            yield from undescribed(item, (*path, "*"))
    if not isinstance(node, dict):
        return
    name = node.get("_target_", "")
    if name.startswith("fer_lightning.") and signature(name) is None:
        yield f"class {name}"
        return
    described = class_options(name).options
    for key, value in node.items():
        where = ".".join((*path, key))
        if not name and not OPEN.intersection(path) and "*" not in path:
            known = where in OPTIONS or key == "defaults" or (path == ("callbacks",) and "_target_" in value)
        else:
            free = not name.startswith("fer_lightning.") and (not described or OPEN.intersection(path))
            known = free or key in described or key.startswith("_")
        if not known:
            yield where
        yield from undescribed(value, (*path, key))


def test_each_option_of_ours_has_a_meaning():
    targets = {target for node in nodes("eval") for _, target in group_targets(node) if signature(target)}
    assert len(targets) > 30
    assert [
        f"{target} {name}"
        for target in targets
        for name, option in signature(target).options.items()
        if not option.meaning
    ] == []


COMPOSED = {path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")} - {"wandb_sweep.yaml"}


@pytest.mark.parametrize("file", sorted(COMPOSED))
def test_every_key_under_conf_is_described(file):
    content = OmegaConf.to_container(OmegaConf.load(CONF / file))
    content.pop("hydra", None)
    group, _, _ = file.rpartition("/")
    if group.startswith("hydra"):
        return
    whole = not group or "@package _global_" in (CONF / file).read_text()
    content.pop("defaults", None)
    assert list(undescribed(content if whole else {group: content})) == []


WRONG = {
    "negative": "-1",
    "zero": "0",
    "nan": "nan",
    "infinite": "inf",
    "fraction": "1.5",
    "text": "abc",
    "null": "null",
    "list": "[1]",
    "dict": "{a:1}",
    "bool": "true",
    "huge": "1000000000000",
    "empty": "''",
}


def leaves(node: object, path: str = "") -> Iterator[str]:
    """Yield the options of a configuration that hold a value and no others."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path


@pytest.mark.attack
def test_every_option_against_every_kind_of_wrong_value(refusal, run_here, tally, tmp_path):
    """Refused in one sentence; or accepted, and a run of one batch then ends as it should."""
    whole = OmegaConf.to_container(composed("train", str(tmp_path)))
    del whole["hydra"]
    for option in leaves(whole):
        for kind, value in WRONG.items():
            sentence = refusal(f"{option}={value}")
            if sentence is not None:
                tally.judge(f"{option}={value}", option.split(".")[0] in sentence, sentence)
                continue
            try:
                done = run_here("train.py", *options(*FAST, f"{option}={value}"))
            except Exception as error:
                tally.judge(f"{option}={value} ({kind})", False, repr(error))
                continue
            last = done.text.splitlines()[-1] if done.text.strip() else ""
            right = done.code == 0 or (done.code == 1 and last.startswith("error: "))
            tally.judge(f"{option}={value} ({kind})", right and "Traceback" not in done.text, done.text[-300:])
