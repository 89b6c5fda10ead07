"""One call under watch: inputs stay as they were, errors are crossent's own and name an argument, no stray warning."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import crossent as ce

__all__ = ["Refused", "assert_helps", "watched"]

ARGUMENTS = (
    "targets", "logits", "probs", "log_probs", "sample_weight", "class_weight", "pos_weight", "classes", "axis", "out",
    "ignore_index", "label_smoothing", "normalize_targets", "empty_rows", "clip", "eps", "check", "reduction", "unit",
    "empty", "p", "q", "joint", "loss", "hidden", "weight", "bias", "upstream", "memory_limit",
    "gamma", "alpha", "epsilon", "beta", "log_zero", "priors", "tau", "hard",
    "temperature", "softcap", "z_loss", "entropy_weight", "curvature", "statistics", "first_class",
)  # fmt: skip
NAMED = re.compile(r"(?<![\w])(" + "|".join(ARGUMENTS) + r")(?![\w])")
# What NumPy or Python say of themselves; a user cannot act on it.
INTERNAL = re.compile(r"ufunc|could not be broadcast|operands|<lambda>|_native|casting rule|NoneType|__\w+__|stage\b")


class Refused:
    """A call that ended in a CrossentError."""

    def __init__(self, error: ce.CrossentError) -> None:
        self.error = error


def _snapshot(value: Any) -> Any:
    """What must be the same after the call."""
    if not isinstance(value, np.ndarray) or value is np.ma.masked:
        return None
    return value.tolist() if value.dtype.kind in "OT" else value.tobytes()


def assert_helps(error: ce.CrossentError) -> None:
    """A ValueError or TypeError that names an argument and nothing that its reader does not know."""
    assert isinstance(error, ValueError | TypeError), type(error)
    assert NAMED.search(str(error)), f"no argument is named in {type(error).__name__}: {error}"
    assert not INTERNAL.search(str(error)), f"{type(error).__name__} talks of inner things: {error}"


def watched(function: Callable[..., Any], *arguments: Any, may_change: Any = None, **named: Any) -> Any:
    """The result, or Refused; AssertionError for anything that a caller should not see."""
    given = [x for x in (*arguments, *named.values()) if isinstance(x, np.ndarray)]
    kept = [x for x in given if may_change is None or not np.may_share_memory(x, may_change)]
    before = [_snapshot(x) for x in kept]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            result = function(*arguments, **named)
        except ce.CrossentError as error:
            result = Refused(error)
    if isinstance(result, Refused):
        assert_helps(result.error)
    assert [_snapshot(x) for x in kept] == before, "an input was changed"
    for warning in heard:
        assert isinstance(warning.message, ce.RowSumWarning | ce.ClippedWarning), f"a warning: {warning.message!r}"
    return result
