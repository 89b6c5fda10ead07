"""What y says: the class of every row, a distribution over classes, or independent labels; checked and numbered.

Labels are numbered without sorting the rows where that is possible: a fit of a million rows should not wait for it.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np

from crossent.core.blocks import BadRow
from crossent.core.check import unmasked
from crossent.core.types import NDArray
from crossent.errors import LabelError, LabelWarning, ShapeError, UnsupportedError
from crossent.learn.checks import column_names
from crossent.learn.types import AnyLoss, Codes

__all__ = ["Truth", "check_truth", "listed_values", "numbered", "read_truth", "warn_of_unseen"]


class Truth(NamedTuple):
    """y as an array.

    Attributes:
        values: [N] labels as given; or [N, K] probabilities of classes, or of independent labels.
        names: [K] names of the columns, where y has them.
        is_column: whether labels came as [N, 1].
    """

    values: NDArray
    names: NDArray | None = None
    is_column: bool = False


def read_truth(y: Any, *, rows: int, shape: tuple[int, ...]) -> Truth:
    """y as an array of the right shape.

    Args:
        y: labels of any sortable type (numbers, text, booleans), or numbers [N, K].
        rows: how many are needed.
        shape: shape of X, for messages.
    Raises: UnsupportedError, ShapeError, LabelError.
    """
    if y is None:
        raise LabelError("fit requires y to be passed, but the target y is None. Pass the class of every row.")
    if hasattr(y, "tocsr"):
        raise UnsupportedError("y is a sparse matrix; a dense array of labels is needed. Pass y.toarray().")
    values = unmasked(y, "y")
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] == 0):
        raise ShapeError(
            f"y has shape {values.shape} and X has shape {shape}; y should be a 1d array of {rows} labels, or "
            "[rows, classes] probabilities."
        )
    if len(values) != rows:
        raise ShapeError(
            f"X has shape {shape} and y has shape {values.shape}; they need the same number of rows. "
            "Pass one label per row."
        )
    if values.ndim == 2 and values.shape[1] > 1:
        return Truth(_numbers(values), column_names(y))
    labels = values.reshape(-1)
    _refuse_bad_labels(labels)
    return Truth(labels, is_column=values.ndim == 2)


def _numbers(values: NDArray) -> NDArray:
    """Probabilities as float64; booleans and whole numbers too."""
    if values.dtype.kind in "biuf":
        return np.ascontiguousarray(values, dtype=np.float64)
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise LabelError(
            f"y has shape {values.shape} and dtype {values.dtype}; with several columns it holds probabilities, or "
            "0 and 1. For one label per row pass a 1d array."
        ) from None


def check_truth(values: NDArray, *, loss: AnyLoss, sample_weight: NDArray | None) -> None:
    """Check probabilities [N, K] by the loss itself, and that every column leaves something to learn.

    Raises: LabelError.
    """
    nothing = np.broadcast_to(np.float64(0), values.shape)
    try:
        job = loss._job(values, nothing, None, None, sample_weight)
        job.mass()
    except BadRow as bad:
        raise LabelError(
            f"y has shape {values.shape}, targets for each row of X: {job.error(bad)} In a classifier that is "
            "loss=crossent.CrossEntropy(normalize_targets=True), or loss=crossent.BinaryCrossEntropy()."
        ) from None


def _refuse_bad_labels(labels: NDArray) -> None:
    """Refuse missing labels and fractions, which are no classes."""
    if labels.dtype.kind == "c":
        raise LabelError(
            f"Unknown label type: y has dtype {labels.dtype}; labels are whole numbers, text or booleans. Convert y."
        )
    if labels.dtype.kind == "O":
        values = labels.tolist()
        try:
            distinct = dict.fromkeys(values)
        except TypeError:
            raise LabelError(
                "y holds lists or other changeable values; labels are numbers, text or booleans."
            ) from None
        if any(_is_missing(label) for label in distinct):
            row = next(row for row, label in enumerate(values) if _is_missing(label))
            raise LabelError(f"y is {values[row]} at row {row}; every row needs a class. Leave such rows out.")
        is_real = all(isinstance(label, float | np.floating) for label in distinct)
        labels = labels.astype(np.float64) if is_real and len(labels) else labels
    if labels.dtype.kind == "f" and _whole(labels) is None:
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


def _whole(labels: NDArray) -> NDArray | None:
    """Floating labels as int64, None if some are not whole (or too large)."""
    with np.errstate(invalid="ignore"):
        whole = labels.astype(np.int64)
    return whole if np.array_equal(whole, labels) else None


def listed_values(values: list[Any]) -> str:
    """Labels for a message: the first few."""
    return ", ".join(map(repr, values[:8])) + (f", ... ({len(values)} in all)" if len(values) > 8 else "")


def numbered(labels: NDArray) -> tuple[NDArray, Codes]:
    """Sorted distinct labels [K] and the index of every row's label [N].

    Raises: LabelError for labels that cannot be sorted.

    >>> numbered(np.array(["b", "a", "b"]))
    (array(['a', 'b'], dtype='<U1'), array([1, 0, 1]))
    """
    kind = labels.dtype.kind
    if kind in "US" and len(labels) and (text := _numbered_text(labels)) is not None:
        return text
    if kind in "USTO":
        return _numbered_objects(labels)
    whole = _whole(labels) if kind == "f" else labels
    counted = None if whole is None or whole.dtype.kind not in "biu" or not len(whole) else _counted(whole)
    if counted is not None:
        values, codes = counted
        return values.astype(labels.dtype), codes
    classes, inverse = np.unique(labels, return_inverse=True)
    return classes, inverse.reshape(-1).astype(np.int64)


def _counted(whole: NDArray) -> tuple[NDArray, Codes] | None:
    """`numbered` for whole numbers that lie close together, by counting."""
    low, high = int(whole.min()), int(whole.max())
    if high - low > max(1024, 2 * len(whole)) or high >= 2**63:
        return None
    codes: Codes = whole.astype(np.int64)
    codes -= low
    found = np.flatnonzero(np.bincount(codes, minlength=high - low + 1))
    if len(found) <= high - low:
        position = np.empty(high - low + 1, np.int64)
        position[found] = np.arange(len(found))
        codes = position[codes]
    return found + low, codes


def _numbered_text(labels: NDArray) -> tuple[NDArray, Codes] | None:
    """`numbered` for text of a fixed width, one character after the other; None where there are too many classes."""
    dtype = np.dtype(np.uint32 if labels.dtype.kind == "U" else np.uint8).newbyteorder(labels.dtype.byteorder)
    codes = np.zeros(len(labels), np.int64)
    for character in np.ascontiguousarray(labels).view(dtype).reshape(len(labels), -1).T:
        low, high = int(character.min()), int(character.max())
        if low < high:
            found = _counted(codes * (high - low + 1) + (character - low))
            if found is None:
                return None
            codes = found[1]
    example = np.empty(int(codes.max()) + 1, np.int64)
    example[codes] = np.arange(len(labels))
    return labels[example], codes


def _numbered_objects(labels: NDArray) -> tuple[NDArray, Codes]:
    """`numbered` for text and objects, by a dictionary."""
    values = labels.tolist()
    try:
        distinct = sorted(dict.fromkeys(values))
    except TypeError:
        kinds = sorted({type(label).__name__ for label in values})
        raise LabelError(f"y mixes labels of the types {', '.join(kinds)}; use one type, for instance text.") from None
    position = {label: k for k, label in enumerate(distinct)}
    codes = np.fromiter(map(position.__getitem__, values), np.int64, len(values))
    classes = np.empty(len(distinct), labels.dtype)
    classes[:] = distinct
    return classes, codes


def warn_of_unseen(labels: NDArray, classes: NDArray) -> None:
    """Warn of labels [N] that are not among the classes of the model, in the name of the caller's caller.

    Raises: LabelError if none of them is: they are of another kind, such as numbers instead of text.
    """
    known = set(classes.tolist())
    found = numbered(labels)[0].tolist()
    unseen = [label for label in found if label not in known]
    if not unseen:
        return
    message = (
        f"y has the labels {listed_values(unseen)}, which are not among classes_ ({listed_values(classes.tolist())})"
    )
    if len(unseen) == len(found):
        raise LabelError(f"{message}. Pass labels as they were given to fit.")
    warnings.warn(f"{message}; no prediction of them can be right.", LabelWarning, stacklevel=3)
