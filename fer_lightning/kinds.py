"""What the schema is written in: kinds of values, each with its words for a sentence, and nodes that name a class."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic_core import CoreSchema, core_schema

KIND = "kind"  # type of the errors that ``Says`` words
WORDING = "must be {words}"
Value = TypeVar("Value")


def shown(value: object) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{shown(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class Says:
    """Words a refusal of the kind that it stands in: "must be WORDS, such as EXAMPLE".

    Args:
        words: What a value must be; left out where the kind is a ``Literal``, which lists its values.
        example: A value as it is written on the command line; left out where the words name it.
    """

    def __init__(self, words: str = "", example: str = "") -> None:
        self.words, self.example = words, example

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the kind's own schema, whatever goes wrong in it told in one way."""
        values = [shown(value) for value in get_args(source)] if get_origin(source) is Literal else []
        listed = f"one of {', '.join(values)}" if len(values) > 1 else "".join(values)
        context: dict[str, Any] = {"words": self.words or listed, "example": self.example}
        return core_schema.custom_error_schema(
            handler(source), custom_error_type=KIND, custom_error_message=WORDING, custom_error_context=context
        )


class OrNull:
    """Lets a kind be null too, and says so in its refusals."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the kind or null."""
        whole: Any = handler(source)
        said = whole["schema"]["custom_error_context"]
        context = {**said, "words": f"{said['words']}, or null"}
        return core_schema.custom_error_schema(
            whole, custom_error_type=KIND, custom_error_message=WORDING, custom_error_context=context
        )


Nullable = Annotated[Value | None, OrNull()]

Switch = Annotated[bool, Says("true or false")]
Text = Annotated[str, Field(min_length=1), Says("text (what reads as a number only in quotes of its own)", "best")]
AnyText = Annotated[str, Says("text, which may be empty", "''")]
Metric = Annotated[str, Field(min_length=1), Says("the name of a metric", "val/accuracy")]
Place = Annotated[str, Field(min_length=1), Says("a path", "logs/run")]
Texts = Annotated[list[str], Says("a list of texts", "[val/accuracy]")]

Seed = Annotated[int, Field(ge=0, le=2**32 - 1), Says("a whole number from 0 to 4294967295", "0")]  # what numpy takes
Count = Annotated[int, Field(ge=1), Says("a whole number, 1 or more", "10")]
CountOrNone = Annotated[int, Field(ge=0), Says("a whole number, 0 or more", "0")]
Pixels = Annotated[int, Field(ge=16, le=384), Says("a whole number of pixels from 16 to 384", "48")]
Classes = Annotated[int, Field(ge=0), Says("the number of classes")]  # it must be that of data.classes
Names = Annotated[list[str], Says("a list of names, what reads as a number in quotes", "[happy,sad,contempt]")]
ClassesOfABatch = Annotated[int, Field(ge=2, le=40), Says("a whole number from 2 to that of the classes", "4")]
Width = Annotated[int, Field(ge=1, le=4096), Says("a whole number from 1 to 4096", "64")]
Widths = Annotated[
    list[Width],
    Field(min_length=1, max_length=16),
    Says("a list of up to 16 whole numbers from 1 to 4096", "[64,128,256]"),
]

Number = Annotated[float, Says("a finite number", "0.5")]
Rate = Annotated[float, Field(gt=0), Says("a finite number above 0", "0.001")]
Positive = Annotated[float, Field(gt=0), Says("a finite number above 0", "0.1")]
NotNegative = Annotated[float, Field(ge=0), Says("a finite number, 0 or more", "0.2")]
Share = Annotated[float, Field(ge=0, le=1), Says("a number from 0 to 1", "0.5")]
PartShare = Annotated[float, Field(ge=0, lt=1), Says("a number from 0 to below 1", "0.2")]
InnerShare = Annotated[float, Field(gt=0, lt=1), Says("a number above 0 and below 1", "0.1")]
Span = Annotated[list[float], Field(min_length=2, max_length=2), Says("a list of two finite numbers", "[-15,15]")]
PositiveSpan = Annotated[
    list[Positive], Field(min_length=2, max_length=2), Says("a list of two finite numbers above 0", "[0.8,1.0]")
]
Counts = Annotated[list[Count], Field(min_length=1), Says("a list of whole numbers, 1 or more", "[5,15]")]

SixteenPixels = Annotated[
    int, Field(ge=16, le=384, multiple_of=16), Says("a multiple of 16 pixels from 16 to 384", "48")
]
ClassName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.\w+)+$"), Says("the name of a class", "torch.optim.Adam")
]


def exactly(value: bool) -> AfterValidator:
    """Return the check that a switch stands one way; to a ``Literal`` 1 would be as good as true."""

    def check(given: bool) -> bool:
        if given is not value:
            raise ValueError
        return given

    return AfterValidator(check)


Partial = Annotated[bool, exactly(True), Says("true")]


def target() -> Any:
    """Describe the class that a node names."""
    return Field(alias="_target_", description="the class that is made")


def partial() -> Any:
    """Describe the mark of a class that lacks arguments until training begins."""
    return Field(alias="_partial_", description="the rest of the arguments is filled in later")


def optional(description: str) -> Any:
    """Describe a value that no YAML needs to give: where it is left out, the library's own holds."""
    return Field(default=None, description=description)


class Node(BaseModel):
    """A node of the configuration: these keys and no others."""

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True, defer_build=True
    )


class LibraryNode(Node):
    """A node that makes a library's class: arguments that no YAML of ours gives are the library's to check."""

    model_config = ConfigDict(extra="allow")


class Other(LibraryNode):
    """A node that makes any other class, such as one of yours: its numbers are finite, the rest is its own to check."""

    target_: ClassName = target()


class ByTarget:
    """Checks a node by the model of the class that it names, and by ``Other`` where none describes that class."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a union that the target decides."""
        own: dict[str, CoreSchema] = {}
        for member in get_args(source):
            names = get_args(member.model_fields["target_"].annotation) if member is not Other else ["*"]
            own |= {name: handler.generate_schema(member) for name in names}
        return core_schema.tagged_union_schema(own, lambda value: _named(value) if _named(value) in own else "*")

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return any of the kinds; a class that none of them describes has to be named."""
        known = [name for name in schema["choices"] if name != "*"]
        described = list(
            {json.dumps(one): one for one in (handler(schema["choices"][name]) for name in known)}.values()
        )
        foreign = {"_target_": {"type": "string", "not": {"enum": known}}}
        return {"anyOf": [*described, {"type": "object", "properties": foreign, "required": ["_target_"]}]}


def _named(value: Any) -> str | None:
    """Return the name of the class that a node makes; None for what is no node."""
    name = value.get("_target_") if isinstance(value, Mapping) else None
    return name if isinstance(name, str) else None


Choice = Annotated[Value | Other, ByTarget()]  # Choice[A | B]: a node that makes A, B or a class of the user's own
