"""The rows of `fit` for what looks at them beside it: checked, without those of weight 0, classes as codes."""

from typing import Any, NamedTuple

import numpy as np

from crossent.core.interchange import as_array
from crossent.core.matrix import Matrix
from crossent.core.types import NDArray
from crossent.errors import UnsupportedError
from crossent.learn.checks import feature_matrix, feature_names, require_same_names
from crossent.learn.prepare import prepare
from crossent.learn.types import Codes, Floats

__all__ = ["TrainingRows", "training_rows"]


class TrainingRows(NamedTuple):
    """Rows of positive weight.

    Attributes:
        matrix: [n, D] features.
        classes: [K] sorted distinct labels.
        codes: [n] index of every row's class.
        weight: [n] weights > 0, or None.
        kept: [n] position of each row in what was given.
        given: N, the number of rows given.
    """

    matrix: Matrix
    classes: NDArray
    codes: Codes
    weight: Floats | None
    kept: Codes
    given: int

    @property
    def outputs(self) -> int:
        """Number of logits."""
        return 1 if len(self.classes) == 2 else len(self.classes)


def training_rows(
    X: Any, y: Any, sample_weight: Any, *, owner: str = "", width: int | None = None, names: NDArray | None = None
) -> TrainingRows:
    """What `fit` makes of its arguments.

    Args:
        X, y, sample_weight: as in `SoftmaxClassifier.fit`.
        owner, width, names: of a fitted estimator, whose features these must be: class name, D, column names.
    Raises: as `SoftmaxClassifier.fit`.
    """
    found = feature_names(X)
    require_same_names(found, names)
    problem = prepare(X, y, sample_weight, loss=None, class_weight=None)
    if width is not None and problem.matrix.columns != width:
        feature_matrix(X, owner=owner, width=width)  # asked for its error
    if problem.targets.ndim != 1 or problem.targets.dtype.kind not in "iu":
        raise UnsupportedError("y has several columns; this needs the one label of every row. Pass y.argmax(axis=1).")
    weight = np.ones(problem.matrix.rows) if sample_weight is None else as_array(sample_weight, "sample_weight")
    return TrainingRows(
        problem.matrix, problem.classes, problem.targets, problem.weight, np.flatnonzero(weight), weight.size
    )
