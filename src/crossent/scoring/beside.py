"""What comes with a block beside targets and predictions: weights, counts, values of columns, clusters, the place.

Everything is checked against the tally's options before a row is looked at. Rows of weight or count 0 are no rows: they
leave before their values are read, since the outcome of a block leaves out rows of weight 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crossent.core.check import unmasked
from crossent.core.types import ArrayLike, NDArray
from crossent.core.weights import real_numbers
from crossent.errors import DataError, OptionError, ShapeError, UnsupportedError
from crossent.scoring.counts import whole_counts
from crossent.scoring.keys import Keys, by_value
from crossent.scoring.layout import Layout
from crossent.scoring.outcome import Outcome, with_rows
from crossent.stats import Flags, Int64
from crossent.stats.identity import Identity, key_identity, row_identity
from crossent.wording import did_you_mean, listed, quoted

__all__ = ["Beside"]


@dataclass(frozen=True)
class Beside:
    """What came with a block, checked against the layout.

    Attributes:
        layout: the tally's options.
        size: rows of the block.
        weight: [n] weights, not yet looked at, or None.
        count: [n] counts, 0 where the weight is, or None.
        by: column -> [n] values of any type.
        cluster: [n] keys of any type, or None.
        source: file or table.
        first_row: number of the block's first row there.
    """

    layout: Layout
    size: int
    weight: NDArray | None
    count: Int64 | None
    by: Mapping[str, NDArray]
    cluster: NDArray | None
    source: str
    first_row: int

    @classmethod
    def of(
        cls,
        layout: Layout,
        size: int,
        weight: ArrayLike | None,
        count: ArrayLike | None,
        by: Mapping[str, ArrayLike] | None,
        cluster: ArrayLike | None,
        source: str,
        first_row: int,
    ) -> "Beside":
        """All of it as arrays.

        Raises: OptionError for columns or clusters that are missing or were not announced; UnsupportedError for counts
            where the bootstrap resamples rows; ShapeError, WeightError.
        """
        if layout.cluster != (cluster is not None):
            told = "no cluster= came with this block" if layout.cluster else "this tally was made without cluster=True"
            raise OptionError(f"{told}; clusters are announced when the tally is made, and come with every block")
        w = None if weight is None else _column(real_numbers(weight, "sample_weight"), "sample_weight", size)
        counts = None if count is None else _counts(layout, count, w, size, source, first_row)
        keys = None if cluster is None else _column(cluster, "cluster", size)
        return cls(layout, size, w, counts, _columns(layout, by or {}, size), keys, source, first_row)

    @property
    def some(self) -> bool:
        """Whether any row counts."""
        left = self.count if self.count is not None else self.weight
        return self.size > 0 if left is None else bool(left.any())

    @property
    def counted(self) -> Flags | None:
        """[n] whether a row counts; None for all."""
        left = self.count if self.count is not None else self.weight
        return None if left is None else left != 0

    def outcome(self, outcome_of: Callable[..., Outcome], rows: Flags | None) -> Outcome:
        """The outcome of some rows, [n] flags, or of all."""
        return outcome_of(sample_weight=self.weight, source=self.source, first_row=self.first_row, rows=rows)

    def keys_of(self, outcome: Outcome) -> Keys:
        """The keys of the rows that an outcome holds."""
        kept, identity = outcome.rows - self.first_row, None
        if self.cluster is not None:
            identity = self._clusters(self.cluster[kept], outcome.rows)
        elif self.layout.ci == "bootstrap":
            identity = row_identity(self.source, outcome.rows)
        return Keys(tuple(by_value(self.by[name][kept]) for name in self.layout.by), identity)

    def _clusters(self, keys: NDArray, rows: Int64) -> Identity:
        try:
            return key_identity(keys)
        except DataError as error:
            raise DataError(with_rows(f"cluster {error}", ("keys",), rows, self.source)) from error


def _columns(layout: Layout, given: Mapping[str, ArrayLike], size: int) -> dict[str, NDArray]:
    for name in (*layout.by, *given):
        if name not in given or name not in layout.by:
            told = "is missing" if name not in given else "was not announced"
            hint = did_you_mean(name, given if name not in given else layout.by)
            raise OptionError(
                f"by: column {quoted(name)} {told}; this tally's columns are {listed(layout.by) or 'none'}.{hint} "
                "Name them when the tally is made, and give each with every block."
            )
    return {name: _column(given[name], f"by[{name!r}]", size) for name in layout.by}


def _counts(layout: Layout, count: ArrayLike, weight: NDArray | None, size: int, source: str, first_row: int) -> Int64:
    if layout.ci == "bootstrap" and not layout.cluster:
        raise UnsupportedError(
            'ci="bootstrap" resamples rows, and the copies that count= stands for cannot be told apart. Use ci="hall", '
            "which is exact with counts, or repeat the rows."
        )
    counts = whole_counts(count, rows=size, source=source, first_row=first_row)
    return counts if weight is None else np.where(weight == 0, 0, counts)


def _column(values: ArrayLike, name: str, size: int) -> NDArray:
    # NumPy would make one type of a list, and so 1 of True
    array = np.asarray(values, object) if isinstance(values, list | tuple) else unmasked(values, name)
    if array.shape != (size,):
        raise ShapeError(f"{name} has shape {array.shape}; one value for each of the {size} targets is needed")
    return array
