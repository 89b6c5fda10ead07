"""Columns: from a block of a table to what the `update` of a tally takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.errors import DataError, NonFiniteError
from crossent.rows.binding import Binding
from crossent.rows.block import Block
from crossent.stats import Float64
from crossent.wording import quoted

__all__ = ["Columns", "predictions"]


@dataclass(frozen=True)
class Columns:
    """Names of the columns that come beside the target and the predictions.

    Attributes:
        weight: weights.
        count: counts.
        cluster: keys of clusters.
        by: columns whose values are segments.
    """

    weight: str | None = None
    count: str | None = None
    cluster: str | None = None
    by: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(name for name in (self.weight, self.count, self.cluster, *self.by) if name is not None)

    def of(self, block: Block) -> dict[str, Any]:
        """What a block holds of them, and its place, as keywords for the `update` of a tally.

        Raises: DataError for a missing weight.
        """
        weight = None
        if self.weight is not None:
            weight = _filled(block, (self.weight,), block.numbers(self.weight)[:, None])[:, 0]
        return {
            "sample_weight": weight,
            "count": None if self.count is None else block.numbers(self.count),
            "by": {name: block.text(name) for name in self.by},
            "cluster": None if self.cluster is None else block.text(self.cluster),
            "source": block.source,
            "first_row": block.first_row,
        }


def predictions(block: Block, binding: Binding) -> Float64:
    """The prediction columns of a block, [n, K] or [n, 1], every cell a number; the tally looks at ranges and row sums
    of probabilities.

    Raises: DataError for a missing cell, or a row without a class; NonFiniteError for an infinite logit.
    """
    values = _filled(block, binding.columns, block.matrix(binding.columns))
    if binding.kind == "logits":
        if (top := values == np.inf).any():
            row, column = (int(k) for k in np.argwhere(top)[0])
            raise NonFiniteError(
                f"{block.place(row)}: column {quoted(binding.columns[column])} is inf; a logit may be any number or "
                "-inf. Correct the cell."
            )
        ruled_out = np.isneginf(values).all(axis=1)
        if ruled_out.any() and binding.positive is None:
            i = int(np.argmax(ruled_out))
            raise DataError(f"{block.place(i)}: every logit is -inf, so no class is left. Correct the row.")
    return values


def _filled(block: Block, columns: tuple[str, ...], values: Float64) -> Float64:
    """The values, if none is missing or NaN."""
    bad = np.isnan(values)
    if bad.any():
        row, column = (int(k) for k in np.argwhere(bad)[0])
        raise DataError(
            f"{block.place(row)}: column {quoted(columns[column])} is missing or NaN there; a number is needed. "
            "Fill in the cell, or leave out the row."
        )
    return values
