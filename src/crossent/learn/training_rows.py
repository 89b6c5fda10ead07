"""The rows of `fit` for what looks at them beside it: checked, without those of weight 0, classes as codes."""

from typing import Any, NamedTuple

import numpy as np

from crossent.core.matrix import DenseMatrix, Matrix
from crossent.core.types import NDArray
from crossent.learn.checks import feature_matrix, feature_names, label_column, require_same_names, row_weights
from crossent.learn.classifier import coded
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
    features = feature_matrix(X, names=found)
    if width is not None:
        feature_matrix(features, owner=owner, width=width)
    labels, _ = label_column(y, rows=len(features), shape=features.shape)
    weights = row_weights(sample_weight, rows=len(features))
    given = len(features)
    kept = np.arange(given)
    if weights is not None and not weights.all():
        kept = np.flatnonzero(weights)
        features, labels, weights = features[kept], labels[kept], weights[kept]
    classes, codes = coded(labels)
    return TrainingRows(DenseMatrix(features), classes, codes, weights, kept, given)
