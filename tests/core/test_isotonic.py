"""Isotonic regression against scikit-learn, the max-min formula in fractions, and its promises."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from crossent.core.isotonic import isotonic_curves


@pytest.mark.parametrize("m", [1, 2, 3, 50, 1500])
@pytest.mark.parametrize("whole", [True, False])
def test_curves_are_those_of_scikit_learn(m, whole):
    rng = np.random.default_rng(m)
    weight = rng.integers(1, 9, m).astype(float) if whole else rng.exponential(size=m) * 10.0 ** rng.uniform(-6, 6, m)
    hits = rng.binomial(8, np.linspace(0.2, 0.7, m), (20, m)) / 8 * weight
    hits[0], hits[1], hits[2] = 0.0, weight, hits[2, ::-1]
    found = isotonic_curves(hits, weight)
    for row, curve in zip(hits, found, strict=True):
        wanted = IsotonicRegression().fit(np.arange(m), row / weight, weight).predict(np.arange(m))
        np.testing.assert_allclose(curve, wanted, rtol=1e-12, atol=1e-14)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=9))
def test_curve_is_the_max_min_of_means(cells):
    """f_c = max over a <= c of min over b >= c of the mean of cells a..b, in fractions."""
    weight = [1 + hits + misses for hits, misses in cells]
    hits = [h for h, _ in cells]

    def mean(a, b):
        return Fraction(sum(hits[a : b + 1]), sum(weight[a : b + 1]))

    m = len(cells)
    wanted = [float(max(min(mean(a, b) for b in range(c, m)) for a in range(c + 1))) for c in range(m)]
    (found,) = isotonic_curves(np.array([hits], float), np.array(weight, float))
    assert found.tolist() == wanted


def test_pooled_cells_hold_the_same_bits_and_curves_never_fall():
    rng = np.random.default_rng(4)
    weight = rng.exponential(size=300)
    found = isotonic_curves(rng.random((40, 300)) * weight, weight)
    steps = np.diff(found, axis=1)
    assert steps.min() == 0.0
    assert np.all((steps == 0) | (steps > 1e-15))
    assert np.all((found >= 0) & (found <= 1))


def test_input_of_any_layout_is_left_alone():
    rng = np.random.default_rng(5)
    wide, weight = rng.random((8, 12)), rng.random(24) + 1
    before = wide.copy()
    found = isotonic_curves(wide.T, weight[:16:2])
    assert found.tolist() == isotonic_curves(np.ascontiguousarray(wide.T), weight[:16:2].copy()).tolist()
    assert (wide == before).all()


def test_no_cell_no_curve_and_not_a_number():
    assert isotonic_curves(np.empty((3, 0)), np.empty(0)).shape == (3, 0)
    assert isotonic_curves(np.empty((0, 3)), np.ones(3)).shape == (0, 3)
    assert np.isnan(isotonic_curves(np.array([[np.nan, 1.0]]), np.ones(2))[0, 0])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="weight does not fit"):
        isotonic_curves(np.ones((2, 3)), np.ones(4))
