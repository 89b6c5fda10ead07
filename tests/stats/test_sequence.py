"""The confidence sequence: its formula by mpmath, its tuning, and how often any of its looks misses."""

import math

import mpmath
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from crossent.errors import OptionError
from crossent.stats import Estimate, RatioSums
from crossent.stats.sequence import Look, best_ratio, confidence_sequence


def width(n, r, alpha):
    """The boundary by its published formula, in mpmath."""
    n, r = mpmath.mpf(n), mpmath.mpf(r)
    return mpmath.sqrt(2 * (n * r**2 + 1) / (n**2 * r**2) * mpmath.log(mpmath.sqrt(n * r**2 + 1) / alpha))


def look_at(n, *, se=0.02, expect_n=1000, confidence=0.95):
    estimate = Estimate(0.7, se, 0.6, 0.8, 0.95, n, float(n), gamma=1.0)
    return confidence_sequence(estimate, expect_n=expect_n, confidence=confidence)


@pytest.mark.parametrize("n", [100, 1000, 10**6])
@pytest.mark.parametrize("expect_n", [100, 5000])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_ends_are_the_published_formula(n, expect_n, confidence):
    look = look_at(n, expect_n=expect_n, confidence=confidence)
    s = 0.02 * math.sqrt(n)
    half = float(s * width(n, best_ratio(expect_n, confidence=confidence), 1 - confidence))
    assert (look.lower, look.upper) == pytest.approx((0.7 - half, 0.7 + half), rel=1e-12)
    assert (look.n, look.value, look.confidence, look.expect_n, look.why) == (n, 0.7, confidence, expect_n, None)


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, 0.999999])
@pytest.mark.parametrize("expect_n", [100, 12_345])
def test_r_makes_it_tightest_at_the_expected_rows(confidence, expect_n):
    r, alpha = best_ratio(expect_n, confidence=confidence), 1 - confidence
    wanted = math.sqrt((-scipy.special.lambertw(-(alpha**2) / math.e, -1).real - 1) / expect_n)
    assert r == pytest.approx(wanted, rel=1e-9)
    found = scipy.optimize.minimize_scalar(
        lambda log_r: float(width(expect_n, math.exp(log_r), alpha)), bounds=(-12, 3), method="bounded"
    )
    assert math.log(r) == pytest.approx(found.x, abs=1e-4)


def test_any_look_of_a_long_run_misses_no_more_often_than_stated():
    """400 runs of 20 000 skewed losses, 200 looks each; the plain interval misses in half of them."""
    rng = np.random.default_rng(0)
    looks = np.unique(np.geomspace(100, 20_000, 200).astype(int))
    missed = plain = 0
    for _ in range(400):
        x = rng.exponential(size=20_000)
        n = looks.astype(float)
        mean, square = np.cumsum(x)[looks - 1] / n, np.cumsum(x * x)[looks - 1] / n
        se = np.sqrt((square - mean**2) / (n - 1))
        found = [
            confidence_sequence(Estimate(m, e, None, None, 0.95, int(k), k), expect_n=2000, confidence=0.9)
            for m, e, k in zip(mean, se, n, strict=True)
        ]
        missed += any(not look.lower <= 1.0 <= look.upper for look in found)
        plain += bool((abs(mean - 1.0) > 1.6449 * se).any())
    assert missed / 400 <= 0.1 + 0.03
    assert plain / 400 > 0.4


def test_tighter_where_expected():
    early, late = (look_at(400, expect_n=n) for n in (400, 40_000))
    assert early.upper - early.lower < late.upper - late.lower
    early, late = (look_at(40_000, expect_n=n) for n in (400, 40_000))
    assert early.upper - early.lower > late.upper - late.lower


def test_no_statement_before_100_rows_nor_without_a_standard_error():
    assert look_at(99) == Look(99, 0.7, None, None, 0.95, 1000, "no statement before n = 100")
    assert look_at(100).lower is not None
    same = confidence_sequence(RatioSums.of(np.ones(200)).estimate(), expect_n=1000)
    assert (same.value, same.lower) == (1.0, None)
    assert "no variance" in same.to_dict()["why"]
    assert confidence_sequence(RatioSums.of(np.array([])).estimate(), expect_n=1000).why == "no rows"


def test_options_are_checked():
    with pytest.raises(OptionError, match="expect_n is 99"):
        look_at(500, expect_n=99)
    for confidence in (0.0, 1.0, 95.0, math.nan):
        with pytest.raises(OptionError, match=r"0\.95"):
            look_at(500, confidence=confidence)
