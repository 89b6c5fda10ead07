"""Hall's and Wilson's intervals against formulas written out here with mpmath, statsmodels-free."""

import math

import mpmath
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from crossent.errors import OptionError
from crossent.stats import Estimate, hall_interval, wilson_estimate


def hall(value, se, gamma, m, confidence):
    """The definition, by mpmath."""
    t = mpmath.mpf(scipy.stats.t.ppf(0.5 + confidence / 2, m - 1))
    g, root_m = mpmath.mpf(gamma), mpmath.sqrt(m)

    def bent_back(x):
        base = 1 + g * (x / root_m - g / (6 * m))
        return 3 * root_m / g * (mpmath.sign(base) * mpmath.cbrt(abs(base)) - 1)

    return float(value - se * bent_back(t)), float(value - se * bent_back(-t))


@pytest.mark.parametrize("gamma", [-6.0, -1.0, -1e-6, 1e-6, 0.5, 3.5, 20.0])
@pytest.mark.parametrize("m", [2, 5, 30, 450, 100_000])
def test_hall_interval(gamma, m):
    found = hall_interval(0.3, se=0.05, gamma=gamma, units=m, confidence=0.95)
    assert found == pytest.approx(hall(0.3, 0.05, gamma, m, 0.95), rel=1e-8, abs=1e-9)
    assert found[0] < found[1]


def test_without_skewness_it_is_the_t_interval():
    low, high = hall_interval(1.0, se=0.1, gamma=0.0, units=10, confidence=0.9)
    assert (low, high) == pytest.approx(scipy.stats.t.interval(0.9, 9, 1.0, 0.1), rel=1e-10)


def test_skewness_moves_it_to_the_long_tail():
    low, high = hall_interval(1.0, se=0.1, gamma=3.0, units=100, confidence=0.95)
    assert high - 1 > 1 - low


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (7, 10), (10, 10), (437, 450)])
def test_wilson(hits, n):
    found = wilson_estimate(hits / n, n=n, effective_n=float(n), confidence=0.95)
    wanted = scipy.stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert (found.lower, found.upper) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert found.lower <= found.value <= found.upper
    assert (found.se is None) == (hits in (0, n)) == (found.why is not None)


def test_confidence_is_checked():
    with pytest.raises(OptionError, match=r"0\.95"):
        hall_interval(1.0, se=0.1, gamma=0.0, units=10, confidence=95.0)


def test_scaling_leaves_the_rest():
    e = Estimate(1.0, None, None, None, 0.95, 1, 1.0, why="one row").scaled(1 / math.log(2))
    assert (e.value, e.se, e.n, e.why) == (pytest.approx(1.4426950408889634), None, 1, "one row")
    assert e.marked("m").mark is None  # no interval, nothing to mark
    assert e.to_dict()["why"] == "one row"


@given(
    gamma=st.one_of(st.just(0.0), st.floats(-30, 30)),
    n=st.integers(2, 10**6),
    null=st.floats(-40, 40),
    confidence=st.floats(0.5, 0.999),
)
def test_p_is_below_1_minus_confidence_exactly_where_the_null_is_outside(gamma, n, null, confidence):
    low, high = hall_interval(0.3, se=0.7, gamma=gamma, units=n, confidence=confidence)
    e = Estimate(0.3, 0.7, low, high, confidence, n, float(n), gamma=gamma)
    p = e.p_value(null)
    assert 0.0 <= p <= 1.0
    margin = 1e-6 * (1 + abs(null))
    if not low - margin < null < low + margin and not high - margin < null < high + margin:
        assert (p < 1 - confidence) == (not low <= null <= high)


@pytest.mark.parametrize("gamma", [-20.0, -3.0, 0.0, 1e-7, 0.8, 6.0])
@pytest.mark.parametrize("n", [2, 9, 300, 10**5])
def test_at_an_end_of_the_interval_p_is_1_minus_confidence(gamma, n):
    for confidence in (0.5, 0.9, 0.999):
        low, high = hall_interval(1.0, se=0.1, gamma=gamma, units=n, confidence=confidence)
        e = Estimate(1.0, 0.1, low, high, confidence, n, float(n), gamma=gamma)
        assert [e.p_value(low), e.p_value(high)] == pytest.approx([1 - confidence] * 2, rel=1e-7)


def test_without_skewness_p_is_that_of_the_t_test():
    x = [0.3, 1.2, -0.4, 0.9, 2.2, 0.7]
    wanted = scipy.stats.ttest_1samp(x, 0.1)
    se = scipy.stats.sem(x)
    e = Estimate(sum(x) / 6, se, 0.0, 0.0, 0.95, 6, 6.0, gamma=0.0)
    assert e.p_value(0.1) == pytest.approx(wanted.pvalue, rel=1e-10)
    assert e.scaled(3.0).p_value(0.3) == pytest.approx(wanted.pvalue, rel=1e-10)


def test_no_interval_no_p():
    assert Estimate(1.0, None, None, None, 0.95, 1, 1.0, why="one row").p_value(0.0) is None
    assert wilson_estimate(0.5, n=10, effective_n=10.0, confidence=0.95).p_value(0.5) is None


def test_a_share_of_no_rows_has_no_value():
    found = wilson_estimate(math.nan, n=0, effective_n=0.0, confidence=0.95)
    assert (found.value, found.lower, found.why) == (None, None, "no rows")
