"""class_weight: how much the rows of each class count, checked and turned into row weights."""

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from crossent.errors import LabelError, OptionError, WeightError
from crossent.learn.types import Codes, Floats

__all__ = ["ClassWeight", "check_class_weight", "recordable", "refuse_unknown_classes", "weigh_classes"]

ClassWeight: TypeAlias = Mapping[Any, Any] | str | None


def check_class_weight(class_weight: ClassWeight) -> None:
    """Check the form of the option, before any row is looked at.

    Raises: OptionError, WeightError.
    """
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, Mapping):
        raise OptionError(
            f"class_weight is {class_weight!r}; it must be None, 'balanced' or a mapping {{class: weight}}."
        )
    for label, weight in class_weight.items():
        if not isinstance(weight, numbers.Real) or not 0 < float(weight) < math.inf:
            raise WeightError(
                f"class_weight of class {label!r} is {weight!r}; it must be a finite number > 0. "
                f"To do without a class leave out its rows."
            )


def refuse_unknown_classes(class_weight: ClassWeight, labels: Iterable[Any]) -> None:
    """Refuse a mapping with a class that does not occur.

    Raises: LabelError.
    """
    if not isinstance(class_weight, Mapping):
        return
    known = set(labels)
    for label in class_weight:
        if label not in known:
            shown = ", ".join(map(repr, sorted(known, key=str)[:8]))
            raise LabelError(
                f"class_weight has the class {label!r}, which does not occur. The classes are {shown}. "
                f"Spell it as one of them, or leave it out."
            )


def recordable(class_weight: ClassWeight) -> dict[str, float] | str | None:
    """The option as a JSON value."""
    if class_weight is None or isinstance(class_weight, str):
        return class_weight
    return {str(label): float(weight) for label, weight in class_weight.items()}


def weigh_classes(
    class_weight: ClassWeight,
    classes: Sequence[Any],
    codes: Codes,
    *,
    sample_weight: Floats | None = None,
) -> Floats | None:
    """Row weights times the weight of each row's class; None if all rows count once.

    "balanced" gives class k the factor N / (K N_k), with N and N_k the sums of the weights of all rows and of
    its rows, so that a row of weight 2 and a row that stands there twice are the same.

    >>> weigh_classes("balanced", ["a", "b"], np.array([0, 0, 0, 1])).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    if class_weight is None:
        return sample_weight
    rows = np.ones(len(codes)) if sample_weight is None else sample_weight
    if isinstance(class_weight, Mapping):
        factors = np.array([float(class_weight.get(label, 1.0)) for label in classes])
    else:
        totals = np.bincount(codes, weights=rows, minlength=len(classes))
        factors = totals.sum() / (len(classes) * totals)
    weighted: Floats = rows * factors[codes]
    return weighted
