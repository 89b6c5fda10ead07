"""Layout: what a tally knows before it has seen a row; tallies add up only if theirs are equal."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from crossent.errors import LabelError, OptionError
from crossent.stats import Float64, logit_edges

__all__ = ["Binning", "Kind", "Layout"]

Kind: TypeAlias = Literal["probs", "logits", "log_probs"]
Binning: TypeAlias = Literal["width", "mass"]
_KINDS = ("probs", "logits", "log_probs")
_BINNINGS = ("width", "mass")
_MOST_BINS = 100


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
    Raises: LabelError for repeated or no classes; OptionError for other values.

    >>> Layout(("cat", "dog"), bins=4).edges.tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """

    classes: tuple[str, ...]
    kind: Kind = "probs"
    worst: int = 10
    bins: int = 10
    binning: Binning = "width"
    clip: float | None = None
    tracked: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise LabelError(f"classes are {list(self.classes)[:20]}; a tally needs at least one, and no name twice")
        if self.kind not in _KINDS:
            raise OptionError(f"kind is {self.kind!r}; it must be one of {', '.join(_KINDS)}")
        if self.worst < 0:
            raise OptionError(f"worst is {self.worst}; the number of worst rows to keep must be >= 0")
        if not 1 <= self.bins <= _MOST_BINS:
            raise OptionError(f"bins is {self.bins}; it must be in 1..{_MOST_BINS}")
        if self.binning not in _BINNINGS:
            raise OptionError(f"binning is {self.binning!r}; it must be 'width' or 'mass'")
        if self.clip is not None and not 0 < self.clip < 0.5:
            raise OptionError(f"clip is {self.clip}; it must lie between 0 and 0.5, for example 5e-5")

    @cached_property
    def edges(self) -> Float64:
        """Edges in p of the reliability cells: those of the bins, or fine ones of which equal masses are formed."""
        return logit_edges() if self.binning == "mass" else np.linspace(0.0, 1.0, self.bins + 1)
