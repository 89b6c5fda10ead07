"""Canonical text, and the message for a column that is not there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent.errors import DataError
from crossent.rows.columns import (
    ColumnInfo,
    canonical_text,
    cell_number,
    cell_text,
    require_column,
)


@given(st.integers(-(2**70), 2**70))
def test_integers_and_equal_floats_have_the_same_text(value):
    if float(value) == value:
        assert canonical_text(value) == canonical_text(float(value)) == cell_text(str(value), "number")


@given(st.floats(allow_nan=False))
def test_a_float_reads_back_from_its_text(value):
    text = canonical_text(value)
    assert float(text) == value
    assert cell_text(repr(value), "number") == text


@given(st.text())
def test_text_is_never_changed(text):
    assert canonical_text(text) == text
    assert cell_text(text, "text") == text


@pytest.mark.parametrize(
    ("cell", "kind", "text"),
    [
        ("007", "number", "7"),
        ("007", "text", "007"),
        (" 2 ", "number", "2"),
        ("other", "number", "other"),
        ("nan", "number", None),
        ("nan", "text", "nan"),
        ("TRUE", "boolean", "true"),
        ("f", "boolean", "false"),
        ("maybe", "boolean", "maybe"),
        ("9007199254740993", "number", "9007199254740993"),
    ],
)
def test_cells_of_untyped_files(cell, kind, text):
    assert cell_text(cell, kind) == text


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1", 1.0),
        ("+.5", 0.5),
        ("1.", 1.0),
        ("1e-3", 1e-3),
        (" 2 ", 2.0),
        ("-Infinity", -np.inf),
        ("INF", np.inf),
    ],
)
def test_cells_that_are_numbers(cell, number):
    assert cell_number(cell) == number


@pytest.mark.parametrize("cell", ["", "abc", "1_000", "0x10", "1,5", "1 2", "NA", "--1", "١", "1\n2"])
def test_cells_that_are_no_numbers(cell):
    assert cell_number(cell) is None


class _Table:
    name = "train.csv"
    columns = (ColumnInfo("target", "text"), ColumnInfo("x", "number"))


def test_require_column_names_the_file_and_the_nearest_column():
    assert require_column(_Table(), "x").kind == "number"
    with pytest.raises(DataError, match=r"train.csv has no column 'tagret'. Did you mean 'target'\? Its columns"):
        require_column(_Table(), "tagret")
