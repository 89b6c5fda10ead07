"""Column names of data frames that come as predictions: they name the classes, and must not contradict classes=.

Names count only where they are about classes: where a target is among them, or where they are those of classes=. Other
names ("p_cat", "column_0") say nothing, and the order of the columns is then what classes= says it is.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from crossent.core.text import canonical_text, distinct_texts
from crossent.core.types import NDArray
from crossent.errors import LabelError
from crossent.wording import listed

__all__ = ["by_name", "frame_classes", "frame_names"]


def frame_names(prediction: Any) -> tuple[str, ...] | None:
    """The names of the columns of a data frame as text; None for anything that has none.

    >>> frame_names(np.eye(2)) is None
    True
    """
    names = getattr(prediction, "column_names", None)  # pyarrow; its .columns are the columns themselves
    names = getattr(prediction, "columns", None) if names is None else names
    if names is None or callable(names) or not np.iterable(names):
        return None
    return tuple(str(canonical_text(name)) for name in names)


def frame_classes(
    targets: NDArray, frames: Sequence[tuple[str, Any]], classes: Sequence[Hashable] | None
) -> tuple[str, ...] | None:
    """What the columns of data frames say of the classes.

    Args:
        targets: [n] targets as they were given.
        frames: predictions as they were given, with their names for messages.
        classes: what was given as classes=, or None.
    Returns: the classes in column order, as text, where classes= is None and some target is the name of a column; else
        None.
    Raises: LabelError for the names of classes=, or of another prediction, in another order.

    >>> frame_classes(np.array(["a"]), [("probs", np.eye(2))], ["a", "b"]) is None
    True
    """
    known: list[tuple[str, tuple[str, ...]]] = []
    if isinstance(classes, list | tuple | np.ndarray):
        known.append(("classes=", tuple(str(canonical_text(name)) for name in classes)))
    for what, frame in frames:
        names = frame_names(frame)
        if names is not None and len(set(names)) == len(names):
            known.append((f"the columns of {what}", names))
    for what, names in known[1:]:
        first, wanted = known[0]
        if names != wanted and set(names) == set(wanted):
            raise LabelError(
                f"{what} are {listed(names)}, and {first} {'are' if first != 'classes=' else 'is'} {listed(wanted)}: "
                "the same names in another order, and columns are read by their place. Put the columns in one order, "
                "for instance frame[list(classes)]."
            )
    if classes is not None or not known:
        return None
    names = known[0][1]
    return names if targets.ndim == 1 and by_name(targets, names) else None


def by_name(targets: NDArray, names: Sequence[str]) -> bool:
    """Whether some of the [n] targets is the text of a name.

    >>> by_name(np.array([1, 2]), ["1", "2"]), by_name(np.array([0, 1]), ["no", "yes"])
    (True, False)
    """
    numbers = targets.dtype.kind in "iu"
    if numbers and tuple(names) == tuple(map(str, range(len(names)))):
        return False  # names and places are the same
    if numbers and not any(name.lstrip("-").isdigit() for name in names):
        return False  # numbers are sought among numbers only, for there may be many rows
    return not set(names).isdisjoint(distinct_texts(targets)[0])
