"""Who is taken for whom: counts by true and predicted class, precision, recall, F1, and surprise in bits."""

from dataclasses import dataclass

import numpy as np

from crossent.core.accumulate import ExactSum
from crossent.scoring.outcome import Outcome
from crossent.stats import Int64

__all__ = ["Confusion", "ConfusionSums", "Macro"]


@dataclass(frozen=True, eq=False)
class ConfusionSums:
    """What a Confusion is made of; `+` adds.

    Attributes:
        counts: [K, K] rows by true and predicted class.
        zeros: [K, K] rows of true class t with p_j = 0.
        surprise: [K * K] groups: sum of w (-log p_j) over the rows of true class t with p_j > 0, each rounded to a
            multiple of 2^-39 as in crossent.scoring.moments.
        weight: [K * K] groups: sum of w by true and predicted class; None where no row has a weight.
    """

    counts: Int64
    zeros: Int64
    surprise: ExactSum
    weight: ExactSum | None

    @classmethod
    def of(cls, outcome: Outcome, class_count: int) -> "ConfusionSums | None":
        """The sums of one block; None above 200 classes."""
        sums, w, k = outcome.sums, outcome.weight, class_count
        if sums.surprise is None or sums.zeros is None:
            return None
        cell = outcome.targets * k + outcome.predicted
        counts = np.bincount(cell, minlength=k * k).reshape(k, k)
        weight = None if w is None else ExactSum.of(w, groups=cell, group_count=k * k)
        return cls(counts, sums.zeros, sums.surprise, weight)

    def __add__(self, other: "ConfusionSums") -> "ConfusionSums":
        weight = None
        if self.weight is not None or other.weight is not None:
            weight = self.weights() + other.weights()
        return ConfusionSums(
            self.counts + other.counts, self.zeros + other.zeros, self.surprise + other.surprise, weight
        )

    def weights(self) -> ExactSum:
        """[K * K] groups: sum of w by true and predicted class, w = 1 for rows without a weight."""
        return ExactSum.of_counts(self.counts) if self.weight is None else self.weight


@dataclass(frozen=True)
class Macro:
    """Means over the classes, each counted alike.

    Attributes:
        precision, recall, f1: means of the classes' values; a class without rows counts as 0 where others take it for
            theirs, and leaves where it neither occurs nor is predicted.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Confusion:
    """Rows by true class (first index) and predicted class, for at most 200 classes.

    Attributes:
        counts: rows.
        shares: share of the true class's weight; None for a class without rows.
        bits: mean of -log2 p_j over the rows of each true class; inf where such a row has p_j = 0.
        threshold: of two classes, the probability above which the positive one is predicted.
    """

    counts: tuple[tuple[int, ...], ...]
    shares: tuple[tuple[float, ...] | None, ...]
    bits: tuple[tuple[float, ...] | None, ...]
    threshold: float | None
