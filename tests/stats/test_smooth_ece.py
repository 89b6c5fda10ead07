"""Smooth calibration error against relplot and against sums over rows and mirror images."""

import math

import numpy as np
import pytest
from relplot.metrics import smECE

from calibration_cases import columns_of, drawn_rows, few_values, redrawn_cells
from crossent.stats.redraws import redrawn_hits
from crossent.stats.smooth_ece import smooth_calibration_error


def at_width(p, hit, weight, sigma):
    """The integral of |smoothed residual| over [0, 1]: a kernel a row, with its images beyond 0 and 1."""
    t = np.linspace(0, 1, 4001)
    density = np.zeros_like(t)
    for shift in range(-4, 6, 2):
        for image in (p + shift, shift - p):
            kernel = np.exp(-0.5 * ((t[:, None] - image) / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)
            density += kernel @ (weight * (p - hit))
    return np.trapezoid(np.abs(density), t) / weight.sum()


def assert_fixed_point(p, hit, weight, value, bound=1e-3):
    """The error at the width `value` is `value`; as it falls with the width, the exact fixed point is as near."""
    assert at_width(p, hit, weight, value) == pytest.approx(value, abs=bound)


@pytest.mark.parametrize("n", [100, 1000, 20_000])
@pytest.mark.parametrize("sharper", [0.5, 0.8, 1.0, 1.3, 2.0])
def test_value_is_that_of_relplot(n, sharper):
    """Where relplot is the definition: it cuts the kernel at 0.5, which shows in errors above 0.15, and its grid puts
    probabilities below 0.001 on 0 itself, where it forgets their mirror image."""
    p, hit = drawn_rows(n, 1, sharper=sharper)
    p = np.clip(p, 0.002, 0.998)
    found = smooth_calibration_error(columns_of(p, hit), redraws=2).value
    assert found == pytest.approx(smECE(p, hit.astype(float)), abs=1e-3)


@pytest.mark.parametrize("shift", [-0.25, 0.1, 0.4])
def test_value_is_that_of_relplot_far_from_calibration(shift):
    rng = np.random.default_rng(3)
    p = 0.3 + 0.3 * rng.random(3000)
    hit = rng.random(3000) < p + shift
    found = smooth_calibration_error(columns_of(p, hit), redraws=2).value
    assert found == pytest.approx(smECE(p, hit.astype(float)), abs=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_value_is_the_fixed_point_for_rows(weighted):
    for p, hit in (
        drawn_rows(400, 5),
        few_values(400, 5),
        drawn_rows(400, 6, spread=8.0),
        drawn_rows(400, 1, sharper=5.0),
    ):
        weight = np.random.default_rng(5).exponential(size=400) if weighted else np.ones(400)
        found = smooth_calibration_error(columns_of(p, hit, weight if weighted else None), redraws=2).value
        assert_fixed_point(p, hit, weight, found)


@pytest.mark.parametrize("n", [50, 1000, 100_000])
@pytest.mark.parametrize("sharper", [0.7, 1.0, 1.5])
def test_nothing_but_cells_and_grid_is_rounded(n, sharper):
    """Probabilities on the grid, one a cell: the definition, to a tenth of what cells may cost."""
    rng = np.random.default_rng([n, 9])
    p = rng.integers(1, 32, n) / 32
    hit = rng.random(n) < 1 / (1 + (1 / p - 1) ** (1 / sharper))
    found = smooth_calibration_error(columns_of(p, hit), redraws=2).value
    values = np.unique(p)
    trials, hits = (np.array([(p == v).sum() for v in values]), np.array([hit[p == v].sum() for v in values]))
    wanted = at_width(values, hits / trials, trials, found)
    assert found == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("gap", [0.0, 0.001, 0.01, 0.05, 0.3])
def test_neighbours_that_cancel_find_their_width(gap):
    """Always true at 0.4, never at 0.4 + gap: the error falls as fast as 1 / width, where the secant has it hardest."""
    p = np.repeat([0.4, 0.4 + gap], 500)
    hit = np.repeat([True, gap == 0.0], 500)
    found = smooth_calibration_error(columns_of(p, hit), redraws=2).value
    assert_fixed_point(p, hit, np.ones(1000), found)


def test_extremes():
    assert smooth_calibration_error(columns_of([], [])) is None
    kept = smooth_calibration_error(columns_of([0.0, 0.0, 1.0], [False, False, True]), redraws=5)
    assert (kept.value, kept.null, kept.p_value) == (0.0, 0.0, 1.0)
    for promise in (0.0, 1.0):
        broken = smooth_calibration_error(columns_of([promise] * 9, [promise == 0.0] * 9), redraws=5)
        assert broken.value == pytest.approx(1.0, abs=1e-3)
        assert broken.p_value == 1 / 6


def test_null_is_the_value_of_redrawn_labels():
    p, hit = drawn_rows(500, 7)
    cells = columns_of(p, hit)
    found = smooth_calibration_error(cells, redraws=20, seed=4)
    values = [smooth_calibration_error(redrawn, redraws=1).value for redrawn in redrawn_cells(cells, 20, 4)]
    assert found.null == pytest.approx(np.mean(values), abs=2e-5)
    assert found.null_upper == pytest.approx(np.quantile(values, 0.95), abs=2e-5)
    assert smooth_calibration_error(cells, hits=redrawn_hits(cells, 20, 4)) == found


def test_value_does_not_depend_on_redraws():
    cells = columns_of(*drawn_rows(300, 8))
    assert len({smooth_calibration_error(cells, redraws=n, seed=n).value for n in (1, 5, 200)}) == 1


def test_level_and_power():
    level = [smooth_calibration_error(columns_of(*drawn_rows(500, s)), redraws=60, seed=s) for s in range(200)]
    assert 0.01 <= np.mean([e.p_value < 0.05 for e in level]) <= 0.10
    assert np.mean([e.value - e.null for e in level]) == pytest.approx(0, abs=0.002)
    power = [
        smooth_calibration_error(columns_of(*drawn_rows(5000, s, sharper=1.2)), redraws=60, seed=s) for s in range(20)
    ]
    assert np.mean([e.p_value < 0.05 for e in power]) > 0.85
