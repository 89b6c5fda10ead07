"""Rows with known probabilities of their labels, as cells: what tests of calibration statistics start from."""

import numpy as np

from crossent.stats.probability_cells import CELLS, CellColumns, ProbabilityCells, find_cells
from crossent.stats.redraws import redrawn_hits

__all__ = ["columns_of", "drawn_rows", "few_values", "redrawn_cells", "rounded_columns_of"]


def columns_of(p, hit, weight=None) -> CellColumns:
    """The cells of one event."""
    return ProbabilityCells.of(np.asarray(p, float)[:, None], np.asarray(hit, bool)[:, None], weight).columns(0)


def rounded_columns_of(p, hit, weight) -> CellColumns:
    """The same by sums that round, for tests over many sets of weighted rows."""
    cell = find_cells(p)
    sums = (np.ones(len(p)), weight, weight * hit, weight * p, weight**2)
    return CellColumns(*(np.bincount(cell, x, CELLS) for x in sums))


def redrawn_cells(cells, redraws, seed):
    """The cells once for each redraw of their labels, as if these were the observed ones."""
    for hits in redrawn_hits(cells, redraws, seed):
        kept = np.zeros_like(cells.hits)
        kept[cells.count > 0] = hits
        yield cells._replace(hits=kept)


def drawn_rows(n, seed, *, spread=2.0, sharper=1.0):
    """Probabilities and labels of n rows; `sharper` is the factor by which logits are too large, 1 is calibrated."""
    rng = np.random.default_rng([n, seed])
    z = rng.normal(size=n) * spread
    return 1 / (1 + np.exp(-sharper * z)), rng.random(n) < 1 / (1 + np.exp(-z))


def few_values(n, seed, *, values=12):
    """Probabilities that take few values, so that a cell holds equal ones, and labels not quite drawn from them."""
    rng = np.random.default_rng([n, seed])
    p = rng.choice(np.linspace(0.04, 0.97, values), n)
    return p, rng.random(n) < 0.1 + 0.75 * p
