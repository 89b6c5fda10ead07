"""Keras' loss classes, and the functions of the same names: what keras.losses holds, without clipping."""

from typing import Any

from keras import saving

from crossent.keras.functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    divergence_rows,
    element_rows,
    focal_element_rows,
    focal_rows,
    index_rows,
    kl_divergence,
    one_hot_rows,
    sparse_categorical_crossentropy,
)
from crossent.keras.wrappers import RowLoss

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "KLDivergence",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "kl_divergence",
    "sparse_categorical_crossentropy",
]

_registered = saving.register_keras_serializable(package="crossent")


@_registered
class BinaryCrossentropy(RowLoss):
    """Cross-entropy of independent labels, as `keras.losses.BinaryCrossentropy`, but exact.

        loss_i = mean_k [-y_ik log p_ik - (1 - y_ik) log(1 - p_ik)]      [nat]

    Args:
        from_logits, label_smoothing, axis, clip: as in `binary_crossentropy`.
        reduction: "sum_over_batch_size" or "mean": / number of losses (that neither mask nor ignore_class leave out);
            "mean_with_sample_weight": / sum of their weights; "sum"; "none" or None.
        name: the loss' name.
        dtype: what to compute in; float16 and bfloat16 only round the result.
    Raises: OptionError, UnsupportedError; ValueError for a reduction that Keras does not know.
    Source: as `keras.losses.BinaryCrossentropy`.

    >>> round(float(BinaryCrossentropy(from_logits=True)([[1.0], [0.0]], [[0.0], [-2.0]])), 6)
    0.410038
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Any = "sum_over_batch_size",
        name: Any = "binary_crossentropy",
        dtype: Any = None,
        *,
        clip: float | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
            "clip": clip,
        }
        super().__init__(element_rows(**options), options, reduction=reduction, name=name, dtype=dtype)


@_registered
class BinaryFocalCrossentropy(RowLoss):
    """Focal loss of independent labels, as `keras.losses.BinaryFocalCrossentropy`, but exact.

        loss_i = mean_k alpha_t (1 - p_t)^gamma [-y log p - (1 - y) log(1 - p)]      [nat]

    Args:
        apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis, clip: as in
            `binary_focal_crossentropy`.
        reduction, name, dtype: as in `BinaryCrossentropy`.
    Raises: OptionError, UnsupportedError; ValueError for a reduction that Keras does not know.
    Source: Lin, Goyal, Girshick, He & Dollar, ICCV 2017, 2980-2988.

    >>> round(float(BinaryFocalCrossentropy()([[1.0, 0.0]], [[0.8, 0.3]])), 6)
    0.020513
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Any = "sum_over_batch_size",
        name: Any = "binary_focal_crossentropy",
        dtype: Any = None,
        *,
        clip: float | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "apply_class_balancing": apply_class_balancing, "alpha": alpha, "gamma": gamma,
            "from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis, "clip": clip,
        }  # fmt: skip
        super().__init__(focal_element_rows(**options), options, reduction=reduction, name=name, dtype=dtype)


@_registered
class CategoricalCrossentropy(RowLoss):
    """Cross-entropy of one-hot or soft targets, as `keras.losses.CategoricalCrossentropy`, but exact.

        loss_i = -sum_k y_ik log(p_ik / sum_j p_ij)      [nat]

    Args:
        from_logits, label_smoothing, axis, clip: as in `categorical_crossentropy`.
        reduction, name, dtype: as in `BinaryCrossentropy`.
    Raises: OptionError, UnsupportedError; ValueError for a reduction that Keras does not know.
    Source: as `keras.losses.CategoricalCrossentropy`.

    >>> round(float(CategoricalCrossentropy(from_logits=True)([[1.0, 0.0, 0.0]], [[2.0, 0.0, 0.0]])), 6)
    0.239545
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Any = "sum_over_batch_size",
        name: Any = "categorical_crossentropy",
        dtype: Any = None,
        *,
        clip: float | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
            "clip": clip,
        }
        super().__init__(one_hot_rows(**options), options, reduction=reduction, name=name, dtype=dtype)


@_registered
class CategoricalFocalCrossentropy(RowLoss):
    """Focal loss of one-hot or soft targets, as `keras.losses.CategoricalFocalCrossentropy`, but exact.

        loss_i = -sum_k alpha_k (1 - p_ik)^gamma y_ik log p_ik      [nat]

    Args:
        alpha, gamma, from_logits, label_smoothing, axis, clip: as in `categorical_focal_crossentropy`.
        reduction, name, dtype: as in `BinaryCrossentropy`.
    Raises: OptionError, UnsupportedError; ValueError for a reduction that Keras does not know.
    Source: Lin, Goyal, Girshick, He & Dollar, ICCV 2017, 2980-2988.

    >>> round(float(CategoricalFocalCrossentropy(alpha=1.0)([[0.0, 1.0]], [[0.75, 0.25]])), 5)
    0.77979
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Any = "sum_over_batch_size",
        name: Any = "categorical_focal_crossentropy",
        dtype: Any = None,
        *,
        clip: float | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "alpha": alpha, "gamma": gamma, "from_logits": from_logits, "label_smoothing": label_smoothing,
            "axis": axis, "clip": clip,
        }  # fmt: skip
        super().__init__(focal_rows(**options), options, reduction=reduction, name=name, dtype=dtype)


@_registered
class SparseCategoricalCrossentropy(RowLoss):
    """Cross-entropy of class indices, as `keras.losses.SparseCategoricalCrossentropy`, but exact.

        loss_i = -log(p_it / sum_j p_ij),  t = y_i      [nat]

    Args:
        from_logits, ignore_class, axis, clip: as in `sparse_categorical_crossentropy`.
        reduction, name, dtype: as in `BinaryCrossentropy`.
    Raises: OptionError, UnsupportedError; ValueError for a reduction that Keras does not know.
    Source: as `keras.losses.SparseCategoricalCrossentropy`.

    >>> round(float(SparseCategoricalCrossentropy(from_logits=True)([0], [[2.0, 0.0, 0.0]])), 6)
    0.239545
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Any = "sum_over_batch_size",
        axis: int = -1,
        name: Any = "sparse_categorical_crossentropy",
        dtype: Any = None,
        *,
        clip: float | None = None,
    ) -> None:
        options: dict[str, Any] = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis, "clip": clip}
        super().__init__(index_rows(**options), options, reduction=reduction, name=name, dtype=dtype)


@_registered
class KLDivergence(RowLoss):
    """Kullback-Leibler divergence, as `keras.losses.KLDivergence`, but exact.

        loss_i = sum_k y_ik log(y_ik / p_ik)      [nat]

    Args:
        clip: as in `kl_divergence`.
        reduction, name, dtype: as in `BinaryCrossentropy`.
    Raises: OptionError; ValueError for a reduction that Keras does not know.
    Source: Kullback & Leibler, Ann. Math. Statist. 22 (1951), 79-86.

    >>> round(float(KLDivergence()([[1.0, 0.0]], [[0.5, 0.5]])), 6)
    0.693147
    """

    def __init__(
        self,
        reduction: Any = "sum_over_batch_size",
        name: Any = "kl_divergence",
        dtype: Any = None,
        *,
        clip: float | None = None,
    ) -> None:
        options: dict[str, Any] = {"clip": clip}
        super().__init__(divergence_rows(**options), options, reduction=reduction, name=name, dtype=dtype)
