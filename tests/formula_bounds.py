"""The bounds that the array formula's head states, for rows of logits: error of loss and gradient at most this."""

from typing import Any

import numpy as np

__all__ = ["gradient_bound", "loss_bound", "rows_bound", "unit"]


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


def rows_bound(z: Any, terms: Any, dtype: Any) -> Any:
    """The bound of core/formula.py, [N], as a share of the terms' absolute values."""
    T, c = terms.temperature, terms.softcap
    moves = T != 1 or c is not None or terms.prior is not None
    wide = z.astype(np.float64)
    moved = (wide if c is None else c * np.tanh(wide / c)) / T
    if terms.log_prior is not None:
        moved = moved + terms.log_prior
    finite = np.isfinite(wide)
    spread = np.max(moved, axis=1, where=finite, initial=-1e300) - np.min(moved, axis=1, where=finite, initial=1e300)
    size = 4 * np.max(np.abs(moved), axis=1, where=finite, initial=0.0) if moves else 0.0
    bent = 0.0 if c is None else 4 * np.max(np.abs(wide), axis=1, where=finite, initial=0.0) / c
    g = terms.shape.b if terms.shape.kind == "focal" else 1.0
    return (1 + g) * (z.shape[1] + 20 + np.clip(spread, 0, 1100) + size + bent) * unit(dtype)
