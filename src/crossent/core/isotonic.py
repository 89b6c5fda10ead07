"""Isotonic regression of cells, many curves at once: the way from statistics to native code."""

import numpy as np

from crossent import _native
from crossent.core.accumulate import Float64

__all__ = ["isotonic_curves"]


def isotonic_curves(hits: Float64, weight: Float64) -> Float64:
    """The nondecreasing curve nearest to the shares hits / weight, for each row of hits.

        minimises sum_c weight_c (hits_c / weight_c - f_c)^2 over f_1 <= f_2 <= ...

    The same curve maximises sum_c hits_c log f_c + (weight_c - hits_c) log(1 - f_c).

    Args:
        hits: [curves, m] finite sums, one a cell.
        weight: [m] finite weights > 0.
    Returns: [curves, m] float64. Cells that are put together hold the same bits.
    Raises: ValueError if the shapes do not fit.
    Source: Ayer et al., Ann. Math. Statist. 26 (1955), 641-647: pool adjacent violators.

    >>> isotonic_curves(np.array([[0.0, 2.0, 1.0, 3.0]]), np.array([1.0, 2.0, 2.0, 3.0])).tolist()
    [[0.0, 0.75, 0.75, 1.0]]
    """
    curves = np.empty(hits.shape)
    _native.isotonic(np.ascontiguousarray(hits), np.ascontiguousarray(weight), curves)
    return curves
