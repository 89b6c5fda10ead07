"""Distributions and quantiles against SciPy, tails against mpmath."""

import math

import mpmath
import pytest
import scipy.stats

from crossent.errors import OptionError
from crossent.stats import normal_quantile, t_quantile
from crossent.stats.quantiles import normal_cdf, normal_tails, t_cdf, t_tails

POINTS = [0.0, 1e-3, 0.01, 0.3, 0.7, 0.999999, 1.0, 1.000001, 1.5, 2.0, 3.3, 5.0, 9.0, 16.0]


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 10, 29, 30, 99, 449, 998, 999, 1000, 1001, 5000, 10**6, 10**9])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.95, 0.975, 0.995, 0.9999, 0.025, 0.3])
def test_t_quantile(df, probability):
    assert t_quantile(probability, df) == pytest.approx(scipy.stats.t.ppf(probability, df), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("probability", [1e-6, 0.025, 0.5, 0.8, 0.975, 0.9999])
def test_normal_quantile(probability):
    assert normal_quantile(probability) == pytest.approx(scipy.stats.norm.ppf(probability), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("probability", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_refuses_probabilities_outside(probability):
    with pytest.raises(OptionError):
        t_quantile(probability, 3)
    with pytest.raises(OptionError):
        normal_quantile(probability)


def test_refuses_no_degrees_of_freedom():
    with pytest.raises(OptionError, match="at least 1"):
        t_quantile(0.9, 0)
    with pytest.raises(OptionError, match="at least 1"):
        t_tails(0.9, 0)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 10, 29, 30, 99, 449, 998, 999, 1000, 1001, 5000, 10**6, 10**9])
@pytest.mark.parametrize("x", POINTS)
def test_t_cdf(df, x):
    assert t_cdf(x, df) == pytest.approx(scipy.stats.t.cdf(x, df), rel=1e-10)
    assert t_cdf(-x, df) == pytest.approx(scipy.stats.t.sf(x, df), rel=1e-10)
    assert t_tails(x, df) == t_tails(-x, df) == 2 * t_cdf(-x, df)


@pytest.mark.parametrize(("df", "tolerance"), [(1, 1e-12), (2, 1e-12), (7, 1e-12), (999, 1e-11), (1000, 1e-6)])
@pytest.mark.parametrize("x", [25.0, 37.0, 1e3, 1e9])
def test_far_tails_keep_their_digits(df, tolerance, x):
    with mpmath.workdps(40):
        c = mpmath.mpf(df) / (df + mpmath.mpf(x) ** 2)
        wanted = float(mpmath.betainc(mpmath.mpf(df) / 2, 0.5, 0, c, regularized=True))
    assert t_tails(x, df) == pytest.approx(wanted, rel=tolerance, abs=1e-290)


@pytest.mark.parametrize("df", [1, 6, 1000])
def test_the_distribution_undoes_its_quantile_and_ends_at_0_and_1(df):
    assert t_cdf(t_quantile(0.93, df), df) == pytest.approx(0.93, rel=1e-12)
    assert (t_cdf(math.inf, df), t_cdf(-math.inf, df), t_tails(0.0, df)) == (1.0, 0.0, 1.0)
    assert t_tails(1e200, df) == 0.0


@pytest.mark.parametrize("x", [*POINTS, 30.0])
def test_normal_cdf(x):
    assert normal_cdf(x) == pytest.approx(scipy.stats.norm.cdf(x), rel=1e-12)
    assert normal_cdf(-x) == pytest.approx(scipy.stats.norm.sf(x), rel=1e-12)
    assert normal_tails(-x) == normal_tails(x) == 2 * normal_cdf(-x)
