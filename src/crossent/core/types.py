"""The small result and array types that every layer shares."""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

__all__ = ["ArrayLike", "FloatArray", "GradHess", "LossGrad", "NDArray", "Reduction", "Unit"]

if TYPE_CHECKING:  # numpy.typing alone would cost an eighth of NumPy's own import
    import numpy.typing as npt

    ArrayLike: TypeAlias = npt.ArrayLike
    NDArray: TypeAlias = npt.NDArray[Any]
    FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
else:
    ArrayLike = Any
    NDArray = FloatArray = np.ndarray

Reduction: TypeAlias = Literal["mean", "sum", "none"]
Unit: TypeAlias = Literal["nat", "bit"]


class LossGrad(NamedTuple):
    """A loss and its gradient with respect to the prediction that was named.

    value: a float, or [...] row losses for reduction="none". grad: the prediction's shape, and its floating dtype in
    native byte order (float64 for integers), or the `out` that was given, as a NumPy array.
    """

    value: Any
    grad: Any


class GradHess(NamedTuple):
    """Gradient and diagonal of the Hessian per element, sum-scaled, as boosting libraries need them.

    grad, hess: the logits' shape, and their floating dtype in native byte order (float64 for integers); hess >= 0.
    """

    grad: Any
    hess: Any
