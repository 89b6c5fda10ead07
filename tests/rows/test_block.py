"""Blocks: what a cell of any Arrow type is as number, text and class."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crossent.errors import DataError
from crossent.rows.block import Block


def block_of(**columns):
    return Block(pa.record_batch(columns), source="train.parquet", first_row=16)


@pytest.mark.parametrize(
    ("array", "texts", "numbers"),
    [
        (pa.array([1, None], pa.int8()), ["1", None], [1, math.nan]),
        (pa.array([2**64 - 1, 0], pa.uint64()), ["18446744073709551615", "0"], [2.0**64, 0]),
        (pa.array([2**53 + 1, 0]), ["9007199254740993", "0"], [2.0**53, 0]),
        (pa.array([np.float16(0.5), None], pa.float16()), ["0.5", None], [0.5, math.nan]),
        (pa.array([0.1, None], pa.float32()), ["0.1", None], [float(np.float32(0.1)), math.nan]),
        (pa.array([math.nan, math.inf]), [None, "inf"], [math.nan, math.inf]),
        (pa.array([True, None]), ["true", None], [1, math.nan]),
        (pa.array([1, 2], pa.decimal128(10, 2)), ["1", "2"], [1, 2]),
        (pa.array([5, None]).dictionary_encode(), ["5", None], [5, math.nan]),
        (pa.array(["1.0", None], pa.string()), ["1.0", None], [1, math.nan]),
        (pa.array([" 2 ", ""], pa.large_string()), [" 2 ", ""], [2, math.nan]),
        (pa.array(["3", None], pa.string_view()), ["3", None], [3, math.nan]),
        (pa.array([b"4", b" 5"], pa.binary()), ["4", " 5"], [4, 5]),
        (pa.array(["6", None]).dictionary_encode(), ["6", None], [6, math.nan]),
        (pa.nulls(2), [None, None], [math.nan, math.nan]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_type_has_texts_and_numbers(array, texts, numbers):
    block = block_of(x=array)
    assert block.text("x") == texts
    found = block.numbers("x")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, numbers)


def test_distinct_texts_and_where_they_stand():
    texts, index = block_of(y=pa.array(["b", None, "a", "b"])).distinct("y")
    assert [None if k < 0 else texts[k] for k in index] == ["b", None, "a", "b"]
    assert len(texts) == 2


def test_a_slice_of_a_column_is_read_where_it_begins():
    block = Block(pa.record_batch({"x": [1, None, 3], "y": ["a", None, "b"]}).slice(1), source="s")
    np.testing.assert_array_equal(block.numbers("x"), [np.nan, 3])
    assert block.text("y") == [None, "b"]


@given(
    values=hnp.arrays(np.float64, st.tuples(st.integers(0, 3000), st.integers(0, 4)), fill=st.just(0.5)),
)
def test_matrix_is_the_columns_side_by_side(values):
    names = [f"c{j}" for j in range(values.shape[1])]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(np.arange(len(values))), *(pa.array(values[:, j].copy()) for j in range(values.shape[1]))],
        names=["row", *names],
    )
    matrix = Block(batch, source="s").matrix(names)
    assert matrix.flags.c_contiguous
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix, values)


@given(st.lists(st.sampled_from(["cat", "dog", "owl"]), max_size=50))
def test_codes_point_into_the_classes(cells):
    classes = ["owl", "cat", "dog"]
    codes = block_of(y=pa.array(cells, pa.string())).codes("y", classes)
    assert codes.dtype == np.int64
    assert [classes[k] for k in codes] == cells


def test_codes_compare_canonical_text():
    for array in (pa.array([1, 0], pa.int8()), pa.array([1.0, 0.0]), pa.array(["1", "0"])):
        assert block_of(y=array).codes("y", ["0", "1"]).tolist() == [1, 0]
    assert block_of(y=[True, False]).codes("y", ["false", "true"]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("column", "classes", "message"),
    [
        (
            ["cat", "catt"],
            ["cat", "dog"],
            r"train.parquet row 18: column 'y' holds 'catt', .*Did you mean 'cat'\?",
        ),
        (["cat", None], ["cat", "dog"], r"train.parquet row 18: column 'y' is empty there"),
        ([1, 2, 3], ["0", "1", "2"], r"row 19: .* start at 1"),
        (
            ["cat", "zebra"],
            ["cat", "dog"],
            r"row 18: .*'zebra'.* none of the 2 classes 'cat', 'dog'. Correct",
        ),
    ],
)
def test_a_cell_that_is_no_class_is_reported_with_its_row(column, classes, message):
    with pytest.raises(DataError, match=message):
        block_of(y=column).codes("y", classes)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["1", "abc"], r"train.parquet row 18: column 'x' holds the text 'abc', a number is needed"),
        (["1", " 2 ", "1_0"], r"row 19: .*'1_0'"),
        (["true"], r"row 17: .*'true'"),
        (pa.array([0], pa.timestamp("us")), r"train.parquet: column 'x' has the type timestamp"),
        (pa.array([[1.0]]), r"has the type list"),
    ],
)
def test_what_is_no_number_is_reported(column, message):
    with pytest.raises(DataError, match=message):
        block_of(x=column).numbers("x")


def test_nested_columns_and_foreign_bytes_have_no_text():
    with pytest.raises(DataError, match="nested type"):
        block_of(x=pa.array([[1.0]])).text("x")
    with pytest.raises(DataError, match="not UTF-8"):
        block_of(x=pa.array([b"\xff"])).text("x")


def test_a_missing_column_is_reported_with_the_nearest_one():
    with pytest.raises(DataError, match=r"train.parquet has no column 'agee'. Did you mean 'age'\?"):
        block_of(age=[1]).numbers("agee")


def test_select_keeps_the_cells_as_they_are():
    assert block_of(x=["a", None, "c"]).select(np.array([True, True, False]), "x").to_pylist() == ["a", None]
