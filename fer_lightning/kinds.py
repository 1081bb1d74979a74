"""Kinds of values that options take, for the signatures that read them: ``temperature: Positive``, ``k: Count | None``.

A kind is a type for pydantic and the words for a refusal. A module that reads an option may define a kind of its own.
"""

import re
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, Field


class Says(NamedTuple):
    """Words of a refusal: "must be REQUIREMENT, such as EXAMPLE"."""

    requirement: str
    example: str = ""  # a value as it is written on the command line; empty where the words name it


def _part(span: list[float]) -> list[float]:
    """Refuse an empty span, and the whole."""
    if not 0 < span[1] - span[0] < 1:
        raise ValueError
    return span


Value = TypeVar("Value")


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError from error
    if groups != 1:
        raise ValueError
    return pattern


Part = Annotated[Value, "part"]  # Part[nn.Module]: a node whose _target_ makes it
OpenPart = Annotated[Value, "open part"]  # the same, where arguments may be missing until it is made

Switch = Annotated[bool, Says("true or false")]
Text = Annotated[
    str, Field(min_length=1), Says("text (a number needs quotes of its own, as in OPTION=\"'5'\")", "best")
]
AnyText = Annotated[str, Says("text, which may be empty", "''")]
Texts = Annotated[list[str], Says("a list of texts", "[val/accuracy]")]
Metric = Annotated[str, Field(min_length=1), Says("the name of a metric", "val/accuracy")]
Location = Annotated[str, Field(min_length=1), Says("a path", "logs/run")]
Source = Annotated[str, Field(min_length=1), Says("a folder, .zip or .csv of faces, or kaggle", "faces.zip")]
TrainedOn = Annotated[str, Field(min_length=1), Says("official, folder or a csv of the training faces", "official")]
Files = Annotated[list[Location], Field(min_length=1), Says("a list of csv files", "[predictions.csv]")]
Pattern = Annotated[
    str, AfterValidator(_one_group), Says("a regular expression with one group (in brackets)", r"'(S\d+)_'")
]
Names = Annotated[list[str], Says("a list of names, what reads as a number in quotes", "[happy,sad,contempt]")]
ClassMap = Annotated[
    dict[str, Annotated[list[str], Field(min_length=1)] | None],
    Says("a node that lists the members of new classes", "{negative:[angry,sad],disgust:null}"),
]
Setting = Annotated[str | int | float | bool | None, Says("a number, text or null", "0.1")]

Seed = Annotated[int, Field(ge=0, le=2**32 - 1), Says("a whole number from 0 to 4294967295", "0")]  # as numpy takes it
Count = Annotated[int, Field(ge=1), Says("a whole number, 1 or more", "10")]
CountOrZero = Annotated[int, Field(ge=0), Says("a whole number, 0 or more", "0")]
Counts = Annotated[list[Count], Field(min_length=1), Says("a list of whole numbers, 1 or more", "[5,15]")]
Pixels = Annotated[int, Field(ge=16, le=384), Says("a whole number of pixels from 16 to 384", "48")]
PixelSizes = Annotated[
    list[Pixels], Field(min_length=1), Says("a list of whole numbers of pixels from 16 to 384", "[32,48]")
]
BatchSize = Annotated[int, Field(ge=2), Says("a whole number, 2 or more", "16")]
ClassCount = Annotated[int, Field(ge=0), Says("the number of classes")]  # config/agreement.py compares it
Dimension = Annotated[int, Field(ge=1, le=16384), Says("a whole number from 1 to 16384", "128")]
Width = Annotated[int, Field(ge=1, le=4096), Says("a whole number from 1 to 4096", "64")]
Widths = Annotated[
    list[Width],
    Field(min_length=1, max_length=16),
    Says("a list of up to 16 whole numbers from 1 to 4096", "[64,128,256]"),
]
Blocks = Annotated[
    list[Annotated[int, Field(ge=1, le=100)]],
    Field(min_length=1),
    Says("a list of whole numbers from 1 to 100", "[1,1,1]"),
]
Port = Annotated[int, Field(ge=0, le=65535), Says("a whole number from 0 to 65535", "7860")]
Input = Annotated[
    Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0)],
    Says("a picture, folder, .zip or video, or the number of a camera", "faces/"),
]

Number = Annotated[float, Says("a finite number", "0.5")]
Positive = Annotated[float, Field(gt=0), Says("a finite number above 0", "0.1")]
Rate = Annotated[float, Field(gt=0), Says("a finite number above 0", "0.001")]
NotNegative = Annotated[float, Field(ge=0), Says("a finite number, 0 or more", "0.2")]
Share = Annotated[float, Field(ge=0, le=1), Says("a number from 0 to 1", "0.5")]
SpanOfShares = Annotated[
    list[Share],
    Field(min_length=2, max_length=2),
    AfterValidator(_part),
    Says("two shares from 0 to 1, the second larger, and not [0,1]", "[0,0.5]"),
]
PartShare = Annotated[float, Field(ge=0, lt=1), Says("a number from 0 to below 1", "0.2")]
InnerShare = Annotated[float, Field(gt=0, lt=1), Says("a number above 0 and below 1", "0.1")]

Copies = Annotated[int, Field(ge=1, le=100), Says("a whole number from 1 to 100", "2")]
Grey = Annotated[int, Field(ge=0, le=255), Says("a grey from 0 to 255", "0")]
FaceCount = Annotated[int, Field(ge=100), Says("a whole number, 100 or more", "2800")]
Workers = Annotated[int, Field(ge=0, le=256), Says("a whole number, 0 or more and at most 256", "2")]
Seconds = Annotated[float, Field(ge=0), Says("a number of seconds, 0 or more", "300")]
Smoothing = Annotated[float, Field(ge=0, le=60), Says("a number of seconds from 0 to 60", "1")]
Folds = Annotated[int, Field(ge=2), Says("a whole number, 2 or more", "5")]
DrawnClasses = Annotated[int, Field(ge=2), Says("a whole number from 2 to that of the classes", "4")]
SixteenPixels = Annotated[
    int, Field(ge=16, le=384, multiple_of=16), Says("a multiple of 16 pixels from 16 to 384", "48")
]
SixWidths = Annotated[list[Width], Field(min_length=6, max_length=6)]
Stages = Annotated[
    list[Annotated[list[SixWidths], Field(min_length=1, max_length=16)]],
    Field(min_length=1),
    Says("a list of stages, each a list of modules of six widths from 1 to 4096", "[[[32,32,48,8,16,16]]]"),
]
Candidates = Annotated[list[Count], Says("a list of whole numbers, 1 or more", "[5,15]")]
Margin = Annotated[float, Field(ge=-0.5, le=3), Says("a number from -0.5 to 3", "0.05")]
Strengths = Annotated[
    list[dict[str, Any]],
    Field(min_length=1),
    Says("a list of settings of its transform, the weakest first", "[{sigma_limit:[1,1]},{sigma_limit:[2,2]}]"),
]
Tags = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]],
    Says("a list of texts of up to 64 letters, W&B's own limit", "[mine]"),
]
Upload = Annotated[bool | Literal["all"], Says("true, false or all")]


def shown(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{shown(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
