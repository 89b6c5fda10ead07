"""The options of the losses: what they may be, checked once when a loss is made."""

import math
from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from numbers import Real
from operator import index
from typing import Any, Literal

import numpy as np

from crossent.core.interchange import as_array
from crossent.core.shapes import Shape
from crossent.core.terms import CROSS_ENTROPY, BinaryTerms, Terms
from crossent.core.types import ArrayLike, Reduction, Unit
from crossent.errors import OptionError, UnsupportedError

__all__ = [
    "MAX",
    "BinaryOptions",
    "SharedOptions",
    "SoftmaxOptions",
    "coverage",
    "nonnegative",
    "one_of",
    "positive_number",
    "seed_number",
    "whole_number",
    "within",
    "yes_or_no",
]


_CHOICES = {
    "reduction": ("mean", "sum", "none"),
    "unit": ("nat", "bit"),
    "empty": ("error", "nan", "zero"),
    "empty_rows": ("error", "ignore"),
    "check": ("auto", "rows", "entries"),
    "curvature": ("exact", "upper"),
}
_OF_LOGITS = ("temperature", "softcap", "z_loss", "entropy_weight")
MAX = 1e100  # of what multiplies a loss or divides a logit


def one_of(name: str, value: Any) -> None:
    """One of the words that are allowed for it."""
    allowed = _CHOICES[name]
    if not isinstance(value, str) or value not in allowed:
        raise OptionError(f"{name} is {value!r}; one of {', '.join(map(repr, allowed))} is allowed.")


def whole_number(name: str, value: Any, *, low: int = -(2**63), high: int = 2**63 - 1, text: str = "") -> int:
    """An integer of Python or NumPy between two, but no bool, as an int."""
    try:
        number = None if isinstance(value, bool) else index(value)
    except TypeError:  # an array of several numbers has __index__ too
        number = None
    if number is None or not low <= number <= high:
        told = "a whole number" if number is None else "a whole number from -2^63 to 2^63 - 1"
        raise OptionError(f"{name} is {value!r}; {text or told} is allowed.")
    return number


def seed_number(seed: Any) -> int:
    """Of a generator, as an int."""
    return whole_number("seed", seed, low=0, high=2**64 - 1, text="a whole number from 0 to 2^64 - 1")


def yes_or_no(name: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise OptionError(f"{name} is {value!r}; True or False is allowed.")


def coverage(confidence: Any) -> float:
    """Of an interval: a number strictly between 0 and 1, as a float."""
    within("confidence", confidence, 0, 1, open_ends=True, text="a number between 0 and 1, for example 0.95,")
    return float(confidence)


def nonnegative(name: str, value: Any) -> None:
    """A finite number >= 0."""
    within(name, value, 0, MAX, open_ends=False, text="a finite number >= 0")


def positive_number(name: str, value: Any) -> None:
    """A number > 0, not so extreme that a division by it or its inverse leaves the numbers."""
    within(name, value, 1 / MAX, MAX, open_ends=False, text=f"a number > 0 (from {1 / MAX:g} to {MAX:g})")


def within(name: str, value: Any, low: float, high: float, *, open_ends: bool, text: str = "") -> None:
    """A real number between two."""
    number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    fits = low < number < high if open_ends else low <= number <= high
    if not fits:
        ends = f"strictly between {low:g} and {high:g}" if open_ends else f"from {low:g} to {high:g}"
        raise OptionError(f"{name} is {value!r}; {text or f'a number {ends}'} is allowed.")


def _comparable(value: Any) -> Any:
    """A value of an option in a form that has == and a hash."""
    if isinstance(value, np.ndarray):
        return (value.shape, tuple(value.reshape(-1).tolist()))
    if isinstance(value, Mapping):
        return frozenset((name, _comparable(item)) for name, item in value.items())
    return tuple(map(_comparable, value)) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedOptions:
    """Options that every loss takes; `CrossEntropy` and `BinaryCrossEntropy` explain them."""

    classes: Sequence[Hashable] | None = None
    class_weight: ArrayLike | Mapping[Any, float] | Literal["balanced"] | None = None
    label_smoothing: float = 0.0
    clip: float | None = None
    eps: float | None = None
    reduction: Reduction = "mean"
    unit: Unit = "nat"
    empty: Literal["error", "nan", "zero"] = "error"

    def refuse_unless_probabilities(self, kind: str) -> None:
        """clip and eps change probabilities; they mean nothing to logits, and eps nothing to logarithms."""
        if self.clip is None and self.eps is None:
            return
        if kind == "logits":
            name = "clip" if self.eps is None else "eps"
            raise UnsupportedError(
                f"{name} is for probabilities; the loss of logits is exact without it. Leave it out."
            )
        if kind == "log_probs" and self.eps is not None:
            raise UnsupportedError("eps is added to probabilities; pass probs= with it, or leave it out.")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    def _key(self) -> Any:
        return tuple(_comparable(getattr(self, field.name)) for field in fields(self))

    def __post_init__(self) -> None:
        self._own("classes", self.classes)
        self._own("class_weight", self.class_weight)
        if isinstance(self.class_weight, str) and self.class_weight != "balanced":
            raise OptionError(f"class_weight is {self.class_weight!r}; an array, a mapping or 'balanced' is allowed.")
        if self.label_smoothing is not SharedOptions.label_smoothing:
            within("label_smoothing", self.label_smoothing, 0, 1, open_ends=False)
        if self.clip is not None:
            within("clip", self.clip, 0, 0.5, open_ends=True)
        if self.eps is not None:
            within("eps", self.eps, 0, 1, open_ends=True)
        if self.clip is not None and self.eps is not None:
            raise OptionError("clip and eps are two ways to change probabilities; give one of them, or better none.")
        one_of("reduction", self.reduction)
        one_of("unit", self.unit)
        one_of("empty", self.empty)

    def _own(self, name: str, value: Any) -> None:
        """Copies what a caller may change later; a masked array is refused where it is used, and NumPy may fail to."""
        if isinstance(value, np.ma.MaskedArray):
            return
        if isinstance(value, (list, dict, np.ndarray)):
            object.__setattr__(self, name, copy(value))
        elif hasattr(value, "__dlpack__"):  # of another library
            object.__setattr__(self, name, as_array(value, name).copy())


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftmaxOptions(SharedOptions):
    """Options of a loss over classes of which one is true."""

    axis: int = -1
    ignore_index: int | None = None
    normalize_targets: bool = False
    empty_rows: Literal["error", "ignore"] = "error"
    check: Literal["auto", "rows", "entries"] = "auto"
    temperature: float = 1.0
    softcap: float | None = None
    z_loss: float = 0.0
    entropy_weight: float = 0.0

    @property
    def shape(self) -> Shape:
        """f of the row loss sum_j q_j f(-log p_j)."""
        return CROSS_ENTROPY

    def terms(self, K: int) -> Terms | None:
        """What makes the loss another than plain cross-entropy, for K classes."""
        return self._terms()

    def _terms(self, **more: Any) -> Terms | None:
        shape = self.shape
        if shape == CROSS_ENTROPY and not self.option_of_logits and all(value is None for value in more.values()):
            return None
        terms = Terms(
            shape=shape, softcap=None if self.softcap is None else float(self.softcap),
            temperature=float(self.temperature), z_loss=float(self.z_loss), entropy_weight=float(self.entropy_weight),
        )  # fmt: skip
        return replace(terms, **more)

    @property
    def option_of_logits(self) -> str:
        """The first option that changes logits or adds to their loss, if any is given."""
        given = (self.temperature != 1, self.softcap is not None, self.z_loss != 0, self.entropy_weight != 0)
        return next((name for name, on in zip(_OF_LOGITS, given, strict=True) if on), "")

    def refuse_unless_logits(self, kind: str) -> None:
        """temperature and its like are about raw scores."""
        name = "" if kind == "logits" else self.option_of_logits
        if name:
            raise UnsupportedError(f"{name} is for logits; {kind} are past it. Pass logits=, or leave {name} out.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature is not SoftmaxOptions.temperature:
            positive_number("temperature", self.temperature)
        if self.softcap is not None:
            positive_number("softcap", self.softcap)
        if self.z_loss is not SoftmaxOptions.z_loss:
            within("z_loss", self.z_loss, 0, MAX, open_ends=False)
        if self.entropy_weight is not SoftmaxOptions.entropy_weight:
            within("entropy_weight", self.entropy_weight, -MAX, MAX, open_ends=False)
        one_of("empty_rows", self.empty_rows)
        yes_or_no("normalize_targets", self.normalize_targets)
        one_of("check", self.check)
        if self.ignore_index is not None:
            object.__setattr__(self, "ignore_index", whole_number("ignore_index", self.ignore_index))


@dataclass(frozen=True, kw_only=True, eq=False)
class BinaryOptions(SharedOptions):
    """Options of a loss over independent labels."""

    pos_weight: ArrayLike | None = None

    def terms(self) -> BinaryTerms | None:
        """What makes the loss another than plain cross-entropy."""
        return None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._own("pos_weight", self.pos_weight)
