"""The options of the losses: what they may be, checked once when a loss is made."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from operator import index
from typing import Any, Literal

from crossent.core.types import ArrayLike, Reduction, Unit
from crossent.errors import OptionError

__all__ = ["BinaryOptions", "SharedOptions", "SoftmaxOptions"]


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise OptionError(f"{name} is {value!r}; one of {', '.join(map(repr, allowed))} is allowed.")


def _whole_number(name: str, value: Any) -> int:
    """An integer of Python or NumPy, but no bool, as an int."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise OptionError(f"{name} is {value!r}; a whole number is allowed.")
    if not -(2**63) <= index(value) < 2**63:
        raise OptionError(f"{name} is {value!r}; a whole number from -2^63 to 2^63 - 1 is allowed.")
    return index(value)


def _within(name: str, value: Any, low: float, high: float, *, open_ends: bool) -> None:
    number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    fits = low < number < high if open_ends else low <= number <= high
    if not fits:
        ends = f"strictly between {low:g} and {high:g}" if open_ends else f"from {low:g} to {high:g}"
        raise OptionError(f"{name} is {value!r}; a number {ends} is allowed.")


@dataclass(frozen=True, kw_only=True)
class SharedOptions:
    """Options that every loss takes; `CrossEntropy` and `BinaryCrossEntropy` explain them."""

    classes: Sequence[Hashable] | None = None
    class_weight: ArrayLike | Mapping[Any, float] | Literal["balanced"] | None = None
    label_smoothing: float = 0.0
    clip: float | None = None
    eps: float | None = None
    check: Literal["auto", "rows", "entries"] = "auto"
    reduction: Reduction = "mean"
    unit: Unit = "nat"
    empty: Literal["error", "nan", "zero"] = "error"

    def __post_init__(self) -> None:
        if isinstance(self.class_weight, str) and self.class_weight != "balanced":
            raise OptionError(f"class_weight is {self.class_weight!r}; an array, a mapping or 'balanced' is allowed.")
        _within("label_smoothing", self.label_smoothing, 0, 1, open_ends=False)
        if self.clip is not None:
            _within("clip", self.clip, 0, 0.5, open_ends=True)
        if self.eps is not None:
            _within("eps", self.eps, 0, 1, open_ends=True)
        if self.clip is not None and self.eps is not None:
            raise OptionError("clip and eps are two ways to change probabilities; give one of them, or better none.")
        _one_of("check", self.check, ("auto", "rows", "entries"))
        _one_of("reduction", self.reduction, ("mean", "sum", "none"))
        _one_of("unit", self.unit, ("nat", "bit"))
        _one_of("empty", self.empty, ("error", "nan", "zero"))


@dataclass(frozen=True, kw_only=True)
class SoftmaxOptions(SharedOptions):
    """Options of a loss over classes of which one is true."""

    axis: int = -1
    ignore_index: int | None = None
    normalize_targets: bool = False
    empty_rows: Literal["error", "ignore"] = "error"

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("empty_rows", self.empty_rows, ("error", "ignore"))
        if self.ignore_index is not None:
            object.__setattr__(self, "ignore_index", _whole_number("ignore_index", self.ignore_index))


@dataclass(frozen=True, kw_only=True)
class BinaryOptions(SharedOptions):
    """Options of a loss over independent labels."""

    pos_weight: ArrayLike | None = None
