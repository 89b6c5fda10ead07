"""What a tally makes of its classes: names from names or from their number, places from names among targets."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from crossent.core.text import distinct_texts
from crossent.core.types import ArrayLike
from crossent.errors import LabelError, OptionError
from crossent.stats import Flags
from crossent.wording import did_you_mean, listed, quoted

__all__ = ["class_names", "placed_targets"]


def class_names(classes: Any) -> tuple[str, ...]:
    """Names in column order.

    Args:
        classes: the names, or their number K >= 2 (then "0".."K-1").
    Raises: OptionError for anything else.

    >>> class_names(3), class_names(["no", "yes"])
    (('0', '1', '2'), ('no', 'yes'))
    """
    if isinstance(classes, int | np.integer):
        if isinstance(classes, bool) or classes < 2:
            raise OptionError(
                f"classes is {classes}; class names, or their number from 2 on, are needed. A single column of "
                "probabilities speaks of two classes: pass 2, or (negative, positive)."
            )
        return tuple(map(str, range(int(classes))))
    if not isinstance(classes, Iterable):
        raise OptionError(f"classes is {classes!r:.60}; class names in column order, or their number, are needed.")
    return tuple(classes)


def placed_targets(targets: ArrayLike, classes: tuple[str, ...], counts: Flags | None) -> ArrayLike:
    """Names among targets as column numbers; other targets as they are.

    Args:
        targets: [n] class names, compared as text, or anything else.
        classes: names in column order.
        counts: [n] whether a row counts, None for all: names of others may be unknown.
    Raises: LabelError for a name that is no class, with its place.

    >>> placed_targets(["b", "a"], ("a", "b"), None).tolist()
    [1, 0]
    """
    array = np.asarray(targets) if hasattr(targets, "dtype") or isinstance(targets, list | tuple) else None
    if array is None or array.ndim != 1 or array.dtype.kind not in "USTO":
        return targets
    texts, place = distinct_texts(array, what="targets")
    position = {name: k for k, name in enumerate(classes)}
    columns = np.array([position.get(str(text), -1) for text in texts], np.int64)
    labels = columns[place] if texts else np.zeros(0, np.int64)
    unknown = labels < 0 if counts is None or counts.shape != labels.shape else (labels < 0) & counts
    if unknown.any():
        row = int(np.argmax(unknown))
        found = texts[int(place[row])]
        raise LabelError(
            f"targets[{row}] is {'missing' if found is None else quoted(found)}; the classes are {listed(classes)}."
            f"{did_you_mean(found or '', classes)} Correct it, or give the row sample_weight 0."
        )
    return labels
