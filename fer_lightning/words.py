"""Figures as text: shares, differences of shares, times, and names of metrics."""

NAMES = {
    "val/accuracy": "validation accuracy",
    "test/accuracy": "test accuracy",
    "test/balanced_accuracy": "test balanced accuracy",
    "test/macro_f1": "test macro F1",
    "test/accuracy_without_twins": "test accuracy without twins",
    "test/accuracy_with_twins": "with twins",
    "test/accuracy_without_twins_same_mix": "without twins, class mix of all",
    "test/calibration_error_raw": "calibration error",
    "train/accuracy": "training accuracy",
}
SHARES = ("accuracy", "f1", "precision", "recall", "share")  # metrics with one of these in their names are shares


def percent(share: float, digits: int = 1) -> str:
    """Return a share as text, such as ``43.1 %``."""
    return f"{number(share, digits)} %"


def number(share: float, digits: int = 1) -> str:
    """Return a share as text without the percent sign, for the bounds of an interval."""
    return f"{100 * share:.{digits}f}"


def points(difference: float) -> str:
    """Return a difference of two shares as percentage points, with plus or minus."""
    return f"{100 * difference:+.1f}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 picture`` or ``2,800 pictures``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def removed(left_out: int, left_out_test: int | None, persons: object = None) -> str:
    """Return a clause about the faces that a protocol leaves out for their twins, or for their persons if known."""
    cause = "a copy is" if persons is None else "a copy or the person is"
    if left_out_test:
        return f"{counted(left_out_test, 'test face')} removed because {cause} in the training set"
    return f"{counted(left_out, 'training face')} removed because {cause} in the test set"


def duration(seconds: float) -> str:
    """Return a time as text: in seconds up to two minutes, then in minutes, then in hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def value(metric: str, figure: float) -> str:
    """Return a metric's value as text, in percent if it is a share."""
    return percent(figure) if any(part in metric for part in SHARES) else f"{figure:.4f}"


def named(metric: str) -> str:
    """Return a metric's name in words."""
    return NAMES.get(metric, metric)
