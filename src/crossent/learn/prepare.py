"""From what `fit` is given to what is minimised: features, targets, weights and loss, checked and matched.

Two classes have one logit. A loss over classes that is not plain cross-entropy is fitted with the two logits that it is
defined for, at twice the penalty, and their difference is kept: at the minimum they are -z/2 and z/2, and there the
penalties of both forms agree. That holds for losses that only the difference counts for; z_loss is refused.
"""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossent.core.matrix import Matrix
from crossent.core.matrix.matrix import ColumnMoments
from crossent.core.types import NDArray
from crossent.errors import LabelError, LabelWarning, OptionError, ShapeError
from crossent.learn.checks import feature_matrix, feature_names, finite_moments, row_weights
from crossent.learn.class_weight import ClassWeight, refuse_unknown_classes, weigh_classes
from crossent.learn.conventions import warn_column_vector
from crossent.learn.labels import check_truth, listed_values, numbered, read_truth
from crossent.learn.loss_choice import is_independent
from crossent.learn.training import check_l2
from crossent.learn.types import AnyLoss, Floats
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = ["Problem", "prepare"]

_FEW_ROWS = 20  # of so few, any number of classes is plausible
_STACKLEVEL = 7  # of a warning raised here: the caller of `fit`


@dataclass(frozen=True)
class Problem:
    """What a classifier minimises.

    Attributes:
        matrix, moments, names: the features, their moments, the names of their columns.
        targets: what the loss takes.
        classes: [K] class labels, or the names of independent labels.
        outputs: number of logits.
        loss: the loss.
        weight: [N] row weights > 0, or None.
        has_pair: whether two logits stand for one.
    """

    matrix: Matrix
    moments: ColumnMoments
    names: NDArray | None
    targets: NDArray
    classes: NDArray
    outputs: int
    loss: AnyLoss
    weight: Floats | None = None

    @property
    def has_pair(self) -> bool:
        return self.outputs == 2 and not is_independent(self.loss)

    def strength(self, l2: Any) -> float:
        """The penalty l2; for None one over the mass of all targets."""
        if l2 is not None:
            return check_l2(l2)
        mass = float(self.matrix.rows if self.weight is None else self.weight.sum())
        return 1.0 / (mass * self.outputs if self.targets.ndim == 2 and is_independent(self.loss) else mass)

    @property
    def penalty_factor(self) -> int:
        """What multiplies the penalty of the logits that are fitted."""
        return 2 if self.has_pair else 1

    def model(self, coef: Floats, intercept: Floats) -> tuple[Floats, Floats]:
        """Coefficients and intercepts of the classifier, from those of the logits that are fitted."""
        return (coef[1:] - coef[:1], intercept[1:] - intercept[:1]) if self.has_pair else (coef, intercept)

    def start(self, classes: NDArray, coef: Floats, intercept: Floats) -> tuple[Floats, Floats]:
        """Where an earlier model (its classes_, coef_, intercept_) lets this fit begin: the inverse of `model`.

        Raises: ShapeError, LabelError where it is a model of something else.
        """
        width, outputs = self.matrix.columns, 1 if self.has_pair else self.outputs
        if coef.shape[1] != width:
            raise ShapeError(
                f"warm_start=True, but coef_ is for {coef.shape[1]} features and X has {width}. Pass the features of "
                "the earlier fit, or set warm_start=False."
            )
        if len(coef) != outputs or not np.array_equal(classes, self.classes):
            raise LabelError(
                f"warm_start=True, but the earlier fit had the classes {listed_values(classes.tolist())} and y has "
                f"{listed_values(self.classes.tolist())}. Pass the same classes, or set warm_start=False."
            )
        if self.has_pair:
            return np.concatenate([-coef / 2, coef / 2]), np.concatenate([-intercept / 2, intercept / 2])
        return coef, intercept


def prepare(X: Any, y: Any, sample_weight: Any, *, loss: AnyLoss | None, class_weight: ClassWeight) -> Problem:
    """Check what `SoftmaxClassifier.fit` was given.

    Args:
        X, y, sample_weight: as there.
        loss, class_weight: as there, checked.
    Returns: Problem.
    Raises: as `SoftmaxClassifier.fit`.
    """
    names = feature_names(X)
    matrix = feature_matrix(X, names=names)
    truth = read_truth(y, rows=matrix.rows, shape=(matrix.rows, matrix.columns))
    if truth.is_column:
        warn_column_vector((matrix.rows, 1), stacklevel=_STACKLEVEL)
    weight = row_weights(sample_weight, rows=matrix.rows)
    values: Any = truth.values
    has_labels = values.ndim == 1
    if has_labels:
        classes, values = numbered(values)
        refuse_unknown_classes(class_weight, classes.tolist())
    else:
        _refuse_class_weight(class_weight)
        loss, values = _soft_targets(values, loss or CrossEntropy(), weight, is_plain=loss is None)
        classes = np.arange(values.shape[1]) if truth.names is None else truth.names
    if weight is not None and not weight.all():
        finite_moments(matrix, None, names=names)  # while its rows are still those of X
        kept = np.flatnonzero(weight)
        matrix, values, weight = matrix.take(kept), values[kept], weight[kept]
        if has_labels:
            found, values = numbered(values)
            classes = classes[found]
    if has_labels:
        _check_classes(classes, len(values))
        weight = weigh_classes(class_weight, classes.tolist(), values, sample_weight=weight)
    targets, outputs, loss = _matched(values, classes, loss)
    moments = finite_moments(matrix, weight, names=names)
    return Problem(matrix, moments, names, targets, classes, outputs, loss, weight)


def _refuse_class_weight(class_weight: ClassWeight) -> None:
    if class_weight is not None:
        raise OptionError(
            f"class_weight is {class_weight!r}, and y has several columns: its rows have no single class. Give the "
            "loss an array, class_weight=[...] (pos_weight=[...] for independent labels), or use sample_weight."
        )


def _soft_targets(values: Floats, loss: AnyLoss, weight: Floats | None, *, is_plain: bool) -> tuple[Any, Floats]:
    """The loss (None for plain cross-entropy) and the rows that it takes."""
    check_truth(values, loss=loss, sample_weight=weight)
    options: Any = loss
    if getattr(options, "normalize_targets", False):
        values = values / values.sum(axis=1, keepdims=True)
        loss = replace(options, normalize_targets=False)
    counted = values if weight is None else values * weight[:, None]
    total = math.inf if options.label_smoothing else float(len(values) if weight is None else weight.sum())
    sums = counted.sum(axis=0)
    empty = np.flatnonzero(sums == 0) if math.isfinite(total) else np.empty(0)
    full = np.flatnonzero(sums == total)
    if len(empty) or len(full):
        column, value = (empty[0], 0) if len(empty) else (full[0], 1)
        raise LabelError(
            f"y is {value} in every row (of positive weight) of column {column}, so nothing can be learnt about it: "
            "its intercept has no finite optimum. Leave that column out."
        )
    return None if is_plain else loss, values


def _check_classes(classes: NDArray, rows: int) -> None:
    if len(classes) < 2:
        raise LabelError(
            f"y has only 1 class, {classes[0]!r}, in {rows} rows of positive weight; a classifier "
            f"needs at least two classes. Check how the rows were selected."
        )
    if rows > _FEW_ROWS and 2 * len(classes) > rows:
        warnings.warn(
            f"y has {len(classes)} classes in {rows} rows. Is it a number to predict, as in regression, or an "
            "identifier? Classes need several rows each.",
            LabelWarning,
            stacklevel=_STACKLEVEL,
        )


def _matched(values: NDArray, classes: NDArray, loss: AnyLoss | None) -> tuple[NDArray, int, AnyLoss]:
    """Targets, number of logits and loss that belong together; `values`: class indices [N] or probabilities [N, K]."""
    K = len(classes)
    if loss is None and K == 2:
        return (values if values.ndim == 1 else np.ascontiguousarray(values[:, 1])), 1, BinaryCrossEntropy()
    if loss is None or not is_independent(loss):
        _refuse_z_loss(K, getattr(loss, "z_loss", 0))
        return values, K, loss or CrossEntropy()
    if values.ndim == 2:
        return values, K, loss
    if K > 2:
        raise LabelError(
            f"Only binary classification is supported by {type(loss).__name__}, or independent labels: y of shape "
            f"[rows, labels] with 0 and 1. y has {K} classes; for those use a loss such as crossent.CrossEntropy()."
        )
    return values, 1, loss


def _refuse_z_loss(classes: int, z_loss: float) -> None:
    if classes == 2 and z_loss != 0:
        raise OptionError(
            f"loss has z_loss={z_loss!r}, and two classes have one logit: z_loss acts on what is common to the logits "
            "of a row, and of two only the difference is kept. Leave z_loss out; a larger l2 keeps logits small."
        )
