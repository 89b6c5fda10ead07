"""Held-out rows: the share asked for, and the same rows however the source is read."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent.errors import OptionError
from crossent.rows import Block, holdout, row_uniforms


def test_the_numbers_are_what_the_formula_says():
    seed, name, row = 7, "a/ü.parquet", 2**40
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    mask = 2**64 - 1
    x = (int.from_bytes(digest, "little") + (row + 1) * 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    assert row_uniforms(name, row, 1, seed=seed)[0] == ((x ^ (x >> 31)) >> 11) / 2**53


def test_the_numbers_never_change():
    assert row_uniforms("train.parquet", 0, 2, seed=1).tolist() == [0.1880487366835889, 0.5431601746108364]


@given(st.text(), st.integers(0, 2**50), st.integers(0, 100), st.integers(0, 100), st.integers())
def test_any_split_into_blocks_gives_the_same_numbers(name, first, count, more, seed):
    whole = row_uniforms(name, first, count + more, seed=seed)
    parts = [row_uniforms(name, first, count, seed=seed), row_uniforms(name, first + count, more, seed=seed)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert np.all((whole >= 0) & (whole < 1))


def test_rows_are_spread_evenly_and_seeds_and_names_are_independent():
    n = 100_000
    draws = [row_uniforms(name, 0, n, seed=seed) for name in ("a", "b") for seed in (0, 1)]
    for draw in draws:
        counts = np.histogram(draw, bins=100, range=(0, 1))[0]
        assert np.sum((counts - n / 100) ** 2 / (n / 100)) < 160  # chi^2 with 99 degrees: 0.99990 quantile
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.02


def test_holdout_goes_by_identity_not_by_place():
    batch = pa.record_batch({"x": range(1000)})
    here = Block(batch, source="/here/a.parquet", first_row=5000, identity="a.parquet")
    there = Block(batch, source="there/a.parquet", first_row=5000, identity="a.parquet")
    held = holdout(here, 0.1, seed=3)
    np.testing.assert_array_equal(held, holdout(there, 0.1, seed=3))
    assert 60 < held.sum() < 140
    assert np.all(holdout(here, 0.2, seed=3)[held])
    assert not holdout(here, 0.0).any()


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_fractions_outside_the_range(fraction):
    with pytest.raises(OptionError, match="allowed is 0 <= fraction < 1"):
        holdout(Block(pa.record_batch({"x": [1]}), source="a"), fraction)
