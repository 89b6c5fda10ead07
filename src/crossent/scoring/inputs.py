"""Inputs: from what a caller passes (arrays, names of classes, columns of a table) to what a tally takes.

With K columns of predictions, targets are indices, names among `classes`, or booleans for two classes; integers are
names where the text of any of them is one, as in tables. With one prediction a row, the two classes are found by the
rules of crossent.rows.binding, as for a single column of a file.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from crossent.core.check import unmasked
from crossent.core.labels import class_position, class_targets, value_text
from crossent.core.text import canonical_text, distinct_texts
from crossent.core.types import ArrayLike, NDArray
from crossent.errors import CrossentError, LabelError, OptionError, ShapeError, UnsupportedError
from crossent.rows import bind
from crossent.scoring.counts import whole_counts
from crossent.scoring.frame_columns import by_name, frame_classes
from crossent.scoring.layout import MOST_TRACKED, commonest, rows_of_classes
from crossent.scoring.shape_words import refuse_generator, shape_advice
from crossent.wording import listed, quoted

__all__ = [
    "Labels",
    "array_blocks",
    "column_name",
    "column_names",
    "keyed_columns",
    "labels_of",
    "python_words",
    "row_blocks",
]

_BLOCK = 2**21  # probabilities in a block
_MOST_ROWS = 65536  # and rows


class Labels(NamedTuple):
    """Targets as column numbers, and what the columns are called.

    Attributes:
        targets: [n] class of every row.
        classes: names in column order; (negative, positive) for one prediction a row.
        single: whether there is one prediction a row.
    """

    targets: NDArray
    classes: tuple[str, ...]
    single: bool

    def tracked(self, weight: Any = None, count: Any = None) -> tuple[int, ...] | None:
        """The commonest classes where there are too many to follow them all.

        Args:
            weight: [n] weights or None; rows of weight 0 are no rows.
            count: [n] counts or None.
        """
        k, n = len(self.classes), len(self.targets)
        if k <= MOST_TRACKED:
            return None
        copies = np.ones(n, np.int64) if count is None else whole_counts(count, rows=n, source="", first_row=0)
        return commonest(rows_of_classes(self.targets, copies, weight, k))


def labels_of(
    targets: ArrayLike,
    shape: tuple[int, ...],
    *,
    classes: Sequence[Hashable] | None,
    positive: Hashable | None,
    frames: Sequence[tuple[str, Any]] = (),
    verb: str = "score",
) -> Labels:
    """The targets of predictions of this shape.

    Args:
        targets: [n] indices, names or booleans.
        shape: (n, K), or (n,) for predictions of the positive one of two classes.
        classes: names of the columns in their order; (negative, positive) for (n,). None: indices, or what is found.
        positive: the class that predictions of shape (n,) are for.
        frames: predictions as they were given, with their names for messages: columns of data frames name classes.
        verb: name of the function that was called, for messages.
    Raises: LabelError, ShapeError, DtypeError, UnsupportedError.

    >>> labels_of(["b", "a"], (2, 2), classes=["a", "b"], positive=None).targets.tolist()
    [1, 0]
    >>> labels_of([True, False], (2,), classes=None, positive=None).classes
    ('false', 'true')
    """
    refuse_generator(targets, "targets")
    y = np.asarray(targets, object) if _is_mixed(targets) else unmasked(targets, "targets")
    if len(shape) not in (1, 2) or shape[1:] == (1,) or y.shape != shape[:1]:
        raise ShapeError(
            f"targets have shape {y.shape} and the prediction {shape}; {verb} takes targets [n] and a prediction "
            f"[n, K], or [n] for the positive one of two classes.{shape_advice(y.shape, shape)}"
        )
    if len(shape) == 1:
        return _two_classes(y, classes, positive)
    if positive is not None:
        raise UnsupportedError(
            "positive= is for predictions of shape [n]; with a column per class, classes= names them."
        )
    found = frame_classes(y, frames, classes)
    return _columns(y, shape, classes, verb) if found is None else Labels(_looked_up(y, found), found, single=False)


def _is_mixed(targets: Any) -> bool:
    """Whether it is a list that NumPy would make one type of, and so 1 of True."""
    return isinstance(targets, list | tuple) and len({type(value) for value in targets}) > 1


def _columns(y: NDArray, shape: tuple[int, ...], classes: Sequence[Hashable] | None, verb: str) -> Labels:
    k = shape[1]
    if y.dtype.kind in "iu" and classes is not None and _numbered(y, classes) and by_name(y, names := _names(classes)):
        return Labels(_looked_up(y, names), names, single=False)
    if y.dtype.kind == "b" and k == 2:
        y = y.astype(np.int64)
        classes = (False, True) if classes is None else classes
    names = tuple(str(column) for column in range(k)) if classes is None else _names(classes)
    known = None if _numbered(y, classes) and len(names) == k else classes
    read = class_targets(y, shape, 1, classes=known, ignore_index=None)
    if read.labels is None:
        raise ShapeError(f"targets have shape {y.shape}; {verb} takes one class a row, shape {shape[:1]}")
    return Labels(read.labels, names, single=False)


def _names(classes: Sequence[Hashable]) -> tuple[str, ...]:
    """Class names as text; they must be distinct, and in an order."""
    return tuple(str(canonical_text(name)) for name in class_position(classes))


def _looked_up(y: NDArray, names: tuple[str, ...]) -> NDArray:
    """Targets found among names by their text, as in tables."""
    texts, place = distinct_texts(y, what="targets")
    position = {name: k for k, name in enumerate(names)}
    columns = np.array([position.get(str(text), -1) for text in texts], np.int64)
    labels: NDArray = columns[place] if len(texts) else np.zeros(0, np.int64)
    if (labels < 0).any():
        row = int(np.argmax(labels < 0))
        found = value_text(y[row])
        raise LabelError(
            f"targets[{row}] is {found}, which is not among the classes {listed(names)}. Other targets are, so all are "
            "looked up by name. Correct the label, or name all classes."
        )
    return labels


def _numbered(y: NDArray, classes: Sequence[Hashable] | None) -> bool:
    """Whether targets are column numbers though there are names: none of them is the text of a name (`by_name`)."""
    return classes is not None and y.dtype.kind in "biu" and all(isinstance(name, str) for name in classes)


def _two_classes(y: NDArray, classes: Sequence[Hashable] | None, positive: Hashable | None) -> Labels:
    texts, place = distinct_texts(y, what="targets")
    if None in texts:
        row = int(np.argmax(place == texts.index(None)))
        raise LabelError(f"targets[{row}] is missing; every row needs a class. Leave such rows out.")
    wanted = None if positive is None else str(canonical_text(positive))
    if classes is None:
        with python_words():
            bound = bind(["targets", "prediction"], target="targets", probs="prediction", positive=wanted,
                         target_values=texts)  # fmt: skip
        names = bound.classes
    else:
        names = _names(classes)
        if len(names) != 2:
            raise ShapeError(f"classes has {len(names)} names; a single prediction needs 2, (negative, positive).")
        if wanted is not None and wanted != names[1]:
            raise LabelError(f"positive is {wanted!r}, but classes are {names}, (negative, positive). Leave one out.")
    known = names
    if _numbered(y, classes) and not (y.dtype.kind != "b" and by_name(y, names)):
        known = ("false", "true") if y.dtype.kind == "b" else ("0", "1")
    unknown = [text for text in texts if text not in known]
    if unknown:
        row = int(np.argmax(place == texts.index(unknown[0])))
        raise LabelError(
            f"targets[{row}] is {quoted(str(unknown[0]))}, which is none of the classes {listed(known)}. "
            "Correct it, or leave the row out."
        )
    table = np.array([known.index(str(text)) for text in texts], np.int64)
    return Labels(table[place] if len(table) else np.zeros(0, np.int64), names, single=True)


@contextmanager
def python_words() -> Iterator[None]:
    """Errors that speak of options of the command line speak of arguments instead.

    >>> with python_words():
    ...     bind(["y", "p"], target="y", probs="p", target_values=["ham", "spam"])
    Traceback (most recent call last):
    crossent.errors.LabelError: 'p' is a single column and target 'y' takes the values 'ham', 'spam'; which of them is \
the column for? Say positive='ham' or positive='spam'.
    """
    try:
        yield
    except CrossentError as error:
        text = re.sub(r"--([a-z-]+)( (?='))?", lambda m: m[1].replace("-", "_") + "=", str(error))
        raise type(error)(text) from error


def keyed_columns(by: Any) -> dict[str, ArrayLike]:
    """Values by the name of their column.

    Raises: OptionError for anything but a mapping.
    """
    if by is None:
        return {}
    if not isinstance(by, Mapping):
        raise OptionError(f"by is {type(by).__name__}; a mapping of column name to [n] values is needed")
    return {str(name): values for name, values in by.items()}


def column_name(name: Any, what: str) -> str | None:
    """The name of a column of a table, or None.

    Raises: OptionError for anything else.
    """
    if name is not None and not isinstance(name, str):
        raise OptionError(f"{what} is {type(name).__name__}; with table= the name of a column is needed")
    return name


def column_names(names: Any, what: str) -> tuple[str, ...]:
    """Names of columns of a table, given as one, several or none.

    Raises: OptionError for anything else.
    """
    several = () if names is None else (names,) if isinstance(names, str) else names
    if isinstance(several, Mapping) or not all(isinstance(name, str) for name in several):
        raise OptionError(f"{what} is {type(names).__name__}; with table= the name of a column is needed")
    return tuple(several)


def array_blocks(beside: Mapping[str, Any], *, rows: int, classes: int) -> Iterator[tuple[slice, dict[str, Any]]]:
    """Blocks of rows, each with what comes beside its predictions, as keywords for the `update` of a tally.

    Args:
        beside: sample_weight, count and cluster, [n] each or None, and by, a mapping of column name to [n] values.
        rows: n.
        classes: K, which bounds the length of a block.
    Raises: ShapeError for columns of another length; OptionError unless by is a mapping.

    >>> given = {"sample_weight": [0.5, 2.0], "count": None, "cluster": None, "by": {"kind": ["x", "y"]}}
    >>> next(array_blocks(given, rows=2, classes=3))[1]["by"]
    {'kind': ['x', 'y']}
    """
    given = {name: _column(beside[name], name, rows) for name in ("sample_weight", "count", "cluster")}
    keys = {name: _column(column, f"by[{name!r}]", rows) for name, column in keyed_columns(beside["by"]).items()}
    for block in row_blocks(rows, classes):
        some = {name: None if column is None else column[block] for name, column in given.items()}
        yield block, {**some, "by": {name: column[block] for name, column in keys.items()}, "first_row": block.start}


def _column(values: Any, name: str, rows: int) -> Any:
    """What can be cut into blocks; a list stays one, since NumPy would make one type of it."""
    if values is None:
        return None
    column = values if isinstance(values, list | tuple) else unmasked(values, name)
    found = (len(column),) if isinstance(column, list | tuple) else column.shape
    if found != (rows,):
        raise ShapeError(f"{name} has shape {found}; one value for each of the {rows} targets is needed")
    return column


def row_blocks(rows: int, classes: int) -> Iterator[slice]:
    """The rows in blocks small enough that what is formed of them stays small, too.

    >>> list(row_blocks(100_000, 10))
    [slice(0, 65536, None), slice(65536, 100000, None)]
    """
    size = max(1, min(_MOST_ROWS, _BLOCK // classes))
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))
