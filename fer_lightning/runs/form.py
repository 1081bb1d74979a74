"""The form of what was saved: the keys, types and sizes that a pattern has, whatever its values."""

from typing import Any

from torch import Tensor

NUMBERS = (int, float)


def deviation(saved: Any, pattern: Any, name: str = "", complete: bool = True) -> str | None:
    """Return where something first deviates from the form of a pattern, as words for a message; None where it does not.

    The pattern is what a program would save now. A dict must have the pattern's keys, and may have others; an empty
    dict or list stands for any, None for anything. A list must be as long, a tensor of the same shape and kind of
    number, and finite where the pattern is. Whole numbers are counts: 0 or more. No number is NaN.

    Args:
        saved: What was read.
        pattern: What it should look like.
        name: Where it stands, for the message.
        complete: Whether each of the pattern's keys must be there.
    """
    if isinstance(pattern, dict):
        if not isinstance(saved, dict):
            return f"{name or 'its content'} is no table"
        parts = [(key, saved.get(key, _MISSING), value) for key, value in pattern.items()]
    elif isinstance(pattern, list | tuple):
        if type(saved) is not type(pattern) or (pattern and len(saved) != len(pattern)):
            return f"{name} is no {type(pattern).__name__}" + f" of {len(pattern)}" * bool(pattern)
        parts = [(place, part, value) for place, (part, value) in enumerate(zip(saved, pattern, strict=False))]
    else:
        return None if _like(saved, pattern) else f"{name} is {_words(saved)}, not like {_words(pattern)}"
    for key, part, value in parts:
        where = f"{name}.{key}" if name else str(key)
        if part is _MISSING:
            if complete:
                return f"{where} is missing"
        elif words := deviation(part, value, where, complete):
            return words
    return None


_MISSING = object()


def _like(saved: Any, pattern: Any) -> bool:
    if isinstance(pattern, Tensor):
        return (
            isinstance(saved, Tensor)
            and saved.shape == pattern.shape
            and saved.is_floating_point() == pattern.is_floating_point()
            and not saved.isnan().any()
            and bool(saved.isfinite().all() or not pattern.isfinite().all())
        )
    if isinstance(pattern, float):
        return isinstance(saved, NUMBERS) and not isinstance(saved, bool) and saved == saved
    if isinstance(pattern, int) and not isinstance(pattern, bool):
        return isinstance(saved, int) and not isinstance(saved, bool) and saved >= 0
    return pattern is None or type(saved) is type(pattern)


def _words(value: Any) -> str:
    return f"a tensor {tuple(value.shape)} of {value.dtype}" if isinstance(value, Tensor) else f"{value!r:.50}"
