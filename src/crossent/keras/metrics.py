"""Keras' metric classes of cross-entropy, and the functions: what keras.metrics holds of them, without clipping."""

from typing import Any

from keras import saving

from crossent.keras.functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    divergence_rows,
    element_rows,
    index_rows,
    kl_divergence,
    one_hot_rows,
    sparse_categorical_crossentropy,
)
from crossent.keras.wrappers import RowMetric

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "KLDivergence",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "kl_divergence",
    "sparse_categorical_crossentropy",
]

_registered = saving.register_keras_serializable(package="crossent.metrics")  # the losses have the same names


@_registered
class BinaryCrossentropy(RowMetric):
    """Mean cross-entropy of independent labels over all batches, as `keras.metrics.BinaryCrossentropy`, but exact.

        sum_i sw_i loss_i / sum_i sw_i,  loss_i = mean_k [-y_ik log p_ik - (1 - y_ik) log(1 - p_ik)]      [nat]

    Args:
        name: the metric's name.
        dtype: what to sum in.
        from_logits, label_smoothing, clip: as in `binary_crossentropy`.
    Raises: OptionError, UnsupportedError.
    Source: as `keras.metrics.BinaryCrossentropy`.

    >>> metric = BinaryCrossentropy()
    >>> metric.update_state([[0.0], [1.0]], [[0.5], [0.25]], sample_weight=[1.0, 0.0])
    >>> round(float(metric.result()), 6)
    0.693147
    """

    def __init__(
        self,
        name: Any = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        *,
        clip: float | None = None,
    ) -> None:
        options: dict[str, Any] = {"from_logits": from_logits, "label_smoothing": label_smoothing, "clip": clip}
        super().__init__(element_rows(**options, axis=-1), options, name=name, dtype=dtype)


@_registered
class CategoricalCrossentropy(RowMetric):
    """Mean cross-entropy of one-hot or soft targets, as `keras.metrics.CategoricalCrossentropy`, but exact.

        sum_i sw_i loss_i / sum_i sw_i,  loss_i = -sum_k y_ik log(p_ik / sum_j p_ij)      [nat]

    Args:
        name, dtype: as in `BinaryCrossentropy`.
        from_logits, label_smoothing, axis, clip: as in `categorical_crossentropy`.
    Raises: OptionError, UnsupportedError.
    Source: as `keras.metrics.CategoricalCrossentropy`.

    >>> metric = CategoricalCrossentropy()
    >>> metric.update_state([[0.0, 1.0]], [[0.75, 0.25]])
    >>> round(float(metric.result()), 6)
    1.386294
    """

    def __init__(
        self,
        name: Any = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
        *,
        clip: float | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
            "clip": clip,
        }
        super().__init__(one_hot_rows(**options), options, name=name, dtype=dtype)


@_registered
class SparseCategoricalCrossentropy(RowMetric):
    """Mean cross-entropy of class indices, as `keras.metrics.SparseCategoricalCrossentropy`, but exact.

        sum_i sw_i loss_i / sum_i sw_i,  loss_i = -log(p_it / sum_j p_ij),  t = y_i      [nat]

    Args:
        name, dtype: as in `BinaryCrossentropy`.
        from_logits, ignore_class, axis, clip: as in `sparse_categorical_crossentropy`. Rows of ignore_class do not
            count; Keras counts them with loss 0 unless there are weights.
    Raises: OptionError, UnsupportedError.
    Source: as `keras.metrics.SparseCategoricalCrossentropy`.

    >>> metric = SparseCategoricalCrossentropy(ignore_class=-1)
    >>> metric.update_state([1, -1], [[0.75, 0.25], [0.5, 0.5]])
    >>> round(float(metric.result()), 6)
    1.386294
    """

    def __init__(
        self,
        name: Any = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
        *,
        clip: float | None = None,
    ) -> None:
        options: dict[str, Any] = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis, "clip": clip}
        super().__init__(index_rows(**options), options, name=name, dtype=dtype)


@_registered
class KLDivergence(RowMetric):
    """Mean Kullback-Leibler divergence over all batches, as `keras.metrics.KLDivergence`, but exact.

        sum_i sw_i loss_i / sum_i sw_i,  loss_i = sum_k y_ik log(y_ik / p_ik)      [nat]

    Args:
        name, dtype: as in `BinaryCrossentropy`.
        clip: as in `kl_divergence`.
    Raises: OptionError.
    Source: Kullback & Leibler, Ann. Math. Statist. 22 (1951), 79-86.

    >>> metric = KLDivergence()
    >>> metric.update_state([[1.0, 0.0]], [[0.5, 0.5]])
    >>> round(float(metric.result()), 6)
    0.693147
    """

    def __init__(self, name: Any = "kl_divergence", dtype: Any = None, *, clip: float | None = None) -> None:
        options: dict[str, Any] = {"clip": clip}
        super().__init__(divergence_rows(**options), options, name=name, dtype=dtype)
