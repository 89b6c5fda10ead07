"""What an estimator accepts as features, weights and column names, each checked once on the way in.

float32 and float64 stay where they lie; that all are finite is found by the pass that comes anyway (`finite_moments`,
`finite_logits`), and only a failure looks for the cell. scikit-learn's estimator checks look for some phrases
("Complex data not supported", "0 feature(s) (shape=", "is expecting 4 features as input", "The feature names should
match"), which are kept verbatim.
"""

from typing import Any

import numpy as np

from crossent.core import weights as core_weights
from crossent.core.check import unmasked
from crossent.core.matrix import DenseMatrix, Matrix, SparseMatrix
from crossent.core.matrix.matrix import ColumnMoments
from crossent.core.types import NDArray
from crossent.errors import DataError, DtypeError, NonFiniteError, ShapeError, WeightError
from crossent.learn.types import Floats

__all__ = [
    "column_names",
    "feature_matrix",
    "feature_names",
    "finite_logits",
    "finite_moments",
    "require_same_names",
    "row_weights",
]


def _names(table: Any) -> list[Any] | None:
    """The column names of a data frame or Arrow table, of whatever type; None for anything else."""
    names = getattr(table, "column_names", None)
    if names is None:
        names = getattr(table, "columns", None)
    return None if names is None or callable(names) else list(names)


def column_names(table: Any) -> NDArray | None:
    """Column names [D] of a data frame or Arrow table if all are text, otherwise None."""
    names = _names(table)
    return np.array(names, dtype=object) if names and all(isinstance(name, str) for name in names) else None


def feature_names(X: Any) -> NDArray | None:
    """`column_names` of features.

    Raises: DtypeError if only some of the names are text.
    """
    names = _names(X) or []
    texts = sum(isinstance(name, str) for name in names)
    if 0 < texts < len(names):
        raise DtypeError(
            f"Feature names are only supported if all input features have string names; {texts} of "
            f"{len(names)} have. Rename the columns, for instance with X.columns = X.columns.astype(str)."
        )
    return column_names(X)


def require_same_names(names: NDArray | None, fitted: NDArray | None) -> None:
    """Refuse a frame whose columns are not those of `fit`, in the same order.

    Raises: DataError.
    """
    if names is None or fitted is None or np.array_equal(names, fitted):
        return
    message = "The feature names should match those that were passed during fit.\n"
    unseen, missing = sorted(set(names) - set(fitted)), sorted(set(fitted) - set(names))
    if unseen:
        message += "Feature names unseen at fit time:\n" + _bullets(unseen)
    if missing:
        message += "Feature names seen at fit time, yet now missing:\n" + _bullets(missing)
    if not unseen and not missing:
        message += "Feature names must be in the same order as they were in fit.\n"
    raise DataError(message)


def _bullets(names: list[str], limit: int = 5) -> str:
    shown = [f"- {name}\n" for name in names[:limit]]
    return "".join(shown) + ("- ...\n" if len(names) > limit else "")


def feature_matrix(X: Any, *, names: NDArray | None = None, owner: str = "", width: int | None = None) -> Matrix:
    """Features [N, D] as float32 or float64, which may still hold NaN and infinities.

    Args:
        X: anything NumPy can view as a matrix of numbers, a data frame, an Arrow table, or a sparse matrix of SciPy.
        names: its column names, where it has them.
        owner: class name of the estimator, for messages.
        width: number of features in `fit`; None in `fit` itself, which also needs at least one row.
    Returns: a Matrix on the memory of X if its rows are float32 or float64 without gaps between the columns, else a
        copy.
    Raises: ShapeError, DataError, DtypeError, UnsupportedError.
    """
    if hasattr(X, "tocsr"):
        _check_shape(tuple(X.shape), owner, width)
        return _sparse(X)
    array = _numbers(X, names)
    _check_shape(array.shape, owner, width)
    return DenseMatrix(_rows_without_gaps(array))


def _check_shape(shape: tuple[int, ...], owner: str, width: int | None) -> None:
    if len(shape) != 2:
        raise ShapeError(
            f"X has shape {shape}; expected a 2D array [rows, features]. Reshape your data: "
            f"X.reshape(-1, 1) if it is one feature, X.reshape(1, -1) if it is one row."
        )
    if shape[1] == 0:
        raise ShapeError(
            f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required. Pass at least one column."
        )
    if width is None and shape[0] == 0:
        raise ShapeError(
            f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required. Pass at least two rows."
        )
    if width is not None and shape[1] != width:
        raise ShapeError(
            f"X has {shape[1]} features, but {owner} is expecting {width} features as input. "
            f"Pass the columns of fit in the same order; X has shape {shape}."
        )


def _rows_without_gaps(array: NDArray) -> NDArray:
    """The array if a row's columns lie side by side and the rows one after another, at any distance; else a copy."""
    fits = array.strides[1] == array.itemsize and array.strides[0] >= 0
    return array if fits and array.flags.aligned else array.copy(order="C")


def _sparse(X: Any) -> SparseMatrix:
    """A sparse matrix of SciPy, of any format, as compressed rows without repeated cells."""
    rows = X.tocsr()
    if rows.dtype.kind not in "biuf":
        _refuse_kind(rows.data)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return SparseMatrix(_floating(rows.data), rows.indices, rows.indptr, int(rows.shape[1]))


def _floating(array: NDArray) -> NDArray:
    """Numbers as float32 or float64 of this machine's byte order."""
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _numbers(X: Any, names: NDArray | None) -> NDArray:
    """X as float32 or float64 of any shape."""
    if hasattr(X, "__arrow_c_stream__") and not hasattr(X, "__array__") and names is not None:
        return _arrow_numbers(X, names)
    array = unmasked(X, "X")
    if array.dtype.kind in "biuf":
        return _floating(array)
    _refuse_kind(array)
    try:
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        place = _first_non_number(array)
        message = f"X holds something that is not a number{place}: {error}. Convert or drop such columns."
        raise (DtypeError if isinstance(error, TypeError) else DataError)(message) from None


def _arrow_numbers(X: Any, names: NDArray) -> Floats:
    """The columns of an object that offers nothing but an Arrow stream, such as a relation of DuckDB."""
    from crossent.rows.sources import from_table  # needs pyarrow, which such objects only need

    wanted = list(names)
    parts = [block.matrix(wanted) for block in from_table(X, name="X").blocks(wanted)]
    return np.concatenate(parts) if parts else np.empty((0, len(wanted)))


def _refuse_kind(array: NDArray) -> None:
    if array.dtype.kind == "c":
        raise DataError(f"Complex data not supported: X has dtype {array.dtype}. Pass real numbers, such as X.real.")
    if array.dtype.kind in "USMmT":
        raise DataError(f"X holds {array.dtype.name}; features must be numbers. Convert or drop such columns.")


def _first_non_number(array: NDArray) -> str:
    """Where the first cell is that float() refuses, as " at row 3, column 1"."""
    for index in np.ndindex(array.shape[:2]):
        try:
            float(array[index])
        except (TypeError, ValueError):
            return f" at row {index[0]}" + (f", column {index[1]}" if len(index) == 2 else "")
    return ""


def finite_moments(matrix: Matrix, weight: Floats | None, *, names: NDArray | None) -> ColumnMoments:
    """The moments of the columns.

    Raises: NonFiniteError naming the first cell that is NaN or infinite.
    """
    with np.errstate(all="ignore"):
        moments = matrix.moments(weight)
    if not np.isfinite(moments.largest).all():
        _refuse_non_finite(matrix, names)
    return moments


def finite_logits(matrix: Matrix, coef: Floats, intercept: Floats, *, names: NDArray | None) -> Floats:
    """X coef^T + intercept, [N, len(coef)]; a NaN or an infinity in X reaches the row's logits.

    Raises: NonFiniteError naming the first cell that is NaN or infinite.
    """
    z = matrix.logits(coef, intercept)
    if not np.isfinite(z).all():
        _refuse_non_finite(matrix, names)
    return z


def _refuse_non_finite(matrix: Any, names: NDArray | None) -> None:
    found = matrix.first_bad()
    if found is None:
        return  # finite, but so large that sums overflow: others say so
    row, column, value = found
    name = "" if names is None else f" ({str(names[column])!r})"
    raise NonFiniteError(
        f"X is {value} at row {row}, column {column}{name}; features must be finite, without "
        f"NaN or inf. Fill in such cells or leave out their rows."
    )


def row_weights(sample_weight: Any, *, rows: int) -> Floats | None:
    """Weights [N] as float64, at least one of them positive; None for None.

    Raises: ShapeError, WeightError, UnsupportedError for a masked array.
    """
    weights = core_weights.row_weights(sample_weight, (rows,))
    if weights is None:
        return None
    if not weights.any():
        raise WeightError(
            "Every sample_weight is zero, so no class and no row is left. Give some rows a positive weight."
        )
    return weights
