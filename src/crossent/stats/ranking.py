"""Area under the ROC curve from cells: how well probabilities put rows with the event before rows without it."""

import numpy as np

from crossent.stats.probability_cells import CellColumns

__all__ = ["auc"]


def auc(cells: CellColumns) -> float | None:
    """The share of pairs of a row with the event and one without in which the first has the larger probability.

    Rows of one cell count as ties, half each: exact where equal cells mean equal probabilities. Else the error is at
    most half the share of pairs within a cell.

    Args:
        cells: columns of one event in the order of p.
    Returns: a number in 0..1; None if no row, or every row, has the event.
    Source: Mann & Whitney, Ann. Math. Statist. 18 (1947), 50-60.

    >>> from crossent.stats.probability_cells import ProbabilityCells
    >>> p, hit = np.array([[0.1], [0.4], [0.4], [0.9]]), np.array([[False], [False], [True], [True]])
    >>> auc(ProbabilityCells.of(p, hit).columns(0))
    0.875
    """
    hits = cells.hits
    misses = np.maximum(cells.weight - hits, 0.0)
    pairs = hits.sum() * misses.sum()
    if not pairs > 0:
        return None
    before = np.cumsum(misses) - misses / 2
    return min(float((hits * before).sum() / pairs), 1.0)
