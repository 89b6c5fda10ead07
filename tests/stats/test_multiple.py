"""Benjamini and Hochberg against statsmodels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from crossent.stats.multiple import benjamini_hochberg


@given(st.lists(st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.01, 0.05])), max_size=60))
def test_is_that_of_statsmodels_and_leaves_none_out(p_values):
    found = benjamini_hochberg(p_values)
    given_ones = [p for p in p_values if p is not None]
    assert [x is None for x in found] == [p is None for p in p_values]
    if given_ones:
        wanted = multipletests(given_ones, method="fdr_bh")[1]
        assert [x for x in found if x is not None] == pytest.approx(wanted, rel=1e-12, abs=1e-300)


def test_the_share_of_false_discoveries_stays_below_the_level():
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(400):
        p = np.concatenate([rng.random(40), rng.random(10) ** 8])
        found = np.array(benjamini_hochberg(p.tolist())) < 0.1
        shares.append(found[:40].sum() / max(found.sum(), 1))
    assert 0.05 < np.mean(shares) < 0.1
