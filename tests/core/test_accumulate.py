"""Exact sums against Python's fractions: same value, same bits in any order, over all of float64."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent.core.accumulate import octave_cells
from crossent.errors import NonFiniteError
from crossent.stats import ExactSum, two_product
from isas import ISAS, using_isa

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


@given(st.lists(finite, min_size=1, max_size=6), st.integers(-1, 1), st.integers(-200, 0))
def test_floats_round_as_fractions_do(values, side, exponent):
    """Halves between two doubles too, and what tips them: float() of a Fraction rounds to nearest, ties to even."""
    values = [*values, max(values, key=abs) * 2.0**-53, side * max(abs(values[0]), 5e-324) * 2.0**exponent]
    found = ExactSum.of(np.array(values)).floats()[0]
    try:
        assert found == float(exactly(values))
    except OverflowError:
        assert abs(found) == np.inf
        assert (found > 0) == (exactly(values) > 0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_floats_of_ties_and_of_what_lies_beside_them(sign):
    half = 2.0**-53
    rows = [[1.0, half], [1.0 + 2 * half, half], [1.0, half, 5e-324], [1.0, half, -5e-324], [2.0**1023, 2.0**1023],
        [1.7976931348623157e308, 2.0**970], [1.7976931348623157e308, 2.0**969], [2.0**-1022, -5e-324],
        [2.0**600, -5e-324], [2.0**32, -1.0], [2.0**31], [2.0**31, 2.0**31]]  # fmt: skip
    wanted = [1.0, 1 + 4 * half, 1 + 2 * half, 1.0, np.inf, np.inf, 1.7976931348623157e308, 2.0**-1022 - 5e-324,
        2.0**600, 2.0**32 - 1, 2.0**31, 2.0**32]  # fmt: skip
    values = np.concatenate(rows) * sign
    groups = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    assert (sign * ExactSum.of(values, groups=groups, group_count=len(rows)).floats()).tolist() == wanted


def test_floats_of_many_groups():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(3, 20_000)) * 2.0 ** rng.integers(-1070, 1000, (3, 20_000))
    groups = np.arange(20_000)
    sums = ExactSum.of(*values, groups=groups, group_count=20_000)
    assert sums.floats().tolist() == [float(f) for f in sums.fractions()]
    assert sums.fractions()[:500] == [exactly(column) for column in values.T[:500]]


@pytest.mark.parametrize("isa", ISAS)
def test_products_are_two_products_on_every_instruction_set(isa):
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 3000)) * 2.0 ** rng.integers(-400, 400, (2, 3000))
    groups = rng.integers(0, 9, 3000)
    wanted = ExactSum.of(*two_product(x, y), groups=groups, group_count=9)
    with using_isa(isa):
        found = ExactSum.of_products(x, y, groups=groups, group_count=9)
    assert found == wanted
    assert found.fractions() == [
        sum(Fraction(a) * Fraction(b) for a, b in zip(x[groups == g], y[groups == g], strict=True)) for g in range(9)
    ]
    with pytest.raises(NonFiniteError, match="value 1"), using_isa(isa):
        ExactSum.of_products(np.array([1.0, 2.0**600]), np.array([1.0, 2.0**600]))


@given(st.lists(finite, max_size=20), st.lists(finite, max_size=20))
def test_equal_sums_have_equal_limbs(left, right):
    """However a value came about: as one sum, as two, or by cancelling."""
    whole = ExactSum.of(np.array(left + right))
    added = ExactSum.of(np.array(left)) + ExactSum.of(np.array(right))
    there_and_back = ExactSum.of(np.array([*left, *right, 1e308, 5e-324])) + ExactSum.of(np.array([-1e308, -5e-324]))
    for other in (added, there_and_back):
        assert (other.low, other.limbs.tolist()) == (whole.low, whole.limbs.tolist())
    whole.check()


@pytest.mark.parametrize(
    ("low", "limbs"),
    [(33, [[0, 0]]), (33, [[1, 0]]), (-1, [[1]]), (72, [[1]]), (33, [[2**32, 1]]), (33, [[-1, 1]]), (33, [[2**31]]),
        (33, [[-(2**31) - 1]]), (34, [[0]]), (33, [[0, 1]]), (33, [[2**32 - 1, -1]]), (33, [[]])],
)  # fmt: skip
def test_sums_from_elsewhere_are_checked(low, limbs):
    with pytest.raises(ValueError, match="an exact sum has"):
        ExactSum(low, np.array(limbs, np.int64)).check()
    ExactSum(33, np.array([[2**32 - 1, 1], [1, 2**31 - 1], [0, -(2**31)]])).check()


def test_a_long_block_is_the_sum_of_its_parts():
    rng = np.random.default_rng(7)
    x, y, groups = rng.normal(size=1_000_000), rng.random(1_000_000), rng.integers(0, 5, 1_000_000)
    whole = ExactSum.of_products(x, y, groups=groups, group_count=5)
    parts = [
        ExactSum.of_products(x[r], y[r], groups=groups[r], group_count=5) for r in np.array_split(np.arange(len(x)), 7)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = part + total
    assert total == whole


def test_octave_cells_lie_between_their_edges():
    rng = np.random.default_rng(8)
    for per_octave in (1, 3, 32, 64):
        octave = 2.0 ** (np.arange(per_octave) / per_octave)
        edges = np.concatenate([[0.0], np.ldexp(octave, np.arange(-9, 9)[:, None]).reshape(-1), [512.0, np.inf]])
        numbers = np.concatenate([2.0 ** rng.uniform(-12, 12, 5000), edges[:-1], np.nextafter(edges[1:], 0), [5e-324]])
        assert (
            octave_cells(numbers, edges, per_octave).tolist() == (np.searchsorted(edges, numbers, "right") - 1).tolist()
        )


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
