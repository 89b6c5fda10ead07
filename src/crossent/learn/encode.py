"""From columns of a file to the numbers a model is fitted on: which columns, which classes, which scale.

Number and boolean columns are features, in the order of the file; each is centred and divided by its standard
deviation, so that one penalty suits all columns and any solver is quick. A constant column gets scale 1.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossent.errors import DataError
from crossent.learn.moments import moments
from crossent.learn.types import Codes, Floats
from crossent.rows.block import Block
from crossent.rows.columns import HasColumns, require_column
from crossent.wording import listed, quoted

__all__ = ["ClassCodes", "Standardiser", "choose_features", "finite_matrix", "fit_encoder", "natural_order"]


class Standardiser(NamedTuple):
    """For each of D features its center, its scale > 0 and whether it is constant: see `standardised`."""

    center: Floats
    scale: Floats
    constant: npt.NDArray[np.bool_]


def fit_encoder(features: Floats) -> Standardiser:
    """Mean and standard deviation of every column [N, D]; constant columns get scale 1.

    >>> fit_encoder(np.array([[1.0, 5.0], [3.0, 5.0]])).scale
    array([1., 1.])
    """
    center, spread = moments(features)
    constant = spread == 0
    return Standardiser(center, np.where(constant, 1.0, spread), constant)


def choose_features(
    source: HasColumns, *, target: str, drop: Sequence[str] = (), features: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The columns to fit on: all but the target and those dropped, in the order of the file, or those named.

    Raises: DataError for a column that is missing, named twice, the target itself, or not made of numbers.
    """
    for name in (target, *drop):
        require_column(source, name)
    if target in drop:
        raise DataError(f"Column {quoted(target)} is the target and cannot be dropped. Take it out of --drop.")
    if features is None:
        kept = [column for column in source.columns if column.name != target and column.name not in drop]
    else:
        kept = [require_column(source, name) for name in features if name not in drop]
        _refuse_wrong_names([column.name for column in kept], target)
    unusable = [column for column in kept if column.kind not in ("number", "boolean")]
    if unusable:
        first = unusable[0]
        every = " ".join(f"--drop {column.name}" for column in unusable[:8])
        others = f" (as {len(unusable) - 1} more)" if len(unusable) > 1 else ""
        raise DataError(
            f"{source.name}: column {quoted(first.name)}{others} is of kind {first.kind}, and only number "
            f"and boolean columns can be features. Leave it out with {every}, or convert it to numbers."
        )
    if not kept:
        raise DataError(
            f"{source.name}: no feature columns are left besides the target {quoted(target)}. "
            f"Its columns are {listed([column.name for column in source.columns], 12)}."
        )
    return tuple(column.name for column in kept)


def _refuse_wrong_names(names: Sequence[str], target: str) -> None:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise DataError(f"Feature column {quoted(twice[0])} is named more than once. Name every column once.")
    if target in names:
        raise DataError(f"Column {quoted(target)} is the target and cannot be a feature. Take it out of the features.")


def finite_matrix(block: Block, features: Sequence[str], *, droppable: bool = False) -> Floats:
    """The features of a block as float64 [n, D]; `droppable` tells whether the caller may do without a column.

    Raises: DataError naming row and column of the first cell that is missing, NaN or infinite.
    """
    matrix = block.matrix(features)
    if not np.isfinite(matrix).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(matrix))[0])
        found = "missing or NaN" if np.isnan(matrix[row, column]) else "infinite"
        remedy = f", leave out the row, or --drop {features[column]}" if droppable else " or leave out the row"
        raise DataError(
            f"{block.place(row)}: column {quoted(features[column])} is {found} there; every feature needs a "
            f"finite number. Fill in the cell{remedy}."
        )
    return matrix


class ClassCodes:
    """Collects the classes of a target column block by block; `finish` puts them into natural order."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._position: dict[str, int] = {}
        self._parts: list[Codes] = []

    def add(self, block: Block) -> None:
        """Note the targets of a block.

        Raises: DataError naming the row of the first missing target.
        """
        position = self._position
        codes = [-1 if cell is None else position.setdefault(cell, len(position)) for cell in block.text(self._target)]
        if -1 in codes:
            raise DataError(
                f"{block.place(codes.index(-1))}: the target column {quoted(self._target)} is empty there; a "
                f"fit needs the class of every row. Fill in the cell, or leave out the row."
            )
        self._parts.append(np.array(codes, dtype=np.int64))

    def finish(self) -> tuple[tuple[str, ...], Codes]:
        """Class names in natural order, and the index of every row's class [N]."""
        classes = natural_order(self._position)
        rank = np.empty(len(classes), dtype=np.int64)
        rank[[self._position[name] for name in classes]] = np.arange(len(classes))
        found = np.concatenate(self._parts) if self._parts else np.empty(0, dtype=np.int64)
        return classes, rank[found]


def natural_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels numerically if all of them are numbers, otherwise alphabetically.

    >>> natural_order(["10", "9", "-1.5"]), natural_order(["b", "10", "9"])
    (('-1.5', '9', '10'), ('10', '9', 'b'))
    """
    texts = list(labels)
    numbers = {text: _as_number(text) for text in texts}
    if any(number is None for number in numbers.values()):
        return tuple(sorted(texts))
    return tuple(sorted(texts, key=lambda text: (numbers[text], text)))


def _as_number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
