"""The sums of a comparison: rows by what befell them, and the sums of both losses and of their difference.

The difference d = loss_B - loss_A is kept as its rounded value and its error, so nothing of it is lost: two models that
differ by 1e-12 nat everywhere are told apart.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from crossent.scoring.outcome import Outcome
from crossent.scoring.spread import Spread, Unit
from crossent.stats import Cells, Flags, Float64, Int64

__all__ = ["A_ONLY", "BETTER", "BOTH", "B_ONLY", "KINDS", "TIED", "WORSE", "CompareSums", "Pair"]

# What befalls a row: B's loss is smaller, equal, larger; only A's is infinite, only B's, both.
BETTER, TIED, WORSE, A_ONLY, B_ONLY, BOTH = range(6)
KINDS = 6


class Pair(NamedTuple):
    """The losses of A and B in the same rows.

    Attributes:
        a, b: [n] losses in nats, inf where p = 0 at the target.
        weight: [n] weights > 0, or None for all ones.
        unit: which rows vary together, for intervals that need it.
    """

    a: Float64
    b: Float64
    weight: Float64 | None
    unit: Unit

    @classmethod
    def of(cls, a: Outcome, b: Outcome, unit: Unit) -> "Pair":
        """The losses of two outcomes of the same targets."""
        return cls(a.losses, b.losses, a.weight, unit)

    def rows(self, kept: Flags) -> "Pair":
        """Some of the rows."""
        weight = None if self.weight is None else self.weight[kept]
        return Pair(self.a[kept], self.b[kept], weight, self.unit.rows(kept))

    def kinds(self) -> Int64:
        """What befalls every row, [n] in 0..KINDS - 1."""
        kind = np.where(self.b < self.a, BETTER, np.where(self.b > self.a, WORSE, TIED))
        beyond_a, beyond_b = np.isinf(self.a), np.isinf(self.b)
        kind[beyond_a] = A_ONLY
        kind[beyond_b] = B_ONLY
        kind[beyond_a & beyond_b] = BOTH
        return kind.astype(np.int64)

    def difference(self) -> tuple[Float64, Float64]:
        """b - a of finite losses as value and error, exactly.

        Source: Knuth, The Art of Computer Programming 2, 4.2.2, theorem B.
        """
        d = self.b - self.a
        b = d + self.a
        return d, (self.b - b) - (self.a - (b - d))


@dataclass(frozen=True, eq=False)
class CompareSums:
    """What a comparison knows of its rows; `+` adds rows.

    Attributes:
        kinds: cells by what befell the row: counts, w, w^2.
        a, b, difference: spreads over the rows in which both losses are finite.
        a_alone, b_alone: spreads of the finite loss where the other one is infinite.
    """

    kinds: Cells
    a: Spread
    b: Spread
    difference: Spread
    a_alone: Spread
    b_alone: Spread

    @classmethod
    def of(cls, pair: Pair) -> "CompareSums":
        """The sums of one block."""
        kind = pair.kinds()
        again = np.ones(len(kind), np.bool_) if pair.weight is None else pair.weight
        both, only_b, only_a = (pair.rows(kept) for kept in (kind < A_ONLY, kind == A_ONLY, kind == B_ONLY))
        d, d_error = both.difference()
        return cls(
            kinds=Cells.of(kind, KINDS, again, weight=pair.weight),
            a=Spread.of(both.a, both.weight, unit=both.unit),
            b=Spread.of(both.b, both.weight, unit=both.unit),
            difference=Spread.of(d, both.weight, error=d_error, unit=both.unit),
            a_alone=Spread.of(only_a.a, only_a.weight, unit=only_a.unit),
            b_alone=Spread.of(only_b.b, only_b.weight, unit=only_b.unit),
        )

    def __add__(self, other: "CompareSums") -> "CompareSums":
        return CompareSums(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})
