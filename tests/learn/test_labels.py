"""Labels numbered without sorting the rows: the same as by numpy.unique, whatever their type."""

import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crossent.errors import LabelError, UnsupportedError
from crossent.learn.labels import numbered, read_truth

ROWS = st.integers(1, 40)
KINDS = st.one_of(
    hnp.arrays(st.sampled_from(["i1", "u1", "i4", "i8", "u8", ">i4"]), ROWS),
    hnp.arrays("i8", ROWS, elements=st.integers(-5, 5)),
    hnp.arrays("f8", ROWS, elements=st.integers(-(2**60), 2**60).map(float)),
    hnp.arrays("f4", ROWS, elements=st.integers(-9, 9).map(float)),
    hnp.arrays("?", ROWS),
    hnp.arrays("U3", ROWS, elements=st.text("abc", max_size=3)),
    hnp.arrays("S2", ROWS, elements=st.binary(min_size=1, max_size=2).filter(lambda b: not b.endswith(b"\0"))),
    hnp.arrays("O", ROWS, elements=st.text("xyz", max_size=2)),
    hnp.arrays("O", ROWS, elements=st.integers(-3, 3)),
    hnp.arrays("M8[D]", ROWS, elements=st.integers(0, 9).map(lambda day: np.datetime64(day, "D"))),
)


@given(labels=KINDS)
def test_as_numpy_unique(labels):
    classes, codes = numbered(labels)
    expected, inverse = np.unique(labels, return_inverse=True)
    assert classes.dtype == expected.dtype
    assert classes.tolist() == expected.tolist()
    assert codes.dtype == np.int64
    assert np.array_equal(codes, inverse.reshape(-1))


def test_minus_zero_is_zero():
    assert numbered(np.array([-0.0, 0.0, 1.0]))[1].tolist() == [0, 0, 1]


def test_whole_numbers_far_apart():
    labels = np.array([2**62, -(2**62), 5])
    assert numbered(labels)[1].tolist() == [2, 0, 1]
    assert numbered(np.array([2**64 - 1, 2**64 - 2], np.uint64))[1].tolist() == [1, 0]


def test_many_labels_do_not_wait_for_a_sort():
    labels = np.random.default_rng(0).integers(0, 10, 400_000)

    def best(function):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(lambda: numbered(labels)) < 0.5 * best(lambda: np.unique(labels, return_inverse=True))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["b", "a", "b"]),
        pd.Series(["b", "a", "b"], dtype="category"),
        pd.Series(["b", "a", "b"], dtype="string"),
        pd.Categorical(["b", "a", "b"], categories=["z", "b", "a"]),
        pl.Series(["b", "a", "b"]),
        pl.Series(["b", "a", "b"], dtype=pl.Categorical),
        pl.Series(["b", "a", "b"], dtype=pl.Enum(["a", "b", "z"])),
        pa.array(["b", "a", "b"]),
        pa.chunked_array([["b"], ["a", "b"]]),
        pa.array(["b", "a", "b"]).dictionary_encode(),
    ],
    ids=lambda column: f"{type(column).__module__}.{type(column).__name__}",
)
def test_columns_of_text(column):
    classes, codes = numbered(read_truth(column, rows=3, shape=(3, 1)).values)
    assert classes.tolist() == ["a", "b"]  # a category that no row has is no class
    assert codes.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "column",
    [pd.Series([1, 0, 1], dtype="Int64"), pl.Series([1, 0, 1]), pa.array([1, 0, 1]), pa.array([True, False, True])],
    ids=lambda column: f"{type(column).__module__}.{type(column).__name__}",
)
def test_columns_of_numbers(column):
    assert numbered(read_truth(column, rows=3, shape=(3, 1)).values)[1].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", None, "b"]),
        pd.Series(["a", None, "b"], dtype="category"),
        pd.Series([1, None, 0], dtype="Int64"),
        pl.Series(["a", None, "b"]),
        pl.Series([1, None, 0]),
        pa.array(["a", None, "b"]),
        pa.array([1, None, 0]),
        np.array([1, np.nan, 0], dtype=object),
    ],
    ids=lambda column: f"{type(column).__module__}.{type(column).__name__}",
)
def test_missing_labels_are_refused_with_their_row(column):
    with pytest.raises(LabelError, match=r"y is (None|nan|<NA>) at row 1"):
        read_truth(column, rows=3, shape=(3, 1))


def test_other_refusals():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(UnsupportedError, match=r"y is a sparse matrix.*y.toarray\(\)"):
        read_truth(sparse.csr_array(np.eye(3)), rows=3, shape=(3, 1))
    with pytest.raises(UnsupportedError, match="y is a masked array"):
        read_truth(np.ma.array([1, 0, 1], mask=[0, 1, 0]), rows=3, shape=(3, 1))
    lists = np.empty(3, dtype=object)
    lists[:] = [[1], [2], [3]]
    with pytest.raises(LabelError, match="y holds lists"):
        read_truth(lists, rows=3, shape=(3, 1))
