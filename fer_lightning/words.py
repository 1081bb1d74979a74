"""How figures stand in every text for people: shares, differences of shares, lengths of time, and metrics in words."""

NAMES = {
    "val/accuracy": "validation accuracy",
    "test/accuracy": "test accuracy",
    "test/balanced_accuracy": "test balanced accuracy",
    "test/macro_f1": "test macro F1",
    "test/accuracy_without_twins": "test accuracy without twins",
    "test/one_vs_rest_accuracy": "test one-vs-rest accuracy",
}
SHARES = ("accuracy", "f1", "precision", "recall")  # metrics with one of these in their names are shares


def percent(share: float, digits: int = 1) -> str:
    """Return a share as text, such as ``43.1 %``."""
    return f"{number(share, digits)} %"


def number(share: float, digits: int = 1) -> str:
    """Return a share as text without its sign, for the bounds of an interval."""
    return f"{100 * share:.{digits}f}"


def points(difference: float) -> str:
    """Return a difference of two shares in points, with its sign."""
    return f"{100 * difference:+.1f}"


def duration(seconds: float) -> str:
    """Return a length of time as people say it: seconds up to two minutes, then minutes, then hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def value(metric: str, figure: float) -> str:
    """Return a metric's value as text: as a share where it is one."""
    return percent(figure) if any(word in metric for word in SHARES) else f"{figure:.4f}"


def named(metric: str) -> str:
    """Return a metric's name in words."""
    return NAMES.get(metric, metric)
