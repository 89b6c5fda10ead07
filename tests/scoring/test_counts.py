"""Counts: what adds up is what the repeated rows would have given; what is no count is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossent.errors import ShapeError, WeightError
from crossent.scoring.counts import repeated, whole_counts
from crossent.stats import RatioSums


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 37), st.floats(0, 1e9)), min_size=1, max_size=12))
def test_a_row_of_count_c_is_c_rows(rows):
    count = np.array([c for c, _ in rows])
    values = np.array([x for _, x in rows])
    found = repeated(count, lambda kept: RatioSums.of(values if kept is None else values[kept]))
    wanted = RatioSums.of(np.repeat(values, count))
    assert found.units.tolist() == wanted.units.tolist() == [count.sum()]
    assert found.sums == wanted.sums


def test_no_counts_and_large_counts():
    assert repeated(None, lambda rows: 7 if rows is None else 0) == 7
    assert repeated(np.array([1, 1]), lambda rows: 2 if rows is None else 0) == 2
    large = np.array([2**32, 1, 2**31 + 1])
    assert repeated(large, lambda rows: 3 if rows is None else int(rows.sum())) == large.sum()


@pytest.mark.parametrize("bad", [-1, 0.5, np.nan, np.inf, 2**32 + 1])
def test_what_is_no_count_is_named_with_its_row(bad):
    with pytest.raises(WeightError, match=r"f row 12: count .* whole numbers from 0 to 2\^32"):
        whole_counts([1, bad, 2], rows=3, source="f", first_row=10)


def test_shape_of_counts():
    assert whole_counts([0, 2.0, 2**32], rows=3, source="", first_row=0).tolist() == [0, 2, 2**32]
    with pytest.raises(ShapeError, match=r"\(2,\).* 3 targets"):
        whole_counts([1, 2], rows=3, source="", first_row=0)
