"""What an estimator accepts: features, labels, weights and column names, each checked once on the way in.

scikit-learn's estimator checks look for some phrases ("Complex data not supported", "Unknown label type", "0
feature(s) (shape=", "is expecting 4 features as input", "The feature names should match"); those are kept
verbatim.
"""

from typing import Any

import numpy as np

from crossent.core import weights as core_weights
from crossent.core.types import NDArray
from crossent.errors import (
    DataError,
    DtypeError,
    LabelError,
    NonFiniteError,
    ShapeError,
    UnsupportedError,
    WeightError,
)
from crossent.learn.types import Floats

__all__ = ["feature_matrix", "feature_names", "label_column", "require_same_names", "row_weights"]


def feature_names(X: Any) -> NDArray | None:
    """Column names [D] of a data frame or Arrow table if all are text, otherwise None.

    Raises: DtypeError if only some of the names are text.
    """
    names = getattr(X, "column_names", None)
    if names is None:
        names = getattr(X, "columns", None)
    if names is None or callable(names):
        return None
    listed = list(names)
    texts = sum(isinstance(name, str) for name in listed)
    if 0 < texts < len(listed):
        raise DtypeError(
            f"Feature names are only supported if all input features have string names; {texts} of "
            f"{len(listed)} have. Rename the columns, for instance with X.columns = X.columns.astype(str)."
        )
    return np.array(listed, dtype=object) if texts else None


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


def feature_matrix(X: Any, *, names: NDArray | None = None, owner: str = "", width: int | None = None) -> Floats:
    """Features as float64 [N, D], finite; no copy if X is that already.

    Args:
        X: anything NumPy can view as a matrix of numbers.
        names: column names for messages.
        owner: class name of the estimator, for messages.
        width: number of features in `fit`; None in `fit` itself, which also needs at least one row.
    Raises: ShapeError, DataError, DtypeError, NonFiniteError, UnsupportedError.
    """
    if hasattr(X, "tocsr") or hasattr(X, "toarray"):
        raise UnsupportedError("X is a sparse matrix; sparse input is not supported. Pass X.toarray().")
    matrix = _numbers(X)
    if matrix.ndim != 2:
        raise ShapeError(
            f"X has shape {matrix.shape}; expected a 2D array [rows, features]. Reshape your data: "
            f"X.reshape(-1, 1) if it is one feature, X.reshape(1, -1) if it is one row."
        )
    if matrix.shape[1] == 0:
        raise ShapeError(
            f"Found array with 0 feature(s) (shape={matrix.shape}) while a minimum of 1 is required. "
            "Pass at least one column."
        )
    if width is None and matrix.shape[0] == 0:
        raise ShapeError(
            f"Found array with 0 sample(s) (shape={matrix.shape}) while a minimum of 1 is required. "
            "Pass at least two rows."
        )
    if width is not None and matrix.shape[1] != width:
        raise ShapeError(
            f"X has {matrix.shape[1]} features, but {owner} is expecting {width} features as input. "
            f"Pass the columns of fit in the same order; X has shape {matrix.shape}."
        )
    _refuse_non_finite(matrix, names)
    return matrix


def _numbers(X: Any) -> Floats:
    """X as float64 of any shape."""
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ShapeError(f"X is not a matrix: {error}. Its rows need the same number of features.") from None
    if array.dtype.kind == "c":
        raise DataError(f"Complex data not supported: X has dtype {array.dtype}. Pass real numbers, such as X.real.")
    if array.dtype.kind in "USMm":
        raise DataError(f"X holds {array.dtype.name}; features must be numbers. Convert or drop such columns.")
    try:
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        place = _first_non_number(array)
        message = f"X holds something that is not a number{place}: {error}. Convert or drop such columns."
        raise (DtypeError if isinstance(error, TypeError) else DataError)(message) from None


def _first_non_number(array: NDArray) -> str:
    """Where the first cell is that float() refuses, as " at row 3, column 1"."""
    for index in np.ndindex(array.shape[:2]):
        try:
            float(array[index])
        except (TypeError, ValueError):
            return f" at row {index[0]}" + (f", column {index[1]}" if len(index) == 2 else "")
    return ""


def _refuse_non_finite(matrix: Floats, names: NDArray | None) -> None:
    if np.isfinite(matrix).all():
        return
    row, column = (int(i) for i in np.argwhere(~np.isfinite(matrix))[0])
    name = "" if names is None else f" ({str(names[column])!r})"
    raise NonFiniteError(
        f"X is {matrix[row, column]} at row {row}, column {column}{name}; features must be finite, without "
        f"NaN or inf. Fill in such cells or leave out their rows."
    )


def label_column(y: Any, *, rows: int, shape: tuple[int, ...]) -> tuple[NDArray, bool]:
    """Labels [N], and whether they came as a column vector [N, 1].

    Args:
        y: class labels of any sortable type: numbers, text, booleans.
        rows: how many are needed.
        shape: shape of X, for messages.
    Raises: UnsupportedError, ShapeError, LabelError.
    """
    if y is None:
        raise LabelError("fit requires y to be passed, but the target y is None. Pass the class of every row.")
    labels = np.asarray(y)
    is_column = labels.ndim == 2 and labels.shape[1] == 1
    if labels.ndim != 1 and not is_column:
        raise ShapeError(
            f"y has shape {labels.shape} and X has shape {shape}; y should be a 1d array of {rows} labels. "
            f"For one-hot labels pass y.argmax(axis=1)."
        )
    if len(labels) != rows:
        raise ShapeError(
            f"X has shape {shape} and y has shape {labels.shape}; they need the same number of rows. "
            "Pass one label per row."
        )
    labels = labels.reshape(-1)
    _refuse_bad_labels(labels)
    return labels, is_column


def _refuse_bad_labels(labels: NDArray) -> None:
    """Refuse missing labels and fractions, which are no classes."""
    if labels.dtype.kind == "c":
        raise LabelError(
            f"Unknown label type: y has dtype {labels.dtype}; labels are whole numbers, text or booleans. Convert y."
        )
    if labels.dtype.kind == "O":
        missing = [i for i, label in enumerate(labels) if _is_missing(label)]
        if missing:
            raise LabelError(
                f"y is {labels[missing[0]]} at row {missing[0]}; every row needs a class. Leave such rows out."
            )
        is_real = all(isinstance(label, float | np.floating) for label in labels)
        labels = labels.astype(np.float64) if is_real and len(labels) else labels
    if labels.dtype.kind == "f":
        wrong = np.flatnonzero(~(np.isfinite(labels) & (labels == np.floor(labels))))
        if wrong.size:
            raise LabelError(
                f"Unknown label type: y is {labels[wrong[0]]} at row {wrong[0]}; classes are whole numbers, "
                f"text or booleans, not fractions or NaN. Cut y into classes first."
            )


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA refuses to be a truth value
        return True


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
