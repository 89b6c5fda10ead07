"""Keys: what rows are grouped by besides their class: values of columns (segments), and clusters or row identity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from crossent.core.check import unmasked
from crossent.core.types import ArrayLike, NDArray
from crossent.errors import OptionError, ShapeError
from crossent.rows.columns import canonical_text
from crossent.scoring.layout import Layout
from crossent.stats import Int64
from crossent.stats.identity import key_identity, row_identity
from crossent.wording import did_you_mean, listed, quoted

__all__ = ["MISSING", "ByValue", "GivenKeys", "Keys", "by_value"]

MISSING = "(missing)"  # the text of a cell without a value
Identity: TypeAlias = npt.NDArray[np.uint64]


class ByValue(NamedTuple):
    """Rows by the value of a column: the canonical texts that occur, sorted, and the place of every row's, [n]."""

    texts: tuple[str, ...]
    place: Int64


def by_value(values: NDArray) -> ByValue:
    """Rows by the canonical text of their value; a missing one is "(missing)".

    >>> by_value(np.array([2.0, np.nan, 10.0, 2.0]))
    ByValue(texts=('(missing)', '10', '2'), place=array([2, 0, 1, 2]))
    """
    if values.dtype.kind in "OT":
        found, inverse = values.tolist(), np.arange(len(values))
    else:
        unique, inverse = np.unique(values, return_inverse=True)
        found = list(unique)  # NumPy's scalars keep their precision, so that float32 0.1 is "0.1"
    texts = [MISSING if (text := canonical_text(value)) is None else text for value in found]
    ordered = sorted(set(texts))
    number = {text: k for k, text in enumerate(ordered)}
    table = np.array([number[text] for text in texts], np.int64)
    return ByValue(tuple(ordered), table[inverse] if len(table) else np.zeros(0, np.int64))


@dataclass(frozen=True)
class Keys:
    """The keys of the rows of one outcome.

    Attributes:
        by: one entry for each of the layout's columns.
        identity: [n] what bootstrap or clusters group the rows by; None for an interval over rows.
    """

    by: tuple[ByValue, ...] = ()
    identity: Identity | None = None


@dataclass(frozen=True)
class GivenKeys:
    """The keys of a block as they were given, checked against the layout.

    Attributes:
        layout: of the tally.
        by: column name -> [n] values of any type.
        cluster: [n] keys of any type, or None.
    """

    layout: Layout
    by: Mapping[str, NDArray]
    cluster: NDArray | None

    @classmethod
    def of(
        cls, layout: Layout, by: Mapping[str, ArrayLike] | None, cluster: ArrayLike | None, *, rows: int
    ) -> "GivenKeys":
        """The keys, as arrays.

        Raises: OptionError for a column that is missing or was not announced; ShapeError for another length.
        """
        given = dict(by or {})
        for name in (*layout.by, *given):
            if name not in given or name not in layout.by:
                told = "is missing" if name not in given else "was not announced"
                hint = did_you_mean(name, given if name not in given else layout.by)
                raise OptionError(
                    f"by: column {quoted(name)} {told}; this tally's columns are {listed(layout.by) or 'none'}.{hint} "
                    "Name them when the tally is made, and give each with every block."
                )
        if layout.cluster != (cluster is not None):
            told = "no cluster= came with this block" if layout.cluster else "this tally was made without cluster=True"
            raise OptionError(f"{told}; clusters are announced when the tally is made, and come with every block")
        columns = {name: _column(given[name], f"by[{name!r}]", rows) for name in layout.by}
        return cls(layout, columns, None if cluster is None else _column(cluster, "cluster", rows))

    def at(self, kept: Int64, *, source: str, rows: Int64) -> Keys:
        """The keys of some rows.

        Args:
            kept: positions in the block.
            source: file or table, for the identity of rows.
            rows: their rows in the source.
        """
        identity = None
        if self.cluster is not None:
            identity = key_identity(self.cluster[kept])
        elif self.layout.ci == "bootstrap":
            identity = row_identity(source, rows)
        return Keys(tuple(by_value(self.by[name][kept]) for name in self.layout.by), identity)


def _column(values: ArrayLike, name: str, rows: int) -> NDArray:
    array = unmasked(values, name)
    if array.shape != (rows,):
        raise ShapeError(f"{name} has shape {array.shape}; one value for each of the {rows} targets is needed")
    return array
