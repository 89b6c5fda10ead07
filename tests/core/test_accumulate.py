"""Exact sums against Python's fractions: same value, same bits in any order, over all of float64."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent.errors import NonFiniteError
from crossent.stats import ExactSum, two_product

finite = st.floats(allow_nan=False, allow_infinity=False)


def exactly(values):
    return sum((Fraction(float(v)) for v in values), Fraction(0))


@given(st.lists(finite, max_size=30))
def test_sum_is_exact(values):
    assert ExactSum.of(np.array(values, float)).fractions() == [exactly(values)]


@given(st.lists(finite, min_size=1, max_size=30), st.integers(0, 30), st.randoms())
def test_any_split_and_order_gives_the_same_sum(values, cut, random):
    whole = ExactSum.of(np.array(values))
    shuffled = values[:]
    random.shuffle(shuffled)
    left, right = ExactSum.of(np.array(shuffled[:cut])), ExactSum.of(np.array(shuffled[cut:]))
    assert left + right == whole == right + left
    assert (left + right).fractions() == whole.fractions()


def test_groups_total_and_merged():
    rng = np.random.default_rng(0)
    values = rng.normal(size=5000) * 10.0 ** rng.integers(-300, 300, 5000)
    groups = rng.integers(0, 7, 5000)
    sums = ExactSum.of(values, groups=groups, group_count=7)
    assert sums.fractions() == [exactly(values[groups == g]) for g in range(7)]
    assert sums.total().fractions() == [exactly(values)]
    merged = sums.merged(np.array([0, 0, 1, 1, 1, 2, 2]), 3)
    assert merged.fractions()[0] == exactly(values[groups < 2])


def test_floats_round_once_and_hard_cases():
    hard = [5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 1.0, 2.0**-1022, -0.0]
    assert ExactSum.of(np.array(hard)).fractions() == [exactly(hard)]
    assert ExactSum.of(np.array([1.0, 2.0**-53, 2.0**-106])).floats()[0] == 1.0 + 2.0**-52  # ties would go down
    assert ExactSum.of(np.array([])).floats().tolist() == [0.0]


def test_many_sums_carry_without_overflow():
    total = block = ExactSum.of(np.full(1000, 1.7976931348623157e308))
    for _ in range(40):
        total = total + total
    assert total.fractions()[0] == block.fractions()[0] * 2**40
    negative = ExactSum.of(np.full(3, -1e308))
    assert (negative + negative).fractions()[0] == 6 * Fraction(-1e308)


@pytest.mark.parametrize("count", [0, 1, 2**14 - 1, 2**14, 2**32, 2**50 + 3])
def test_counts(count):
    assert ExactSum.of_counts([count, 1]).fractions() == [count, 1]
    assert ExactSum.of_counts([count]) + ExactSum.of(np.array([-float(count)])) == ExactSum.zeros()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_refuses_what_is_not_finite(bad):
    with pytest.raises(NonFiniteError, match="value 1 is not finite"):
        ExactSum.of(np.array([1.0, bad]))


def test_equality_bites():
    assert ExactSum.of(np.array([1.0])) != ExactSum.of(np.array([np.nextafter(1.0, 2)]))
    assert ExactSum.zeros(2) != ExactSum.zeros(1)
    assert ExactSum.zeros() != "0"


@given(st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-100), st.floats(-1e100, 1e100))
def test_two_product(x, y):
    if 0 < abs(y) < 1e-100:
        y = 1e-100
    p, e = two_product(np.array([x]), np.array([y]))
    assert Fraction(float(p[0])) + Fraction(float(e[0])) == Fraction(x) * Fraction(y)
