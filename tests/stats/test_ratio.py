"""RatioSums against the definition in exact fractions, and its promises: merging, no variance, caveats."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent.errors import NonFiniteError
from crossent.stats import TOO_FEW_EVENTS, ExactSum, RatioSums, two_product
from isas import ISAS, using_isa


def by_definition(values, weights):
    """R, SE and gamma with every step in fractions."""
    a = [Fraction(float(v)) * Fraction(float(w)) for v, w in zip(values, weights, strict=True)]
    b = [Fraction(float(w)) for w in weights]
    m, total, ratio = len(a), sum(b), sum(a) / sum(b)
    u = [(x - ratio * y) / total for x, y in zip(a, b, strict=True)]
    square, cube = sum(x * x for x in u), sum(x**3 for x in u)
    se = math.sqrt(Fraction(m, m - 1) * square)
    return float(ratio), se, math.sqrt(m) * float(cube) / float(square) ** 1.5


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_estimate_is_the_definition(weighted, scale):
    rng = np.random.default_rng(3)
    values = rng.exponential(size=200) ** 2 * scale
    weights = rng.random(200) + 0.1 if weighted else np.ones(200)
    found = RatioSums.weighted(values, weights if weighted else None).estimate()
    ratio, se, gamma = by_definition(values / scale, weights)
    assert found.value == pytest.approx(ratio * scale, rel=1e-14)
    assert found.se == pytest.approx(se * scale, rel=1e-12)
    assert found.gamma == pytest.approx(gamma, rel=1e-10)
    assert found.n == 200
    assert found.effective_n == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), rel=1e-14)


def test_variance_survives_a_mean_a_billion_times_larger():
    values = 1e9 + np.array([1.0, 2.0, 4.0, 3.0] * 5)
    assert RatioSums.of(values).estimate().se == pytest.approx(np.std([1, 2, 4, 3] * 5, ddof=1) / 20**0.5, rel=1e-12)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=40), st.integers(0, 40), st.booleans())
def test_merged_is_whole_to_the_bit(values, cut, weighted):
    v = np.array(values)
    w = np.sqrt(v + 1) if weighted else None

    def part(rows):
        return RatioSums.weighted(v[rows], None if w is None else w[rows])

    whole, left, right = part(slice(None)), part(slice(cut)), part(slice(cut, None))
    assert (left + right).estimate() == (right + left).estimate() == whole.estimate()


def test_weighted_and_plain_blocks_add_up():
    v = np.array([1.0, 2.0, 5.0])
    both = RatioSums.weighted(v) + RatioSums.weighted(v, np.ones(3))
    assert both.estimate() == RatioSums.weighted(np.concatenate([v, v])).estimate()


@pytest.mark.parametrize("value", [0.1, math.log(2), 1e-20, 1e20, 0.0])
@pytest.mark.parametrize("weights", [None, np.array([0.3, 1.7, 2.9, 0.1])])
def test_equal_rows_have_no_standard_error(value, weights):
    found = RatioSums.weighted(np.full(4, value), weights).estimate()
    assert found.value == value
    assert found.se is found.lower is found.upper is None
    assert "not estimable" in found.why


def test_no_row_one_row_and_huge_rows():
    assert RatioSums.of(np.array([])).estimate().value is None
    one = RatioSums.of(np.array([2.0])).estimate()
    assert (one.value, one.se, one.n) == (2.0, None, 1)
    huge = RatioSums.of(np.array([1e200, 3e200])).estimate()
    assert huge.value == 2e200
    assert huge.se is None
    assert "2^330" in huge.why


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reach", [3, 60, 100])
def test_powers_are_those_of_fractions(weighted, reach, isa):
    """To 2^-100 of the size of each sum, the first powers exactly, and the same bits on every instruction set."""
    rng = np.random.default_rng(reach)
    v, w = (
        rng.normal(size=(2, 300)) * 2.0 ** rng.integers(-reach, reach, (2, 300))
        if weighted
        else (rng.random(300), None)
    )
    g = rng.integers(0, 3, 300)
    sums = RatioSums.weighted(v, w, groups=g, group_count=3)
    with using_isa(isa):
        again = RatioSums.weighted(v, w, groups=g, group_count=3)
    assert again.sums == sums.sums
    for group in range(3):
        b = [Fraction(x) for x in ([1] * 300 if w is None else w)]
        rows = [(Fraction(x) * y, y) for x, y, place in zip(v, b, g, strict=True) if place == group]
        powers = [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)]
        for (i, j), found in zip(powers, sums.sums, strict=True):
            terms = [x**i * y**j for x, y in rows]
            exact = i + j == 1
            assert abs(found.fractions()[group] - sum(terms)) <= (0 if exact else sum(map(abs, terms)) / 2**100)


def test_a_numerator_with_an_error_is_the_product():
    rng = np.random.default_rng(4)
    v, w = rng.random((2, 500))
    a, error = two_product(v, w)
    assert RatioSums.of(a, w, a_error=error).sums == RatioSums.weighted(v, w).sums
    alone = RatioSums.of(a, a_error=error)
    assert alone.sums[0] == ExactSum.of(a, error)
    assert alone.sums[1] == ExactSum.of_counts([500])


def test_rows_beyond_are_counted_and_leave_the_powers():
    v = np.array([2.0, 2.0**331, -(2.0**330), 1e-300, 0.0])
    w = np.array([1.0, 1.0, 1.0, 2.0**400, 3.0])
    plain, weighted = RatioSums.of(v), RatioSums.weighted(v, w)
    assert (plain.units.tolist(), plain.beyond.tolist()) == ([5], [1])
    assert (weighted.units.tolist(), weighted.beyond.tolist()) == ([5], [2])
    assert plain.sums[0].fractions() == [sum(map(Fraction, v))]
    assert plain.sums[2].fractions() == [4 + Fraction(2) ** 660 + Fraction(1e-300**2)]
    assert weighted.sums[4].fractions() == [11]
    assert weighted.sums[0].fractions() == [sum(Fraction(x) * Fraction(y) for x, y in zip(v, w, strict=True))]


def test_what_is_not_finite_is_named():
    for a, b in (([1.0, np.nan], None), ([1.0, 2.0], [1.0, np.inf]), ([1.0, 1e200], [1.0, 1e200])):
        with pytest.raises(NonFiniteError, match="value 1 is not finite"):
            RatioSums.weighted(np.array(a), None if b is None else np.array(b))
    with pytest.raises(NonFiniteError, match="value 0 is not finite"):
        RatioSums.of(np.ones(1), np.ones(1), a_error=np.array([np.inf]))


def test_sums_from_elsewhere_are_checked():
    r = RatioSums.of(np.array([1.0, 2.0]), groups=np.array([0, 1]), group_count=2)
    r.check()
    wrong = [RatioSums(r.units[:1], r.beyond, r.sums), RatioSums(r.units, r.beyond, r.sums[:8])]
    wrong += [RatioSums(r.units, r.units + 1, r.sums), RatioSums(r.units, -r.units, r.sums)]
    wrong += [RatioSums(r.units << 54, r.beyond, r.sums)]
    for sums in wrong:
        with pytest.raises(ValueError, match="sums of ratios"):
            sums.check()


def test_groups_and_total():
    rng = np.random.default_rng(1)
    v, g = rng.random(300), rng.integers(0, 3, 300)
    sums = RatioSums.of(v, groups=g, group_count=4)
    for k, found in enumerate(sums.estimates()[:3]):
        assert found == RatioSums.of(v[g == k]).estimate()
    assert sums.estimates()[3].why == "no rows"
    assert sums.total().estimate() == RatioSums.of(v).estimate()


def test_rare_large_losses_are_marked_and_the_floor_cuts():
    v = np.zeros(100)
    v[0] = 5.0
    found = RatioSums.of(v).estimate(floor=0.0)
    assert found.mark == TOO_FEW_EVENTS
    assert found.lower >= 0.0
    assert RatioSums.of(np.random.default_rng(0).random(100)).estimate().mark is None


def test_coverage_on_skewed_losses():
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        e = RatioSums.of(rng.exponential(size=100)).estimate()
        hits += e.lower <= 1.0 <= e.upper
    assert 0.92 <= hits / 400 <= 0.98
