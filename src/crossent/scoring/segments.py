"""Segments: the rows that share a value of a column, as sums that add up, and as the results that come of them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from crossent.errors import DataError
from crossent.scoring.keys import ByValue
from crossent.stats import Estimate, Flags, Float64, Int64, RatioSums
from crossent.wording import quoted

__all__ = ["MOST_VALUES", "SegmentScore", "SegmentSums", "held_classes"]

MOST_VALUES = 10_000
_MOST_CLASSES = 200  # of which a segment counts its rows
_POWERS = 9  # of a RatioSums


@dataclass(frozen=True)
class SegmentScore:
    """The rows with one value of one column.

    Attributes:
        column: the column.
        value: its value, as text; "(missing)" for rows without one.
        n: rows.
        log_loss: mean loss in nats with interval.
        infinite: rows with p = 0 at the target.
        loss_share: their share of the whole loss; None if that is 0 or inf.
        p_value: of the hypothesis that this segment's loss equals that of all rows (taken as fixed), from the same T as
            the interval; None where there is no interval, or one that is marked: too few rows for a p-value.
        p_adjusted: the same after Benjamini and Hochberg over all segments of the column.
    """

    column: str
    value: str
    n: int
    log_loss: Estimate
    infinite: int
    loss_share: float | None
    p_value: float | None
    p_adjusted: float | None


@dataclass(frozen=True, eq=False)
class SegmentSums:
    """Sums by the value of one column; `+` puts equal values together.

    Attributes:
        column: the column.
        values: the values that occurred, as text, sorted.
        ratios: one group a value: sums over the rows that have a finite number.
        others: [values] rows that have none.
        truth: [values, K] rows of each true class; [values, 0] where they are not counted.
    """

    column: str
    values: tuple[str, ...]
    ratios: RatioSums
    others: Int64
    truth: Int64
    grows: ClassVar[bool] = True  # for crossent.scoring.saved: its size depends on the rows

    def check(self) -> None:
        """Raises ValueError or DataError unless the fields fit each other."""
        k, ratios = len(self.values), self.ratios
        _check_number(self.column, k)
        if list(self.values) != sorted(set(self.values)):
            raise ValueError(f"the values of column {quoted(self.column)} are not sorted, or one is there twice")
        sizes = {len(ratios.units), len(ratios.beyond), len(self.others), *(s.group_count for s in ratios.sums)}
        if sizes != {k} or len(ratios.sums) != _POWERS or self.others.min(initial=0) < 0:
            raise ValueError(f"the sums of column {quoted(self.column)} do not fit its {k} values")
        if self.truth.ndim != 2 or len(self.truth) != k or self.truth.min(initial=0) < 0:
            raise ValueError(f"the classes of column {quoted(self.column)} do not fit its {k} values")
        if self.truth.shape[1] and np.any(self.truth.sum(axis=1) != self.rows):
            raise ValueError(f"the classes of column {quoted(self.column)} do not hold all rows")

    @classmethod
    def of(
        cls,
        column: str,
        by: ByValue,
        numbers: Float64,
        weight: Float64 | None,
        finite: Flags,
        *,
        targets: Int64 | None = None,
        class_count: int = 0,
    ) -> "SegmentSums":
        """The sums of one block.

        Args:
            column: the column.
            by: the rows by its values.
            numbers: [n] a loss, or a difference of losses.
            weight: [n] weights; None is all ones.
            finite: [n] rows whose number counts.
            targets: [n] class of every row; None if no rows of a class are counted.
            class_count: K, and none are counted above 200.
        Raises: DataError for more than 10,000 values.
        """
        _check_number(column, len(by.texts))
        k = len(by.texts)
        w = None if weight is None else weight[finite]
        ratios = RatioSums.weighted(numbers[finite], w, groups=by.place[finite], group_count=k)
        held = 0 if targets is None else held_classes(class_count)
        truth = np.zeros((k, held), np.int64)
        if targets is not None and held:
            truth = np.bincount(by.place * held + targets, minlength=k * held).astype(np.int64).reshape(k, held)
        return cls(column, by.texts, ratios, np.bincount(by.place[~finite], minlength=k).astype(np.int64), truth)

    def __add__(self, other: "SegmentSums") -> "SegmentSums":
        if self.values == other.values:
            ratios, others = self.ratios + other.ratios, self.others + other.others
            return SegmentSums(self.column, self.values, ratios, others, self.truth + other.truth)
        values = tuple(sorted({*self.values, *other.values}))
        _check_number(self.column, len(values))
        number = {value: k for k, value in enumerate(values)}
        placed = []
        for part in (self, other):
            place = np.array([number[value] for value in part.values], np.int64)
            others = np.zeros(len(values), np.int64)
            truth = np.zeros((len(values), part.truth.shape[1]), np.int64)
            others[place], truth[place] = part.others, part.truth
            placed.append(SegmentSums(self.column, values, _placed(part.ratios, place, len(values)), others, truth))
        return placed[0] + placed[1]

    @property
    def rows(self) -> Int64:
        """[values] rows of each value."""
        return self.ratios.units + self.others


def held_classes(class_count: int) -> int:
    """Of how many classes a segment counts its rows: all up to 200, else none.

    >>> held_classes(10), held_classes(201)
    (10, 0)
    """
    return class_count if class_count <= _MOST_CLASSES else 0


def _check_number(column: str, found: int) -> None:
    if found > MOST_VALUES:
        raise DataError(
            f"Column {quoted(column)} has more than {MOST_VALUES:,} values ({found:,} so far), too many for segments. "
            "Group them (by range, prefix or kind), or leave the column out."
        )


def _placed(ratios: RatioSums, place: Int64, group_count: int) -> RatioSums:
    """The same groups at other places among more."""

    def counts(old: Int64) -> Int64:
        new = np.zeros(group_count, np.int64)
        new[place] = old
        return new

    sums = tuple(s.merged(place, group_count) for s in ratios.sums)
    return RatioSums(counts(ratios.units), counts(ratios.beyond), sums)
