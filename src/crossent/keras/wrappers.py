"""Row losses as Keras objects: the reduction of a loss with weights and masks, the mean of a metric, their configs."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.src.backend import get_keras_mask  # Keras has no public name for it; Loss.__call__ itself asks this

from crossent.keras.namespace import tensor
from crossent.keras.rows import Rows

__all__ = ["RowLoss", "RowMetric"]

Tensor = Any
_MEANS = ("sum_over_batch_size", "mean")


class _Reduction(keras.losses.Loss):
    """Keras' own reduction of losses that are there already."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The losses."""
        return y_pred


def _weights(rows: Rows, dtype: Any) -> Tensor | None:
    """One weight for each loss, 0 in rows that do not count; None where all count alike."""
    weight = None
    for part in (rows.weight, rows.valid):
        if part is not None:
            part = ops.cast(part, dtype)
            weight = part * ops.ones_like(rows.losses, dtype=dtype) if weight is None else weight * part
    return weight


class RowLoss(keras.losses.Loss):
    """A Keras loss from row losses; `options` are its own arguments, attributes and config."""

    def __init__(
        self, rows: Callable[..., Rows], options: dict[str, Any], *, reduction: Any, name: Any, dtype: Any
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self._rows = rows
        self._options = options
        self._reduce = _Reduction(name=self.name, reduction=reduction, dtype=dtype)
        self.__dict__.update(options)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The reduced loss; row i of weight 0, masked or ignored has left."""
        y_pred = tensor(y_pred)
        rows = self._rows(y_true, y_pred, weight=sample_weight, mask=get_keras_mask(y_pred), dtype=self.dtype)
        weight = _weights(rows, self.dtype)
        if rows.valid is not None and self.reduction in _MEANS:  # Keras' rule: a mean over the rows that count
            valid = ops.cast(rows.valid, self.dtype)
            weight = weight * ops.divide_no_nan(ops.sum(ops.ones_like(valid)), ops.sum(valid))
        return self._reduce(rows.losses, rows.losses, sample_weight=weight)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """The losses of the rows."""
        return self._rows(y_true, y_pred, dtype=self.dtype).losses

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {"name": self.name, "reduction": self.reduction, "dtype": self.dtype, **self._options}


class RowMetric(keras.metrics.Mean):
    """A Keras metric: the weighted mean of row losses over all batches."""

    def __init__(self, rows: Callable[..., Rows], options: dict[str, Any], *, name: Any, dtype: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self._rows = rows
        self._options = options
        self._direction = "down"  # what Keras' callbacks ask to tell better from worse
        self.__dict__.update(options)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        y_pred = tensor(y_pred)
        rows = self._rows(y_true, y_pred, weight=sample_weight, mask=get_keras_mask(y_pred))
        super().update_state(rows.losses, sample_weight=_weights(rows, self.dtype))

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return {"name": self.name, "dtype": self.dtype, **self._options}
