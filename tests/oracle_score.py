"""What rows of predictions say about calibration, in 80-bit arithmetic straight from the definitions."""

from typing import Any

import numpy as np

__all__ = ["BETAS", "log_probs_of", "sorted_cells", "terms_of"]

BETAS = [0.125, 0.25, 0.5, 0.5**0.5, 1.0, 2.0**0.5, 2.0, 4.0, 8.0]


def log_probs_of(values: Any, kind: str) -> Any:
    """[n, K] logarithms of probabilities, longdouble."""
    x = np.asarray(values, np.longdouble)
    with np.errstate(divide="ignore"):
        if kind == "probs":
            return np.log(x)
        if kind == "log_probs":
            return x
    top = x.max(axis=1, keepdims=True)
    return x - top - np.log(np.exp(x - top).sum(axis=1, keepdims=True))


def terms_of(log_p: Any, labels: Any, losses: Any) -> Any:
    """[n, 32] gap, its variance, excess, its variance, Brier score; L, L', L'' at each inverse temperature."""
    out = np.zeros((len(log_p), 32), np.longdouble)
    for i, (row, t) in enumerate(zip(log_p, labels, strict=True)):
        z = row[row > -np.inf]
        given = np.exp(z)
        out[i, 4] = 1 - 2 * np.exp(row[t]) + (given * given).sum()
        total = given.sum()
        p, p_t, log_p_of = given / total, np.exp(row[t]) / total, z - np.log(total)
        entropy, squares = -(p * log_p_of).sum(), (p * p).sum()
        out[i, 0] = losses[i] + np.log(total) - entropy
        out[i, 1] = (p * (log_p_of + entropy) ** 2).sum()
        out[i, 2] = (1 - 2 * p_t + squares) - (1 - squares)
        out[i, 3] = 4 * (p * (p - squares) ** 2).sum()
        z_t = row[t] if row[t] > -np.inf else 0
        for b, beta in enumerate(BETAS):
            e = np.exp(beta * (z - z.max()))
            q = e / e.sum()
            mean = (q * z).sum()
            loss = np.log(e.sum()) + beta * z.max() - beta * z_t
            out[i, 5 + 3 * b : 8 + 3 * b] = loss, mean - z_t, (q * (z - mean) ** 2).sum()
    return out


def sorted_cells(p: Any, edges: Any) -> Any:
    """The cell of every p by searching among the edges: of p below 1/2, of 1 - p above, where edges are mirrored."""
    p = np.asarray(p)
    last = len(edges) - 2
    lower = edges[1 : last // 2 + 1]
    u = np.where(p < 0.5, p, 1 - p)
    from_below = np.searchsorted(lower, u, side="right")
    cell = np.where(p < 0.5, from_below, last - from_below)
    return np.where(p == 0, 0, np.where(p == 1, last, np.where(p == 0.5, last // 2, cell)))
