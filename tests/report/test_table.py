"""Text tables: columns stand under each other."""

import pytest

from crossent.report.table import aligned


def test_columns_are_padded_left_and_right_and_lines_end_without_blanks():
    rows = [("a", "b", "c"), ("long", "1", "")]
    assert aligned(rows, left=1) == "a     b  c\nlong  1"
    assert aligned(rows) == "a     b  c\nlong  1"
    assert aligned([("x", "1"), ("y", "10")], left=1) == "x   1\ny  10"


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        aligned([("a", "b"), ("c",)])
