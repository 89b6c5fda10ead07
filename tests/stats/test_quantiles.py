"""Quantiles against SciPy."""

import pytest
import scipy.stats

from crossent.errors import OptionError
from crossent.stats import normal_quantile, t_quantile


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
