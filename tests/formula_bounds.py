"""The bounds that the array formula's head states, for rows of logits: error of loss and gradient at most this."""

from typing import Any

import numpy as np

__all__ = ["gradient_bound", "loss_bound", "unit"]


def unit(dtype: Any) -> float:
    """u, half the spacing of 1."""
    return float(np.finfo(dtype).eps) / 2


def loss_bound(z: Any, q: Any, dtype: Any) -> Any:
    """(K + 6) u of the loss and |d| u of each difference, as the module's head states it."""
    d = np.abs(z - z.max(axis=1, keepdims=True)).astype(np.float64)
    p = np.exp(-d)
    terms = (q * d).sum(axis=1) + q.sum(axis=1) * (np.log(p.sum(axis=1)) + (p * d).sum(axis=1))
    return ((z.shape[1] + 6) * terms) * unit(dtype) + 4 * float(np.finfo(dtype).tiny)


def gradient_bound(z: Any, q: Any, dtype: Any) -> Any:
    """(K + 8 + |d|) u of Q p + q: no element cancels by more than its terms."""
    d = np.abs(z - z.max(axis=1, keepdims=True)).astype(np.float64)
    p = np.exp(-d)
    p /= p.sum(axis=1, keepdims=True)
    spread = z.shape[1] + 8 + np.minimum(d, 1100) + (p * d).sum(axis=1, keepdims=True)
    return spread * unit(dtype) * (q.sum(axis=1, keepdims=True) * p + q) + 4 * float(np.finfo(dtype).tiny)
