"""The loss of a fit's rows in the form that the fused native step takes it."""

from typing import Any, Protocol

import numpy as np

from crossent import _native
from crossent.core.binary import BinaryLogits
from crossent.core.softmax import SoftmaxLogits
from crossent.core.types import NDArray

__all__ = ["RowLoss", "step_loss"]


class RowLoss(Protocol):
    """What a pass over the rows makes of their logits."""

    @property
    def native(self) -> "_native.StepLoss | None":
        """The same for native code, if it has the loss."""

    def __call__(self, first: int, end: int, logits: NDArray) -> float:
        """The summed loss of the rows first .. end; their logits [n, K] become slopes. Threads call it at once."""


def step_loss(job: Any) -> "_native.StepLoss | None":
    """The rows of a job from logits [N, K] (or [N]) for the fused step; None for a loss that is not plain."""
    if isinstance(job, SoftmaxLogits) and job.job.terms is None:
        rows = job.job
        return _native.StepLoss.of_classes(
            rows.rows, rows.classes, rows.labels, _doubles(rows.soft), rows.soft_factor, rows.class_weight,
            rows.row_weight, rows.ignore_index, rows.smoothing,
        )  # fmt: skip
    if isinstance(job, BinaryLogits) and job.options.terms() is None and job.array.ndim <= 2:
        count = len(job.array)
        targets = _doubles(np.broadcast_to(job.targets, job.shape))
        assert targets is not None
        return _native.StepLoss.of_labels(
            count, job.array.size // max(1, count), targets, job.pos_weight, job.weight,
            float(job.options.label_smoothing), job.negative, job.positive,
        )  # fmt: skip
    return None


def _doubles(array: NDArray | None) -> NDArray | None:
    return None if array is None else np.ascontiguousarray(array, dtype=np.float64)
