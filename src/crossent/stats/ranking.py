"""Area under the ROC curve from cells: how well probabilities put rows with the event before rows without it."""

import numpy as np

from crossent.core.accumulate import Float64
from crossent.stats.probability_cells import CELLS, CellColumns

__all__ = ["auc", "auc_bound"]


def auc(cells: CellColumns) -> float | None:
    """The share of pairs of a row with the event and one without in which the first has the larger probability.

    Rows of one cell count as ties, half each: exact where equal cells mean equal probabilities. Else the error is at
    most `auc_bound`.

    Args:
        cells: columns of one event in the order of p.
    Returns: a number in 0..1; None if no row, or every row, has the event.
    Source: Mann & Whitney, Ann. Math. Statist. 18 (1947), 50-60.

    >>> from crossent.stats.probability_cells import ProbabilityCells
    >>> p, hit = np.array([[0.1], [0.4], [0.4], [0.9]]), np.array([[False], [False], [True], [True]])
    >>> auc(ProbabilityCells.of(p, hit).columns(0))
    0.875
    """
    hits, misses, pairs = _sides(cells)
    if not pairs > 0:
        return None
    before = np.cumsum(misses) - misses / 2
    return min(float((hits * before).sum() / pairs), 1.0)


def auc_bound(cells: CellColumns) -> float | None:
    """The most by which `auc` can be off because cells do not tell the order of their rows.

        sum over cells of hits * misses / (2 * all hits * all misses)

    The cells of p = 0, 1/2 and 1 hold one probability each, so that theirs are true ties and count nothing. Nor would
    other ties, but cells do not tell them.

    Args:
        cells: [CELLS] columns of one event in the order of p.
    Returns: a number in 0..1/2; None if no row, or every row, has the event.

    >>> from crossent.stats.probability_cells import ProbabilityCells
    >>> p, hit = np.array([[0.3], [0.301], [0.302], [0.9]]), np.array([[False], [True], [False], [True]])
    >>> auc_bound(ProbabilityCells.of(p, hit).columns(0))
    0.25
    """
    hits, misses, pairs = _sides(cells)
    if not pairs > 0:
        return None
    within = hits * misses
    within[[0, CELLS // 2, CELLS - 1]] = 0.0
    return min(float(within.sum() / (2 * pairs)), 0.5)


def _sides(cells: CellColumns) -> tuple[Float64, Float64, float]:
    """Weight with the event and without in each cell, and of all pairs."""
    misses = np.maximum(cells.weight - cells.hits, 0.0)
    return cells.hits, misses, float(cells.hits.sum() * misses.sum())
