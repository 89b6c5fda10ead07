"""Score tests: independent formulas, finite differences, and their level under calibration."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

from crossent.stats.score_tests import NOT_RELIABLE, CalibrationTest, entropy_gap_test, spiegelhalter_test


def batch(rng, n=1000, k=4, sharp=1.5, temperature=1.0):
    """Calibrated rows, or rows over-confident by a temperature: probabilities and labels."""
    z = rng.normal(size=(n, k)) * sharp
    y = (np.log(rng.random((n, k))) / scipy.special.softmax(z / temperature, axis=1)).argmax(axis=1)
    return scipy.special.softmax(z, axis=1), y


def gap_of(p, y, w):
    entropy = scipy.stats.entropy(p, axis=1)
    second = (p * np.log(p) ** 2).sum(axis=1) - entropy**2
    gap = (w * (-np.log(p[np.arange(len(y)), y]) - entropy)).sum()
    spread = w**2 * second
    return entropy_gap_test(gap=gap, variance=spread.sum(), weight=w.sum(), largest=spread.max())


def spiegelhalter_of(p, y, w):
    squares, cubes = (p**2).sum(axis=1), (p**3).sum(axis=1)
    hit = np.eye(p.shape[1])[y]
    excess = (w * (((p - hit) ** 2).sum(axis=1) - (1 - squares))).sum()
    spread = w**2 * 4 * (cubes - squares**2)
    return spiegelhalter_test(excess=excess, variance=spread.sum(), weight=w.sum(), largest=spread.max())


@pytest.mark.parametrize("test", [gap_of, spiegelhalter_of])
@pytest.mark.parametrize("k", [2, 5])
def test_level_under_calibration_and_power_against_temperature(test, k):
    rng = np.random.default_rng(k)
    z = []
    for _ in range(400):
        p, y = batch(rng, n=300, k=k)
        z.append(test(p, y, rng.random(300) + 0.5).z)
    assert 0.02 <= np.mean(np.abs(z) > 1.96) <= 0.09
    assert scipy.stats.kstest(z, "norm").pvalue > 1e-3
    for temperature, sign in ((1.2, 1), (0.8, -1)):
        p, y = batch(rng, n=5000, k=k, temperature=temperature)
        found = test(p, y, np.ones(5000))
        assert found.p_value < 1e-3
        assert found.z * sign > 0
        assert found.value * sign > 0


def test_the_entropy_gap_is_the_slope_in_the_inverse_temperature():
    rng = np.random.default_rng(3)
    p, y = batch(rng)
    w, h = rng.random(1000), 1e-5

    def loss(beta):
        z = beta * np.log(p)
        return (w * (scipy.special.logsumexp(z, axis=1) - z[np.arange(1000), y])).sum() / w.sum()

    assert gap_of(p, y, w).value == pytest.approx((loss(1 + h) - loss(1 - h)) / (2 * h), rel=1e-6)


def test_two_classes_are_spiegelhalters_own_formula():
    """z = sum (x - p)(1 - 2p) / sqrt(sum (1 - 2p)^2 p (1 - p)), Spiegelhalter 1986, for the event x."""
    rng = np.random.default_rng(4)
    p, y = batch(rng, k=2)
    q = p[:, 1]
    wanted = ((y - q) * (1 - 2 * q)).sum() / math.sqrt(((1 - 2 * q) ** 2 * q * (1 - q)).sum())
    found = spiegelhalter_of(p, y, np.ones(len(y)))
    assert found.z == pytest.approx(wanted, rel=1e-10)
    assert found.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(wanted)), rel=1e-10)
    assert found.mark is found.why is None


@pytest.mark.parametrize("test", [gap_of, spiegelhalter_of])
def test_only_ratios_of_weights_matter(test):
    rng = np.random.default_rng(5)
    p, y = batch(rng)
    w = rng.random(1000)
    once, tenfold = test(p, y, w), test(p, y, 10 * w)
    assert (tenfold.value, tenfold.z) == pytest.approx((once.value, once.z), rel=1e-10)


def test_one_heavy_row_is_marked():
    rng = np.random.default_rng(6)
    p, y = batch(rng)
    w = np.ones(1000)
    w[5] = 100.0
    assert gap_of(p, y, w).mark == spiegelhalter_of(p, y, w).mark == NOT_RELIABLE
    assert type(gap_of(p, y, w).z) is type(gap_of(p, y, w).value) is float
    kept = entropy_gap_test(gap=1.0, variance=10.0, weight=5.0, largest=1.0)
    assert kept.mark is None


def test_without_variance_or_rows_there_is_no_z():
    for test, name in ((entropy_gap_test, "gap"), (spiegelhalter_test, "excess")):
        found = test(**{name: 0.5}, variance=0.0, weight=10.0, largest=0.0)
        assert (found.value, found.z, found.p_value) == (0.05, None, None)
        assert "no variance" in found.why
        empty = test(**{name: 0.0}, variance=0.0, weight=0.0, largest=0.0)
        assert empty == CalibrationTest(None, None, None, why="no rows")


def test_rows_left_out_are_counted_and_marked():
    found = entropy_gap_test(gap=1.0, variance=4.0, weight=100.0, largest=0.1, left_out=2)
    assert (found.left_out, found.mark) == (2, "not reliable: 2 rows with an infinite or huge loss left out")
    both = entropy_gap_test(gap=1.0, variance=4.0, weight=100.0, largest=3.0, left_out=1)
    assert both.mark == f"{NOT_RELIABLE}; not reliable: 1 row with an infinite or huge loss left out"
    none = entropy_gap_test(gap=0.0, variance=0.0, weight=0.0, largest=0.0, left_out=3)
    assert (none.left_out, none.why) == (3, "every row has an infinite or huge loss")
