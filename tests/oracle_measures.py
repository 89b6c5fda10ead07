"""The exact answers for measures: the textbook sums in mpmath, for one distribution, pair or table."""

from typing import Any

import mpmath
import numpy as np

__all__ = [
    "cross_entropy_of",
    "entropy",
    "js_divergence",
    "kl_divergence",
    "mutual_information",
    "perplexity",
]

mp = mpmath.mp
mpf = mpmath.mpf
INF = mpf("inf")


def _exact(p: Any) -> list[Any]:
    return [mpf(float(x)) for x in np.ravel(p)]


def _p_log(p: Any, q: Any) -> Any:
    if p == 0:
        return mpf(0)
    return p * mp.log(q) if q else -INF


def entropy(p: Any) -> Any:
    """-sum p log p."""
    with mp.workdps(60):
        return -mp.fsum(_p_log(x, x) for x in _exact(p))


def cross_entropy_of(p: Any, q: Any) -> Any:
    """-sum p log q."""
    with mp.workdps(60):
        return -mp.fsum(_p_log(x, y) for x, y in zip(_exact(p), _exact(q), strict=True))


def kl_divergence(p: Any, q: Any) -> Any:
    """sum p log(p/q) - p + q."""
    with mp.workdps(700):
        terms = [_p_log(x, x) - _p_log(x, y) - x + y for x, y in zip(_exact(p), _exact(q), strict=True)]
        return mp.fsum(terms)


def js_divergence(p: Any, q: Any) -> Any:
    """Half the divergences of p and of q from their mean."""
    with mp.workdps(700):
        total = mpf(0)
        for x, y in zip(_exact(p), _exact(q), strict=True):
            m = (x + y) / 2
            total += (_p_log(x, x) - _p_log(x, m) + _p_log(y, y) - _p_log(y, m)) / 2
        return total


def mutual_information(joint: Any) -> Any:
    """sum p_xy log(p_xy S / (p_x p_y)), S the table's total."""
    with mp.workdps(100):
        table = [_exact(row) for row in joint]
        of_x, of_y = [mp.fsum(row) for row in table], [mp.fsum(column) for column in zip(*table, strict=True)]
        total = mp.fsum(of_x)
        return mp.fsum(
            _p_log(v, v) - _p_log(v, of_x[i] * of_y[j] / total)
            for i, row in enumerate(table)
            for j, v in enumerate(row)
        )


def perplexity(p: Any) -> Any:
    """exp(entropy)."""
    return mp.exp(entropy(p))
