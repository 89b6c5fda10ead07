"""Keras' functional losses, one loss for each row; and the row losses that functions, losses and metrics share."""

from typing import Any

from crossent.core.options import nonnegative, within, yes_or_no
from crossent.family import Focal
from crossent.keras.rows import ClassRows, DivergenceRows, ElementRows, Focus
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = [
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "divergence_rows",
    "element_rows",
    "focal_element_rows",
    "focal_rows",
    "index_rows",
    "kl_divergence",
    "one_hot_rows",
    "sparse_categorical_crossentropy",
]

Tensor = Any


def element_rows(from_logits: bool, label_smoothing: float, axis: int, clip: float | None) -> ElementRows:
    """Of binary crossentropy."""
    return ElementRows(BinaryCrossEntropy(label_smoothing=label_smoothing, clip=clip), from_logits, axis)


def focal_element_rows(
    apply_class_balancing: bool,
    alpha: float,
    gamma: float,
    from_logits: bool,
    label_smoothing: float,
    axis: int,
    clip: float | None,
) -> ElementRows:
    """Of binary focal crossentropy."""
    yes_or_no("apply_class_balancing", apply_class_balancing)
    within("alpha", alpha, 0, 1, open_ends=False)
    nonnegative("gamma", gamma)
    focus = Focus(float(gamma), float(alpha) if apply_class_balancing else None)
    loss = BinaryCrossEntropy(label_smoothing=label_smoothing, clip=clip)
    return ElementRows(loss, from_logits, axis, focus)


def one_hot_rows(from_logits: bool, label_smoothing: float, axis: int, clip: float | None) -> ClassRows:
    """Of categorical crossentropy."""
    loss = CrossEntropy(label_smoothing=label_smoothing, clip=clip)
    return ClassRows(loss, from_logits, axis, sparse=False)


def focal_rows(
    alpha: Any, gamma: float, from_logits: bool, label_smoothing: float, axis: int, clip: float | None
) -> ClassRows:
    """Of categorical focal crossentropy."""
    loss = Focal(gamma, alpha, label_smoothing=label_smoothing, clip=clip)
    return ClassRows(loss, from_logits, axis, sparse=False)


def index_rows(from_logits: bool, ignore_class: int | None, axis: int, clip: float | None) -> ClassRows:
    """Of sparse categorical crossentropy."""
    return ClassRows(CrossEntropy(ignore_index=ignore_class, clip=clip), from_logits, axis, sparse=True)


def divergence_rows(clip: float | None) -> DivergenceRows:
    """Of the Kullback-Leibler divergence."""
    return DivergenceRows(clip)


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    *,
    clip: float | None = None,
) -> Tensor:
    """Cross-entropy of independent labels, averaged over one axis.

        loss = mean_k [-y log p - (1 - y) log(1 - p)],  y = (1 - a) y_true + a / 2      [nat]

    Args:
        y_true: [..., labels] 0, 1, or probabilities.
        y_pred: [..., labels] probabilities in [0, 1], others give NaN; or logits, p = sigmoid(y_pred).
        from_logits: which of the two.
        label_smoothing: a in [0, 1].
        axis: the axis averaged over.
        clip: move probabilities into [clip, 1 - clip], in (0, 0.5); Keras does it with 1e-7. Off: p = 0 at the truth
            gives inf.
    Returns: [...] losses in y_pred's dtype, float32 for half precision.
    Raises: ShapeError, LabelError, OptionError, UnsupportedError.
    Source: as `keras.losses.binary_crossentropy`.

    >>> binary_crossentropy([[0.0, 1.0]], [[0.5, 0.25]]).shape[0]
    1
    >>> round(float(binary_crossentropy([[0.0, 1.0]], [[0.5, 0.25]])[0]), 5)
    1.03972
    """
    return element_rows(from_logits, label_smoothing, axis, clip)(y_true, y_pred).losses


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    *,
    clip: float | None = None,
) -> Tensor:
    """Focal loss of independent labels, averaged over one axis.

        loss = mean_k alpha_t (1 - p_t)^gamma [-y log p - (1 - y) log(1 - p)]      [nat]

    with p_t = y p + (1 - y)(1 - p), y = (1 - a) y_true + a / 2, and with class balancing alpha_t = y alpha +
    (1 - y)(1 - alpha), else 1. For labels that are not 0 or 1 this is Keras' definition, not that of
    `crossent.BinaryFocal`.

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis, clip: as in `binary_crossentropy`.
        apply_class_balancing: whether alpha counts.
        alpha: weight of the positives in [0, 1].
        gamma: how much less elements count that are predicted well, >= 0.
    Returns: [...] losses in y_pred's dtype, float32 for half precision.
    Raises: ShapeError, LabelError, OptionError, UnsupportedError.
    Source: Lin, Goyal, Girshick, He & Dollar, ICCV 2017, 2980-2988; as `keras.losses.binary_focal_crossentropy`.

    >>> round(float(binary_focal_crossentropy([[1.0, 0.0]], [[0.8, 0.3]], gamma=2.0)[0]), 6)
    0.020513
    """
    rows = focal_element_rows(apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis, clip)
    return rows(y_true, y_pred).losses


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    *,
    clip: float | None = None,
) -> Tensor:
    """Cross-entropy of one-hot or soft targets.

        loss = -sum_k y_k log(p_k / sum_j p_j),  y = (1 - a) y_true + a / K      [nat]

    Args:
        y_true: [..., K] finite numbers >= 0.
        y_pred: [..., K] probabilities, which are divided by their sum; or logits, p = softmax(y_pred).
        from_logits: which of the two.
        label_smoothing: a in [0, 1].
        axis: the axis of the classes.
        clip: move probabilities into [clip, 1 - clip], in (0, 0.5); Keras does it with 1e-7. Off: p = 0 at the truth
            gives inf.
    Returns: [...] losses in y_pred's dtype, float32 for half precision.
    Raises: ShapeError, LabelError, OptionError, UnsupportedError.
    Source: as `keras.losses.categorical_crossentropy`.

    >>> round(float(categorical_crossentropy([[0.0, 1.0]], [[0.75, 0.25]])[0]), 6)
    1.386294
    """
    return one_hot_rows(from_logits, label_smoothing, axis, clip)(y_true, y_pred).losses


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    *,
    clip: float | None = None,
) -> Tensor:
    """Focal loss of one-hot or soft targets.

        loss = -sum_k alpha_k (1 - p_k)^gamma y_k log p_k      [nat]

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis, clip: as in `categorical_crossentropy`.
        alpha: one number > 0, or [K] numbers >= 0.
        gamma: how much less rows count that are predicted well, >= 0.
    Returns: [...] losses in y_pred's dtype, float32 for half precision.
    Raises: ShapeError, LabelError, OptionError, WeightError, UnsupportedError.
    Source: Lin, Goyal, Girshick, He & Dollar, ICCV 2017, 2980-2988; as `keras.losses.categorical_focal_crossentropy`.

    >>> round(float(categorical_focal_crossentropy([[0.0, 1.0]], [[0.75, 0.25]], alpha=1.0)[0]), 5)
    0.77979
    """
    return focal_rows(alpha, gamma, from_logits, label_smoothing, axis, clip)(y_true, y_pred).losses


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    *,
    clip: float | None = None,
) -> Tensor:
    """Cross-entropy of class indices.

        loss = -log(p_t / sum_j p_j),  t = y_true      [nat]

    Args:
        y_true: [...] or [..., 1] indices in 0..K-1; whole numbers of a floating dtype will do.
        y_pred: [..., K] probabilities, which are divided by their sum; or logits, p = softmax(y_pred).
        from_logits: which of the two.
        ignore_class: rows with this index have loss 0 and gradient 0; the losses' means leave them out.
        axis: the axis of the classes.
        clip: move probabilities into [clip, 1 - clip], in (0, 0.5); Keras does it with 1e-7. Off: p = 0 at the truth
            gives inf.
    Returns: [...] losses in y_pred's dtype, float32 for half precision.
    Raises: ShapeError, LabelError, OptionError, UnsupportedError.
    Source: as `keras.losses.sparse_categorical_crossentropy`.

    >>> round(float(sparse_categorical_crossentropy([1], [[0.75, 0.25]])[0]), 6)
    1.386294
    """
    return index_rows(from_logits, ignore_class, axis, clip)(y_true, y_pred).losses


def kl_divergence(y_true: Any, y_pred: Any, *, clip: float | None = None) -> Tensor:
    """Kullback-Leibler divergence of distributions over the last axis.

        loss = sum_k y_k log(y_k / p_k),  0 log 0 = 0      [nat]

    Neither is divided by its sum, as in Keras: where sums differ the result may be negative.

    Args:
        y_true: [..., K] finite numbers >= 0.
        y_pred: [..., K] numbers >= 0; 0 where y_true is not gives inf.
        clip: move both into [clip, 1], as Keras does with 1e-7, in (0, 0.5). Off.
    Returns: [...] divergences in y_pred's dtype, float32 for half precision.
    Raises: ShapeError, LabelError, OptionError.
    Source: Kullback & Leibler, Ann. Math. Statist. 22 (1951), 79-86; as `keras.losses.kl_divergence`.

    >>> round(float(kl_divergence([[1.0, 0.0]], [[0.5, 0.5]])[0]), 6)
    0.693147
    """
    return divergence_rows(clip)(y_true, y_pred).losses
