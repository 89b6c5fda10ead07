"""The exact gradient and curvatures that an objective must give, from the oracles' Hessians.

Nothing here is shared with crossent. A curvature is defined once more, in mpmath: "exact" the Hessian's diagonal h,
"upper" 2 h for classes and h for independent labels, "residual" the gradient's size, "sum_to_zero" K / (K - 1) h.
"""

from typing import Any

import mpmath
import numpy as np

import oracle
from oracle_binary import binary_gradient, binary_hessian

__all__ = ["binary_derivatives", "class_derivatives"]


def class_derivatives(targets: Any, curvature: str, **options: Any) -> tuple[Any, Any]:
    """Gradient and curvature [N, K] of cross-entropy over classes, sum-scaled."""
    grad = oracle.gradient(targets, reduction="sum", **options)
    hess = oracle.hessian(targets, **options)
    K = np.shape(options["logits"])[1]
    changed = {
        "exact": lambda: hess,
        "upper": lambda: hess * 2,
        "residual": lambda: abs(grad),
        "sum_to_zero": lambda: hess * (mpmath.mpf(K) / (K - 1)),
    }
    return grad, changed[curvature]()


def binary_derivatives(targets: Any, curvature: str, **options: Any) -> tuple[Any, Any]:
    """Gradient and curvature, elementwise, of cross-entropy of independent labels, sum-scaled."""
    grad = binary_gradient(targets, reduction="sum", **options)
    hess = binary_hessian(targets, **options)
    return grad, {"exact": hess, "upper": hess, "residual": abs(grad)}[curvature]
