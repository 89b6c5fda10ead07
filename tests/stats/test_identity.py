"""Identities: the same for the same row or key however it is spelt, spread evenly, and a published test vector."""

import datetime
import hashlib
from decimal import Decimal

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from crossent.errors import DataError, ShapeError
from crossent.stats import identity
from crossent.stats.identity import key_identity, row_identity, top_bits


def splitmix(x):
    """SplitMix64 in Python integers."""
    mask = 2**64 - 1
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def test_rows_are_splitmix64_started_at_the_hash_of_the_source():
    start = int.from_bytes(hashlib.blake2b(b"x/a.csv", digest_size=8).digest(), "little")
    wanted = [splitmix((start + (row + 1) * 0x9E3779B97F4A7C15) % 2**64) for row in (0, 1, 7, 10**12)]
    assert row_identity("x/a.csv", np.array([0, 1, 7, 10**12])).tolist() == wanted


def test_splitmix64_gives_its_published_first_numbers(monkeypatch):
    """Of seed 1234567, as in Vigna's splitmix64.c and its many ports."""
    monkeypatch.setattr(identity, "_text_hash", lambda text: 1234567)
    found = row_identity("", np.arange(3)).tolist()
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_row_is_its_source_and_number_whatever_the_block():
    whole = row_identity("a", np.arange(100))
    parts = [row_identity("a", np.arange(60)), row_identity("a", np.arange(60, 100))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert len(np.unique(np.concatenate([whole, row_identity("b", np.arange(100))]))) == 200


@pytest.mark.parametrize("bits", [10, 16])
@pytest.mark.parametrize("stride", [1, 1024, 2**40])
def test_groups_are_even_for_regular_rows(bits, stride):
    groups = top_bits(row_identity("part-00000.parquet", np.arange(2**20, dtype=np.int64) * stride), bits)
    counts = np.bincount(groups, minlength=2**bits)
    assert len(counts) == 2**bits
    assert 1e-4 < scipy.stats.chisquare(counts).pvalue < 1 - 1e-4


def test_numbered_keys_fall_evenly_into_groups():
    counts = np.bincount(top_bits(key_identity(np.arange(20_000)), 10), minlength=1024)
    assert 1e-4 < scipy.stats.chisquare(counts).pvalue < 1 - 1e-4


SPELLINGS = [
    (np.array([1, 0, 2], np.int8), ["1", "0", "2"]),
    (np.array([1, 0, 2**64 - 1], np.uint64), ["1", "0", "18446744073709551615"]),
    (np.array([1.0, -0.0, 0.25]), ["1", "0", "0.25"]),
    (np.array([0.1, 3.0], np.float32), ["0.1", "3"]),
    (np.array([True, False]), ["true", "false"]),
    (np.array(["a", "1", "é"]), ["a", "1", "é"]),
    (np.array([b"a", b"1"]), ["a", "1"]),
    (np.array(["2020-01-02"], "datetime64[D]"), ["2020-01-02"]),
    (np.array(["a\0", "a", "\ud800"], object), ["a\0", "a", "\ud800"]),
    (np.array([1, 1.0, True, "1", b"1", Decimal("1.00"), datetime.date(2020, 1, 2), np.int16(1)], object),
     ["1", "1", "true", "1", "1", "1", "2020-01-02", "1"]),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "texts"), SPELLINGS)
def test_keys_are_their_canonical_text(keys, texts):
    wanted = [hashlib.blake2b(t.encode("utf-8", "surrogatepass"), digest_size=8).digest() for t in texts]
    assert key_identity(keys).tolist() == [int.from_bytes(w, "little") for w in wanted]


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=3), st.booleans()), min_size=1))
def test_equal_exactly_where_the_texts_are_equal(values):
    texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
    keys = np.empty(len(values), object)
    keys[:] = values
    found = key_identity(keys)
    assert [[x == y for y in texts] for x in texts] == (found[:, None] == found).tolist()


def test_a_list_keeps_the_types_of_its_members():
    found = key_identity([1, True, "1", 1.5])
    assert found.tolist() == key_identity(["1", "true", "1", "1.5"]).tolist()


def test_no_key_at_all_is_fine():
    assert key_identity(np.array([], object)).shape == key_identity([]).shape == (0,)


@pytest.mark.parametrize("keys", [np.array([1.0, 2.0, np.nan]), np.array(["a", "b", None], object)])
def test_a_missing_key_is_named(keys):
    with pytest.raises(DataError, match=r"keys\[2\] is missing"):
        key_identity(keys)


def test_one_key_a_row():
    with pytest.raises(ShapeError, match=r"\(2, 2\)"):
        key_identity(np.ones((2, 2)))
