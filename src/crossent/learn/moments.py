"""Center and spread of feature columns, for giving solvers even directions, and standardising by them."""

import numpy as np

from crossent.learn.types import Floats

__all__ = ["moments", "standardised"]

_BLOCK_ROWS = 4096


def moments(features: Floats, *, sample_weight: Floats | None = None, centred: bool = True) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of every column, safe from overflow, with no copy of the features.

        center_j = sum_i w_i x_ij / sum_i w_i,   spread_j = sqrt(sum_i w_i (x_ij - center_j)^2 / sum_i w_i)

    Args:
        features: [N, D] finite, N >= 1.
        sample_weight: [N] weights >= 0 with a positive sum, or None.
        centred: False takes 0 for the center, so that spread is the root mean square.
    Returns: center [D] and spread [D]; a constant column has itself and exactly 0 (if centred).
    """
    low, high = features.min(axis=0), features.max(axis=0)
    weights = np.ones(len(features)) if sample_weight is None else sample_weight
    weights = weights / weights.sum()
    center = np.clip(weights @ features, low, high) if centred else np.zeros_like(low)
    reach = np.maximum(high - center, center - low)
    unit = np.where(reach > 0, reach, 1.0)
    square = np.zeros_like(low)
    for start in range(0, len(features), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        offset = (features[part] - center) / unit
        square += weights[part] @ (offset * offset)
    return center, unit * np.sqrt(square)


def standardised(features: Floats, center: Floats, scale: Floats, *, out: Floats | None = None) -> Floats:
    """Features in units of their scale, (x - center) / scale.

    Args:
        features: [N, D].
        center, scale: [D] each, scale > 0.
        out: where to write; it may be the features themselves.
    Returns: [N, D], `out` if given.

    >>> standardised(np.array([[1.0], [3.0]]), np.array([2.0]), np.array([0.5])).tolist()
    [[-2.0], [2.0]]
    """
    result: Floats = np.subtract(features, center, out=out)
    result /= scale
    return result
