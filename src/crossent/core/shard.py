"""A shard of a vocabulary: logits of some of the classes, whose rows' states are all that other shards need of it."""

from typing import Any

import numpy as np

from crossent.core import engine
from crossent.core.blocks import BadRow
from crossent.core.check import axis_number, float_array, unmasked
from crossent.core.options import SoftmaxOptions
from crossent.core.softmax import SoftmaxBase
from crossent.core.states import empty_state
from crossent.core.terms import Terms
from crossent.core.types import NDArray
from crossent.core.weights import unit_scaled
from crossent.errors import OptionError, ShapeError, UnsupportedError

__all__ = ["ShardLogits"]


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise OptionError(f"{name} is {value!r}; a whole number is allowed.")
    return int(value)


class ShardLogits(SoftmaxBase):
    """Logits [..., K'] of the classes first_class .. first_class + K' of `classes`."""

    def __init__(
        self, options: SoftmaxOptions, targets: Any, logits: Any, sample_weight: Any, first_class: Any, classes: Any
    ) -> None:
        z = float_array(logits, "logits")
        first, count = _number("first_class", first_class), _number("classes", classes)
        width = z.shape[axis_number(options.axis, z, "logits")]
        if first < 0 or first + width > count:
            raise ShapeError(
                f"logits of shape {z.shape} as classes {first}..{first + width - 1} do not lie in 0..{count - 1}: "
                "first_class plus the shard's width is at most classes."
            )
        if options.classes is not None:
            raise UnsupportedError("classes= names columns; shards take indices 0..K-1 of the whole vocabulary.")
        if options.normalize_targets:
            raise UnsupportedError("normalize_targets needs whole rows; normalise the targets before they are cut.")
        if isinstance(options.class_weight, str) and unmasked(targets, "targets").ndim == z.ndim:
            raise UnsupportedError("class_weight='balanced' counts whole distributions; pass numbers for all classes.")
        super().__init__(options, targets, ("logits", z), sample_weight, engine.Shard(first, count))
        terms = self.job.terms or Terms()
        if terms.shape.kind != "log" or terms.prior is not None or terms.hard:
            raise UnsupportedError(f"{type(options).__name__} is not for shards; CrossEntropy and its options are.")
        self.terms = terms

    def scale_weights(self) -> None:
        """Those of rows; class weights stand in the states as they are."""
        self.row_weight = self.job.row_weight = unit_scaled(self.row_weight)

    def leave(self) -> NDArray:
        """The state [rows, 8] of each row."""
        assert self.job.shard is not None
        self.job.shard.left = left = empty_state(self.job.rows)
        self._run(None, 1.0)
        self.job.shard.left = None
        return left

    def gradient(self, merged: NDArray, grad: NDArray, factor: float) -> None:
        """Fills the shard's gradient of the whole loss, given all shards' merged state."""
        assert self.job.shard is not None
        self.job.shard.given = merged
        self._run(grad, factor)
        self.job.shard.given = None

    def _run(self, grad: NDArray | None, factor: float) -> None:
        self.job.grad_factor = factor
        try:
            engine.run_softmax(self.job, grad=grad)
        except BadRow as bad:
            raise self.error(bad) from None
