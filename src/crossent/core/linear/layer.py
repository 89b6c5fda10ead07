"""The linear layer in front of a loss: hidden, weight, bias after their checks, and which number spoilt a logit."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.core.check import compute_dtype, float_array
from crossent.core.faults import place
from crossent.core.linear.rows import Part, RowSource, in_place
from crossent.core.types import NDArray
from crossent.errors import NonFiniteError, ShapeError

__all__ = ["Layer", "logit_error", "make_layer", "refuse_bad_hidden", "refuse_bad_weight"]

_LOOKED_AT = 1 << 18  # numbers at a time
_ADVICE = "Mend it, or give the row sample_weight 0 to leave it out."


@dataclass(frozen=True)
class Layer:
    """logits = hidden @ weight.T + bias: hidden [..., D], weight [K, D], bias [K], as given; computed in `dtype`."""

    hidden: NDArray
    weight: NDArray
    bias: NDArray | None
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the row losses."""
        return self.hidden.shape[:-1]

    @property
    def features(self) -> int:
        """D."""
        return int(self.weight.shape[1])

    @property
    def classes(self) -> int:
        """K."""
        return int(self.weight.shape[0])

    @property
    def rows(self) -> RowSource:
        """The rows of hidden."""
        return RowSource(self.hidden)

    @property
    def weight_in_place(self) -> bool:
        """Whether the matrix product reads the weight where it lies."""
        return in_place(self.weight, self.dtype)

    def stand_in(self) -> NDArray:
        """What has the logits' shape and dtype and takes no memory: for checks that look at these only."""
        return np.broadcast_to(np.zeros((), self.dtype), (*self.shape, self.classes))


def make_layer(hidden: Any, weight: Any, bias: Any) -> Layer:
    """The layer after its checks.

    Raises: ShapeError with both shapes where they do not fit, DtypeError.
    """
    h, w = float_array(hidden, "hidden"), float_array(weight, "weight")
    if h.ndim == 0:
        raise ShapeError("hidden is a single number; shape [..., D] is needed, D features a row.")
    if w.ndim != 2:
        raise ShapeError(f"weight has shape {w.shape}; shape [K, D] is needed, a row for each class.")
    if w.shape[0] == 0:
        raise ShapeError(f"weight has shape {w.shape}: no classes.")
    if h.shape[-1] != w.shape[1]:
        turned = " It looks transposed: pass weight.T." if h.shape[-1] == w.shape[0] else ""
        raise ShapeError(
            f"hidden has shape {h.shape}, weight {w.shape}: the last axes must agree, D features (weight is [K, D], as "
            f"in torch.nn.Linear).{turned}"
        )
    b = None if bias is None else float_array(bias, "bias")
    if b is not None and b.shape != (w.shape[0],):
        raise ShapeError(
            f"bias has shape {b.shape}, weight {w.shape}: shape ({w.shape[0]},) is needed, one for each class."
        )
    dtype = max(compute_dtype(h.dtype), compute_dtype(w.dtype), key=lambda each: each.itemsize)
    return Layer(h, w, b, dtype)


def _first_bad(array: NDArray) -> int | None:
    """Where the first number that is not finite stands."""
    bad = np.flatnonzero(~np.isfinite(array))
    return int(bad[0]) if bad.size else None


def logit_error(layer: Layer, row: int, logits: NDArray) -> NonFiniteError:
    """The error for flat row number `row`, whose logits [K] were computed again."""
    index = tuple(int(i) for i in np.unravel_index(row, layer.shape)) if layer.shape else ()
    column = _culprit(logits)
    hidden, weight = place("hidden", index), place("weight", (column,))
    found = f"the logit {hidden} @ {weight}" + ("" if layer.bias is None else f" + {place('bias', (column,))}")
    found += f" (row {row}, class {column}) is {float(logits[column])}"
    d = _first_bad(layer.rows.one(row))
    if d is not None:
        return NonFiniteError(f"{place('hidden', (*index, d))} is {float(layer.rows.one(row)[d])}: {found}. {_ADVICE}")
    d = _first_bad(layer.weight[column])
    if d is not None:
        return NonFiniteError(f"{place('weight', (column, d))} is {float(layer.weight[column, d])}: {found}. Mend it.")
    if layer.bias is not None and np.isnan(layer.bias[column]):
        return NonFiniteError(f"{place('bias', (column,))} is nan: {found}. Mend it; -inf rules a class out.")
    if (logits == -np.inf).all():
        return NonFiniteError(f"all logits of {hidden} @ weight.T + bias are -inf: no class is left. Mend the bias.")
    if np.isnan(logits).any() or (logits == np.inf).sum() > 1:
        return NonFiniteError(
            f"{found}, beyond {layer.dtype.name}: at most one logit of a row may be inf. Pass smaller numbers, or "
            "float64."
        )
    return NonFiniteError(
        f"logits of {hidden} @ weight.T (row {row}) are not finite; NaN, several +inf or only -inf mean nothing. "
        f"{_ADVICE}"
    )


def _culprit(logits: NDArray) -> int:
    """The class whose logit makes a row mean nothing."""
    for bad in (np.isnan(logits), logits == np.inf):
        if bad.any():
            return int(np.argmax(bad))
    return 0


def refuse_bad_hidden(layer: Layer, part: Part, h: NDArray) -> None:
    """Refuses a number in a part of hidden that leaves no gradient, whatever the logits: 0 times infinity."""
    if _all_finite(h) or (found := _first_bad_place(h)) is None:
        return
    row = part.row(found[0])
    index = (*np.unravel_index(row, layer.shape), found[1]) if layer.shape else (found[1],)
    raise NonFiniteError(f"{place('hidden', index)} is {float(h[found])}; gradients need finite numbers. {_ADVICE}")


def refuse_bad_weight(layer: Layer, gradient: NDArray) -> None:
    """Refuses such a number in weight, looked for where a gradient of hidden is not finite; else it overflowed."""
    if _all_finite(gradient) or (found := _first_bad_place(layer.weight)) is None:
        return
    number = float(layer.weight[found])
    raise NonFiniteError(
        f"{place('weight', found)} is {number}; gradients need finite numbers. Mend it; a bias of -inf rules a class "
        "out."
    )


def _all_finite(matrix: NDArray) -> bool:
    """Whether all are finite; sums that overflow are looked at again, number by number."""
    return bool(np.isfinite(np.add.reduce(matrix, axis=None)))


def _first_bad_place(matrix: NDArray) -> tuple[int, int] | None:
    """Row and column of the first number that is not finite, looked for block by block."""
    step = max(1, _LOOKED_AT // max(1, matrix.shape[1]))
    for first in range(0, len(matrix), step):
        bad = ~np.isfinite(matrix[first : first + step])
        if bad.any():
            row, column = np.unravel_index(int(np.argmax(bad)), bad.shape)
            return first + int(row), int(column)
    return None
