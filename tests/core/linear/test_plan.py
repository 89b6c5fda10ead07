"""How a budget is spent: never more than the limit, all of it worth spending, one chunk where it fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent.core.linear.plan import Needs, Plan, checked_limit, default_limit, make_plan
from crossent.errors import OptionError

MB = 10**6


def spent(plan: Plan, needs: Needs) -> int:
    """Bytes that a plan takes."""
    return needs.fixed + plan.rows * needs.row + plan.classes * needs.block + plan.staged * needs.staged


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, int, Needs]:
    """limit, rows, classes, needs."""
    classes = draw(st.integers(1, 300_000))
    row = 4 * classes + draw(st.sampled_from([0, 4096, 8192]))
    needs = Needs(
        row, draw(st.sampled_from([0, 4, 4096, 65536])), draw(st.sampled_from([0, 4, 8, 12])) * classes,
        draw(st.sampled_from([0, 16])) * classes, summed=draw(st.booleans()), blocks=draw(st.booleans()),
    )  # fmt: skip
    return draw(st.integers(1, 10**10)), draw(st.integers(1, 10**6)), classes, needs


@given(plans())
def test_no_plan_takes_more_than_the_limit(drawn: tuple[int, int, int, Needs]) -> None:
    limit, rows, classes, needs = drawn
    try:
        plan = make_plan(limit, 0, rows, classes, needs)
    except OptionError:
        least = needs.fixed + needs.staged + needs.row + needs.block * (needs.blocks or needs.summed)
        assert limit < least
        return
    assert 1 <= plan.rows <= rows
    assert plan.classes <= classes
    assert (plan.staged >= 1) == (needs.staged > 0)
    assert spent(plan, needs) <= limit
    assert plan.rows == rows or plan.classes >= 1 or not (needs.summed or needs.blocks)
    assert plan.classes >= 1 or not needs.blocks


@given(plans())
def test_a_larger_limit_needs_no_more_chunks(drawn: tuple[int, int, int, Needs]) -> None:
    limit, rows, classes, needs = drawn
    found = []
    for each in (limit, 2 * limit):
        try:
            found.append(-(-rows // make_plan(each, 0, rows, classes, needs).rows))
        except OptionError:
            found.append(10**9)
    assert found[1] <= found[0]


def test_the_plan_of_the_benchmark() -> None:
    """(2048, 1024, 32000) float32 with a bias: a quarter of 262 MB, five chunks of about one size."""
    needs = Needs(4 * 32000, 4 * 1024, 0, 12 * 32000, summed=True, blocks=False)
    limit = default_limit(2048, 32000, 4)
    assert limit == 65_536_000
    assert make_plan(None, limit, 2048, 32000, needs) == Plan(416, 1024, 0)
    assert make_plan(4 * limit + 12 * 32000, 0, 2048, 32000, needs) == Plan(2048, 0, 0)  # nothing is added up
    assert make_plan(256 * 4 * 32000, 0, 2048, 32000, needs).rows == 208


def test_the_default_limit() -> None:
    assert default_limit(10, 10, 8) == 4 * MB
    assert default_limit(10**6, 256_000, 4) == 512 * MB
    assert default_limit(4096, 8192, 8) == 4096 * 8192 * 2


def test_the_default_lets_one_row_through_whatever_it_takes() -> None:
    needs = Needs(10**9, 4, 0, 0, summed=True, blocks=False)
    assert make_plan(None, 512 * MB, 5, 250_000_000, needs).rows == 1


def test_what_counts_as_a_limit() -> None:
    assert checked_limit(None) is None
    for value in (5, 5.0, np.int32(5), np.float64(5)):
        assert checked_limit(value) == 5
    for value in (0, -3, 2.5, False, np.True_, "5", np.nan, np.ones(2), 2**63):
        with pytest.raises(OptionError, match="a whole number of bytes > 0"):
            checked_limit(value)
