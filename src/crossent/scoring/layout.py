"""Layout: what a tally knows before it has seen a row; tallies add up only if theirs are equal."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from crossent.core.options import whole_number, within
from crossent.core.text import canonical_text
from crossent.core.types import ArrayLike, NDArray
from crossent.errors import LabelError, OptionError, ShapeError
from crossent.stats import Int64
from crossent.wording import counted, did_you_mean, listed, quoted

__all__ = [
    "MOST_TRACKED",
    "Binning",
    "Interval",
    "Kind",
    "Layout",
    "Prior",
    "commonest",
    "prior_shares",
    "rows_of_classes",
]

Kind: TypeAlias = Literal["probs", "logits", "log_probs"]
Binning: TypeAlias = Literal["width", "mass"]
Interval: TypeAlias = Literal["hall", "bootstrap"]
Prior: TypeAlias = Mapping[str, float] | Sequence[float]
_KINDS = ("probs", "logits", "log_probs")
_BINNINGS = ("width", "mass")
_INTERVALS = ("hall", "bootstrap")
_MOST_BINS = 100
MOST_TRACKED = 200
_ROUNDING = 2.0**-52  # of one share


@dataclass(frozen=True)
class Layout:
    """The options of a tally.

    Attributes:
        classes: class names in column order.
        kind: what predictions are.
        worst: number of worst rows kept.
        bins: number of reliability bins that are shown.
        binning: how these bins are formed.
        clip: losses are those of p moved into [clip, 1 - clip]; None leaves them as they are.
        tracked: classes (column numbers) that get cells of their own, at most 200; () for two classes.
        by: names of the columns whose values are segments.
        cluster: whether rows come with keys of clusters.
        ci: how the interval of the log loss is found.
        threshold: of two classes, the probability above which the positive one is predicted.
        prior: shares of the classes that the baseline predicts, in column order; None for those of the rows.
    Raises: LabelError for repeated or no classes; OptionError for other values.

    >>> Layout(("cat", "dog")).threshold
    0.5
    """

    classes: tuple[str, ...]
    kind: Kind = "probs"
    worst: int = 10
    bins: int = 10
    binning: Binning = "width"
    clip: float | None = None
    tracked: tuple[int, ...] = ()
    by: tuple[str, ...] = ()
    cluster: bool = False
    ci: Interval = "hall"
    threshold: float = 0.5
    prior: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise LabelError(f"classes are {list(self.classes)[:20]}; a tally needs at least one, and no name twice")
        for name, allowed in (("kind", _KINDS), ("binning", _BINNINGS), ("ci", _INTERVALS)):
            if getattr(self, name) not in allowed:
                raise OptionError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}")
        self._check_numbers()
        if self.threshold != 0.5 and len(self.classes) != 2:
            raise OptionError(f"threshold is for two classes; this tally has {len(self.classes)}: leave it out")
        if len(set(self.by)) < len(self.by):
            raise OptionError(f"by names a column twice: {listed(self.by)}. Name each once.")
        self._check_tracked()

    @property
    def method(self) -> str:
        """How intervals are formed: "hall", "bootstrap" (of rows or whole clusters), or "clusters"."""
        return "clusters" if self.cluster and self.ci == "hall" else self.ci

    def check(self) -> None:
        """For layouts from elsewhere: raises ShapeError or OptionError for a prior that is none of `prior_shares`."""
        prior_shares(self.prior, self.classes)
        if self.prior is not None and abs(math.fsum(self.prior) - 1.0) > _ROUNDING * len(self.prior):
            raise OptionError(f"prior has shares that sum to {math.fsum(self.prior):.9g}, not to 1")

    def _check_numbers(self) -> None:
        """Numbers of NumPy become Python's, so that equal options are equal bytes."""
        bins = f"a whole number from 1 to {_MOST_BINS}"
        numbers: dict[str, Any] = {
            "worst": whole_number("worst", self.worst, low=0, text="a whole number >= 0, of the worst rows to keep,"),
            "bins": whole_number("bins", self.bins, low=1, high=_MOST_BINS, text=bins),
        }
        within("threshold", self.threshold, 0, 1, open_ends=True)
        numbers["threshold"] = float(self.threshold)
        if self.clip is not None:
            within("clip", self.clip, 0, 0.5, open_ends=True, text="a number between 0 and 0.5, for example 5e-5,")
            numbers["clip"] = float(self.clip)
        for name, number in numbers.items():
            object.__setattr__(self, name, number)

    def _check_tracked(self) -> None:
        k = len(self.classes)
        if len(self.tracked) > MOST_TRACKED or len(set(self.tracked)) < len(self.tracked):
            raise OptionError(f"tracked has {len(self.tracked)} columns; at most {MOST_TRACKED} are allowed, each once")
        if not all(0 <= column < k for column in self.tracked):
            raise OptionError(f"tracked names a column outside 0..{k - 1}; give numbers of columns")


def prior_shares(prior: Prior | None, classes: tuple[str, ...]) -> tuple[float, ...] | None:
    """The shares that a baseline predicts, in column order.

    Args:
        prior: shares or counts, >= 0, by class name (a class that is left out has 0) or in column order; they are
            divided by their sum.
        classes: class names.
    Returns: [K] shares that sum to 1, or None for None.
    Raises: LabelError for a name that is no class; ShapeError for another length; OptionError for other numbers.

    >>> prior_shares({"dog": 1, "cat": 3}, ("cat", "dog", "owl"))
    (0.75, 0.25, 0.0)
    """
    if prior is None:
        return None
    if isinstance(prior, Mapping):
        shares = {canonical_text(name): share for name, share in prior.items()}
        for name in shares:
            if name not in classes:
                hint = did_you_mean(str(name), classes)
                raise LabelError(
                    f"prior names {quoted(str(name))}, which is none of the classes {listed(classes)}.{hint}"
                )
        numbers = [float(shares.get(name, 0.0)) for name in classes]
    else:
        numbers = [float(share) for share in prior]
    if len(numbers) != len(classes):
        raise ShapeError(f"prior has {len(numbers)} numbers, but there are {len(classes)} classes: they must agree")
    bad = next((x for x in numbers if not 0 <= x < math.inf), None)
    total = math.fsum(numbers)
    if bad is not None or not total:
        found = "has no number above 0" if bad is None else f"holds {bad:g}"
        raise OptionError(f"prior {found}; shares or counts of the classes, >= 0, are allowed")
    return tuple(x / total for x in numbers)


def commonest(counts: Int64) -> tuple[int, ...]:
    """The numbers of the 200 classes with most rows, the first of those with as many.

    >>> len(commonest(np.ones(300, np.int64)))
    200
    """
    order = np.argsort(-counts, kind="stable")[:MOST_TRACKED]
    return tuple(sorted(order.tolist()))


def rows_of_classes(targets: NDArray, copies: Int64, weight: ArrayLike | None, classes: int) -> Int64:
    """How many rows each class has: a row of count c is c rows, one of weight 0 is none; targets outside are left out.

    >>> rows_of_classes(np.array([0, 2, 2]), np.array([1, 5, 1]), [1.0, 0.0, 2.0], 3).tolist()
    [1, 0, 1]
    """
    inside = (targets >= 0) & (targets < classes)
    if weight is not None and np.shape(weight) == targets.shape:  # other shapes are refused by the tally
        inside &= np.asarray(weight) != 0
    rows = np.zeros(classes, np.int64)
    np.add.at(rows, targets[inside].astype(np.int64), copies[inside])
    return rows


def told(name: str, layout: Layout, n: int, *more: str, without: tuple[str, ...] = ()) -> str:
    """The repr of a tally: rows, classes, options that are not the usual ones.

    >>> told("Tally", Layout(("cat", "dog"), clip=1e-5), 3)
    "Tally(3 rows, classes 'cat', 'dog', kind='probs', clip=1e-05)"
    """
    usual = {f.name: f.default for f in fields(Layout) if f.default is not MISSING}
    hidden = {"classes", "kind", "tracked", *without}
    options = [
        f"{f.name}={value!r}"
        for f in fields(Layout)
        if f.name not in hidden and (value := getattr(layout, f.name)) != usual[f.name]
    ]
    parts = [counted(n), f"classes {listed(layout.classes)}", *more, f"kind={layout.kind!r}", *options]
    return f"{name}({', '.join(parts)})"
