"""Cells against NumPy's own histogram, and the edges they are cut at."""

import numpy as np
import pytest

from crossent.stats import LOSS_CELLS, Cells, loss_cell, loss_edges, mass_bins


def test_cells_count_and_add():
    rng = np.random.default_rng(0)
    cell, v, w = rng.integers(0, 5, 1000), rng.random(1000), rng.random(1000)
    cells = Cells.of(cell, 5, v, weight=w)
    assert cells.counts.tolist() == np.bincount(cell, minlength=5).tolist()
    assert cells.sums[0].floats() == pytest.approx(np.bincount(cell, w, 5), rel=1e-12)
    assert cells.sums[1].floats() == pytest.approx(np.bincount(cell, w * v, 5), rel=1e-12)
    halves = Cells.of(cell[:300], 5, v[:300], weight=w[:300]) + Cells.of(cell[300:], 5, v[300:], weight=w[300:])
    assert all(x == y for x, y in zip(halves.sums, cells.sums, strict=True))
    merged = cells.merged(np.array([0, 0, 1, 1, 1]), 2)
    assert merged.counts.tolist() == [cells.counts[:2].sum(), cells.counts[2:].sum()]


def test_loss_cells_lie_between_their_edges():
    losses = np.concatenate([[0.0, 1e-300, 1e300], 2.0 ** np.random.default_rng(0).uniform(-59, 15, 2000)])
    cell, edges = loss_cell(losses), loss_edges()
    assert len(edges) == LOSS_CELLS + 1
    assert np.all(np.diff(edges) > 0)
    assert cell.tolist() == (np.searchsorted(edges, losses, "right") - 1).tolist()
    assert edges[1:-1] == pytest.approx(2.0 ** (np.arange(LOSS_CELLS - 1) / 32 - 60), rel=1e-15)
    on_edge = edges[:-1]
    assert loss_cell(on_edge).tolist() == list(range(LOSS_CELLS))
    assert loss_cell(np.nextafter(edges[1:], 0.0)).tolist() == list(range(LOSS_CELLS))
    assert loss_cell(np.array([-0.0])).tolist() == [0]
    assert cell[:3].tolist() == [0, 0, LOSS_CELLS - 1]


def test_mass_bins_hold_about_as_many_rows():
    counts = np.random.default_rng(0).integers(0, 10, 500)
    sizes = np.bincount(mass_bins(counts, 10), counts, 10)
    assert sizes.min() > 0.9 * counts.sum() / 10
    assert sizes.max() < 1.1 * counts.sum() / 10
    assert mass_bins(np.zeros(4, np.int64), 3).tolist() == [0, 0, 0, 0]


def test_cells_from_elsewhere_are_checked():
    cells = Cells.of(np.array([0, 1]), 2, np.array([1.0, 2.0]))
    cells.check()
    for wrong in (Cells(cells.counts[:1], cells.sums), Cells(-cells.counts, cells.sums), Cells(cells.counts[None], ())):
        with pytest.raises(ValueError, match="cells have"):
            wrong.check()
