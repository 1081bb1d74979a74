"""List the options of library classes that people set: name, kind, meaning. The library checks all others.

A class of ours stands here too if it hands all its arguments on to a library.

The first line of a block names its classes, ``package.*`` all of a package. ``!`` marks an option that must be there.
"""

from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from fer_lightning.config.signatures import Option
from fer_lightning.kinds import Count, NotNegative, PartShare, Pixels, Positive, Says


def _makes(node: dict) -> dict:
    """Refuse a node that names no class."""
    if not isinstance(node.get("_target_"), str):
        raise ValueError
    return node


Made = Annotated[dict, AfterValidator(_makes)]
Factor = Annotated[float, Field(gt=0, le=1), Says("a number above 0 and up to 1", "1.0")]
Betas = Annotated[list[PartShare], Field(min_length=2, max_length=2), Says("two numbers below 1", "[0.9,0.999]")]
Degrees = Annotated[float, Field(ge=0, le=180), Says("a number of degrees from 0 to 180", "28.6")]
Weights = Annotated[list[NotNegative], Says("a list of finite numbers, 0 or more", "[1.0,0.5]")]
Fineness = Annotated[Literal["easy", "semihard", "hard", "all"], Says("one of easy, semihard, hard, all")]

Border = Annotated[int, Field(ge=0, le=4), Says("a border of OpenCV's, a whole number from 0 to 4", "1")]
Span = Annotated[list[float], Field(min_length=2, max_length=2), Says("a list of two finite numbers", "[-15,15]")]
PositiveSpan = Annotated[
    list[Positive], Field(min_length=2, max_length=2), Says("a list of two finite numbers above 0", "[0.8,1.0]")
]
Sides = Annotated[list[Pixels], Field(min_length=2, max_length=2), Says("height and width, pixels", "[48,48]")]
Shift = Annotated[dict[Literal["x", "y"], Span], Says("a span of pixels for x and y", "{x:[-4,4],y:[-4,4]}")]
Fill = Annotated[float | Literal["random", "random_uniform"], Says("a grey, random or random_uniform", "127")]

Limit = Annotated[
    Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, le=1)],
    Says("a whole number of batches, 1 or more, or a share above 0 and up to 1.0", "20"),
]
Devices = Annotated[
    Literal["auto", -1]
    | Annotated[int, Field(ge=1)]
    | Annotated[str, StringConstraints(pattern=r"^\d+(,\d+)*$")]
    | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)],
    Says("a number of devices, 1 or more, auto or -1 for all, or a list of their numbers", "[0,1]"),
]
Precision = Annotated[
    Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true"]
    | Literal["32", "bf16", "16", "64", 32, 16, 64, "transformer-engine", "transformer-engine-float16"],
    Says("one of 32-true, bf16-mixed, 16-mixed, bf16-true, 16-true, 64-true"),
]
Profiler = Annotated[Literal["simple", "advanced", "pytorch"] | Made, Says("simple, advanced or pytorch")]
Deterministic = Annotated[bool | Literal["warn"], Says("true, false or warn")]
FastRun = Annotated[bool | Annotated[int, Field(ge=0)], Says("true, false or a number of batches")]
Steps = Annotated[
    Literal[-1] | Annotated[int, Field(ge=1)], Says("a whole number, 1 or more, or -1 for no limit", "1000")
]
Sanity = Annotated[int, Field(ge=-1), Says("a whole number, 0 or more, or -1 for all", "0")]
Strategy = Annotated[Annotated[str, Field(min_length=1)] | Made, Says("the name of a strategy", "ddp")]
Parts = Annotated[list[Made], Says("a list of nodes that name a class", "[]")]
Loggers = Annotated[list[Made] | Literal[False], Says("a list of nodes that name a class, or false", "[]")]
Reload = Annotated[Literal[0, 1], Says("0 or 1 (a run that goes on would deal other batches)")]
Epochs = Annotated[int, Field(ge=1, le=100_000), Says("a whole number from 1 to 100000", "8")]
Duration = Annotated[
    Annotated[str, StringConstraints(pattern=r"^\d\d:\d\d:\d\d:\d\d$")],
    Says("a time as days:hours:minutes:seconds", "00:01:30:00"),
]
TopK = Annotated[Literal[-1] | Count, Says("a whole number, 1 or more, or -1 for all", "1")]
Threads = Annotated[Literal[-1] | Count, Says("a whole number, 1 or more, or -1", "1")]
Version = Annotated[int | str, Says("a number or text", "''")]

TABLE = """
torch.optim.*
    lr!                 Rate            learning rate
    weight_decay        NotNegative     how fast weights decay
    eps                 Positive        added to a divisor, so that it is not zero
    betas               Betas           decay rates of the averages of the gradient and of its square
    fused               bool            whether a step changes all weights in one pass
    alpha               PartShare       decay rate of the average of the squares
    momentum            PartShare       share of the last step that the next one keeps
    nesterov            bool            whether the gradient is taken where momentum leads
torch.optim.lr_scheduler.*
    factor              Factor          factor to the rate
    total_iters         CountOrZero     epochs that it holds for
    T_max               Count           epochs until the lowest rate
    max_lr              Rate            the highest rate
    total_steps         Count|None      steps of the run; null: counted
    pct_start           InnerShare      share of the steps that go up
    div_factor          Positive        the highest rate over the first
    cycle_momentum      bool            whether momentum falls while the rate rises
torch.optim.lr_scheduler.ReduceLROnPlateau
    mode                Literal['max']  a higher objective is better
    factor              InnerShare      factor to the rate
    patience            CountOrZero     epochs without progress before it falls
pytorch_metric_learning.distances.*
    p                   Positive        the norm: 2 is the Euclidean one
    power               Positive        exponent of the distance: 2 squares it
    normalize_embeddings bool           whether embeddings are given norm 1 first
pytorch_metric_learning.losses.*
    distance            Part            how far two embeddings are apart
    num_classes         ClassCount      number of classes
    embedding_size      Count           that of the embedder
    margin              NotNegative     by how much a negative is to be farther than the positive
    temperature         Positive        divisor of the cosines
    scale               Positive        factor to the cosines
    alpha               Positive        factor to the cosines, or weight of the positive pairs
    beta                Positive        weight of the negative pairs
    base                Number          similarity that both are measured from
    la                  Positive        factor to the cosines
    gamma               Positive        how softly the nearest centre is chosen
    sub_centers         Count           centres of a class
    centers_per_class   Count           centres of a class
pytorch_metric_learning.losses.ArcFaceLoss pytorch_metric_learning.losses.SubCenterArcFaceLoss
    margin              Degrees         margin of the angle, degrees
pytorch_metric_learning.losses.MultipleLosses
    losses!             list[Part]      the losses
    miners              list[Part|None] the miner of each; null for none
    weights             Weights         the weight of each
pytorch_metric_learning.miners.*
    distance            Part            how far two embeddings are apart
    margin              NotNegative     by how much a negative is to be farther than the positive
    epsilon             NotNegative     by how much at most a chosen pair may be easier
    pos_strategy        Fineness        which positive
    neg_strategy        Fineness        which negative
    type_of_triplets    Literal['all','hard','semihard','easy'] which triplets
albumentations.*
    p                   Share           share of the pictures that it changes
    rotate              Span            least and greatest angle, degrees
    limit               Span            least and greatest angle, degrees
    scale               PositiveSpan    least and greatest scale, or share of the area
    ratio               PositiveSpan    least and greatest width to height
    size                Sides           height and width of what comes out, pixels
    translate_px        Shift           least and greatest shift along x and y, pixels
    border_mode         Border          what fills the border: 1 repeats it (OpenCV)
    num_holes_range     Counts          least and greatest number of patches
    hole_height_range   PositiveSpan    least and greatest height, of the side
    hole_width_range    PositiveSpan    least and greatest width, of the side
    fill                Fill            the grey of a patch
lightning.Trainer
    accelerator!        Literal['auto','cpu','gpu','cuda','tpu'] what computes
    devices!            Devices         number of devices
    num_nodes           Count           number of machines
    strategy            Strategy        how several devices work together
    max_epochs!         Epochs          epochs of training
    max_steps!          Steps           steps of training, at most; -1 for no limit
    check_val_every_n_epoch! Count|None epochs between two exact validations
    max_time            Duration|None   time of training, at most, as days:hours:minutes:seconds
    val_check_interval! Limit|None      batches, or share of an epoch, between two exact validations
    precision!          Precision       format of the numbers in the network
    deterministic!      Deterministic   whether to use only operations that repeat exactly
    gradient_clip_val!  NotNegative|None greatest norm of the gradient; null for no limit
    accumulate_grad_batches Count       batches whose gradients make one step
    limit_train_batches! Limit|None     training batches in an epoch, or their share
    limit_val_batches!  Limit|None      batches of a validation, or their share
    limit_test_batches! Limit|None      batches of the test, or their share
    fast_dev_run!       FastRun         one batch of everything, and nothing written
    log_every_n_steps!  Count           steps between two rows of metrics.csv
    num_sanity_val_steps! Sanity        validation batches before the training
    reload_dataloaders_every_n_epochs! Reload 1: batches are dealt anew each epoch; 0: once
    enable_progress_bar! bool           whether a bar shows the progress
    enable_model_summary! bool          whether the layers are listed
    profiler!           Profiler|None   what measures where time goes
    callbacks!          Parts           the node callbacks, as a list
    plugins!            list[Part]      what replaces parts of the Trainer's own
    use_distributed_sampler! bool       whether Lightning shares batches out; our samplers do
    logger!             Loggers         the node logger, as a list
    default_root_dir!   Location        folder of the run
lightning.pytorch.callbacks.ModelCheckpoint
    dirpath!            Location        folder of the checkpoints
    filename!           Text            name of the checkpoint, without .ckpt
    monitor             Metric          the option objective
    mode                Literal['max']  a higher objective is better
    auto_insert_metric_name! bool       whether its name holds metrics
    enable_version_counter! bool        whether a name that is taken gets a number
    save_on_train_epoch_end bool|None   whether it is written at an epoch's end
    save_top_k          TopK            checkpoints that are kept
    every_n_epochs      Count           epochs between two checkpoints
lightning.pytorch.callbacks.EarlyStopping
    monitor!            Metric          the option objective
    mode                Literal['max']  a higher objective is better
    patience            Count           exact validations without progress before the training ends
    min_delta           NotNegative     what counts as progress
lightning.pytorch.loggers.*
    save_dir            Location        folder of the run
    name                AnyText|None    folder inside it
    version             Version|None    folder inside that one
    experiment_name     Text            experiment in MLflow
    run_name            Text            name of the run
    tracking_uri        Text            server, or file of the database
fer_lightning.loggers.PatientWandbLogger
    project!            Text            project in W&B
    name!               Text            name of the run: the options that it overrides, or run_name where that is set
    id!                 Text            the option run_id
    group!              Text|None       the sweep of the run
    job_type!           Text            the option job_type
    save_dir!           Location        folder of the run
    log_model!          Upload          whether best.ckpt is uploaded
    mode!               Literal['online','offline','disabled','shared'] whether to upload
    settings!           Part            W&B's own settings
    entity              Text|None       user or team in W&B
    tags                Tags|None       tags of the run, before those that it gets itself
    notes               Text|None       notes on the run, above those of the doctor
wandb.Settings
    silent              bool            whether its notices are left out
sklearn.decomposition.PCA sklearn.manifold.TSNE umap.UMAP
    n_components!       Literal[2]      a map has two axes
    random_state        Seed|None       decides the map
    init                Literal['pca','random'] where the points start
    perplexity          Positive        neighbours that a point is kept beside, about
    n_jobs              Threads         threads
"""


@cache
def library_options(target: str) -> dict[str, Option]:
    """Return the options of a library's class that are known here; a later block overrides an earlier one."""
    options: dict[str, Option] = {}
    in_block = False  # whether the lines are about the class
    for line in TABLE.strip().splitlines():
        if not line.startswith(" "):
            in_block = not {target, f"{target.rpartition('.')[0]}.*"}.isdisjoint(line.split())
        elif in_block:
            name, kind, meaning = line.split(maxsplit=2)
            options[name.rstrip("!")] = Option(kind, __name__, meaning, name.endswith("!"))
    return options
