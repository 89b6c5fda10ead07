"""The sums of a comparison: rows by what befell them, and the sums of both losses and of their difference.

The difference d = loss_B - loss_A is kept as its rounded value and its error, so nothing of it is lost: two models that
differ by 1e-12 nat everywhere are told apart.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from crossent.scoring.adding import sum_of_fields
from crossent.scoring.keys import ByValue, Keys
from crossent.scoring.layout import Layout
from crossent.scoring.segments import SegmentSums
from crossent.scoring.spread import Spread
from crossent.stats import Cells, Flags, Float64, Int64

__all__ = ["A_ONLY", "BETTER", "BOTH", "B_ONLY", "TIED", "CompareSums", "Pair", "SegmentRows"]

# What befalls a row: B's loss is smaller, equal, larger; only A's is infinite, only B's, both.
BETTER, TIED, WORSE, A_ONLY, B_ONLY, BOTH = range(6)
_BEFALLS = 6


class Pair(NamedTuple):
    """The losses of A and B in the same rows.

    Attributes:
        targets: [n] class of every row.
        a, b: [n] losses in nats, inf where p = 0 at the target.
        weight: [n] weights > 0, or None for all ones.
        keys: segments, and clusters or identities, of the rows.
        distributions: whether A's and B's predictions came as logits and look like probabilities.
    """

    targets: Int64
    a: Float64
    b: Float64
    weight: Float64 | None
    keys: Keys
    distributions: tuple[bool, bool] = (False, False)

    def befell(self) -> Int64:
        """What befalls every row, [n] in 0..5."""
        kind = np.where(self.b < self.a, BETTER, np.where(self.b > self.a, WORSE, TIED))
        beyond_a, beyond_b = np.isinf(self.a), np.isinf(self.b)
        kind[beyond_a], kind[beyond_b], kind[beyond_a & beyond_b] = A_ONLY, B_ONLY, BOTH
        return kind.astype(np.int64)


def _difference(a: Float64, b: Float64) -> tuple[Float64, Float64]:
    """b - a of finite losses as value and error, exactly.

    Source: Knuth, The Art of Computer Programming 2, 4.2.2, theorem B.
    """
    d = b - a
    back = d + a
    return d, (b - back) - (a - (back - d))


@dataclass(frozen=True, eq=False)
class SegmentRows:
    """The rows by the value of one column; `+` puts equal values together.

    Attributes:
        finite: differences of the rows in which both losses are finite; the others are counted.
        a_only, b_only: rows in which one loss alone is infinite, as sums of nothing.
    """

    finite: SegmentSums
    a_only: SegmentSums
    b_only: SegmentSums

    @classmethod
    def of(
        cls, column: str, by: ByValue, kind: Int64, d: Float64, weight: Float64 | None, targets: Int64, class_count: int
    ) -> "SegmentRows":
        """The sums of one block; d counts where both losses are finite, and the classes of all rows are counted."""
        nothing = np.zeros(len(kind))
        return cls(
            SegmentSums.of(column, by, d, weight, kind < A_ONLY, targets=targets, class_count=class_count),
            SegmentSums.of(column, by, nothing, None, kind == A_ONLY),
            SegmentSums.of(column, by, nothing, None, kind == B_ONLY),
        )

    @property
    def parts(self) -> tuple[SegmentSums, SegmentSums, SegmentSums]:
        """All three."""
        return self.finite, self.a_only, self.b_only

    def check(self) -> None:
        """Raises ValueError unless all are sums over the same rows by the same column."""
        if len({(part.column, part.values, tuple(part.rows.tolist())) for part in self.parts}) > 1:
            raise ValueError("the rows of a segment differ")

    def __add__(self, other: "SegmentRows") -> "SegmentRows":
        return sum_of_fields(self, other)


@dataclass(frozen=True, eq=False)
class CompareSums:
    """What a comparison knows of its rows; `+` adds rows.

    Attributes:
        truth: [K] rows of each class.
        befell: cells by what befell the row: counts, w, w^2.
        a, b, difference: spreads over the rows in which both losses are finite.
        a_alone, b_alone: spreads of the finite loss where the other one is infinite.
        segments: one entry a column.
        distributions: whether all of A's and of B's predictions came as logits and look like probabilities.
    """

    truth: Int64
    befell: Cells
    a: Spread
    b: Spread
    difference: Spread
    a_alone: Spread
    b_alone: Spread
    segments: tuple[SegmentRows, ...]
    distributions: tuple[bool, bool]

    @classmethod
    def of(cls, pair: Pair, layout: Layout) -> "CompareSums":
        """The sums of one block."""
        kind, w, identity = pair.befell(), pair.weight, pair.keys.identity
        both = kind < A_ONLY

        def spread(values: Float64, rows: Flags, error: Float64 | None = None) -> Spread:
            weight = None if w is None else w[rows]
            keys = None if identity is None else identity[rows]
            return Spread.of(values, weight, layout, error=error, identity=keys)

        d, d_error = _difference(pair.a[both], pair.b[both])
        everywhere = np.zeros(len(kind))
        everywhere[both] = d
        return cls(
            truth=np.bincount(pair.targets, minlength=len(layout.classes)).astype(np.int64),
            befell=Cells.of(kind, _BEFALLS, np.ones(len(kind), np.bool_) if w is None else w, weight=w),
            a=spread(pair.a[both], both),
            b=spread(pair.b[both], both),
            difference=spread(d, both, d_error),
            a_alone=spread(pair.a[kind == B_ONLY], kind == B_ONLY),
            b_alone=spread(pair.b[kind == A_ONLY], kind == A_ONLY),
            segments=tuple(
                SegmentRows.of(column, by, kind, everywhere, w, pair.targets, len(layout.classes))
                for column, by in zip(layout.by, pair.keys.by, strict=True)
            ),
            distributions=pair.distributions,
        )

    def check(self) -> None:
        """Whether sums from elsewhere can be used.

        Raises: ValueError unless all are sums over the same rows.
        """
        counts = self.befell.counts.tolist()
        if len(counts) != _BEFALLS or len(self.befell.sums) != 2:
            raise ValueError(f"a comparison has {len(counts)} fates of rows, and {len(self.befell.sums)} sums of each")
        finite = sum(counts[:A_ONLY])
        rows = [spread.rows.units.tolist() for spread in (self.a, self.b, self.difference, self.a_alone, self.b_alone)]
        if rows != [[finite], [finite], [finite], [counts[B_ONLY]], [counts[A_ONLY]]]:
            raise ValueError(f"the spreads of a comparison speak of {rows} rows, their fates of {counts}")
        if any(int(rows.sum()) != sum(counts) for rows in (self.truth, *(s.finite.rows for s in self.segments))):
            raise ValueError("the classes or segments of a comparison do not hold all rows")

    def __add__(self, other: "CompareSums") -> "CompareSums":
        (a, b), (other_a, other_b) = self.distributions, other.distributions
        return replace(sum_of_fields(self, other), distributions=(a and other_a, b and other_b))
