"""What is written is read back: Parquet and CSV, odd names, odd cells, in blocks."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossent.rows import open_sink, open_source

FORMATS = ("parquet", "csv", "tsv")
ODD_NAMES = [
    'a"b',
    "a'b",
    "a`b",
    "a.b",
    "a,b;c\td|e",
    "p_*",
    "c0",
    "select",
    "*",
    "ünïcödé 🦉",
    "x" * 5000,
    "line\nbreak",
    " space around ",
    "A",
    "a",
    "); drop table t; --",
    "{}%s$1?",
    "\\",
]
relaxed = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
characters = st.characters(exclude_categories=("Cs",), exclude_characters="\0\r")
names = st.lists(
    st.text(characters, min_size=1, max_size=20).filter(lambda name: name.strip() == name),
    min_size=1,
    max_size=5,
    unique=True,
)


def read(path, **options):
    source = open_source(path)
    return source, list(source.blocks(**options))


@pytest.mark.parametrize("suffix", FORMATS)
def test_odd_names_are_read_back(tmp_path, suffix):
    path = tmp_path / f"odd.{suffix}"
    with open_sink(path) as sink:
        sink.write({name: [float(i), i + 0.5] for i, name in enumerate(ODD_NAMES)})
    source, (block,) = read(path)
    assert list(source.column_names) == ODD_NAMES
    np.testing.assert_array_equal(block.matrix(ODD_NAMES)[0], np.arange(len(ODD_NAMES)))
    for i, name in enumerate(ODD_NAMES):
        (alone,) = open_source(path).blocks([name])
        assert alone.column_names == (name,)
        assert alone.numbers(name)[1] == i + 0.5


@pytest.mark.parametrize("suffix", FORMATS[:2])
@given(names=names)
@relaxed
def test_any_names_are_read_back(tmp_path, suffix, names):
    path = tmp_path / f"any.{suffix}"
    with open_sink(path) as sink:
        sink.write({name: [i] for i, name in enumerate(names)})
    source, (block,) = read(path)
    assert list(source.column_names) == names
    assert [block.numbers(name)[0] for name in names] == list(range(len(names)))


@pytest.mark.parametrize("suffix", FORMATS[:2])
@given(values=st.lists(st.floats(), min_size=1, max_size=30), rows=st.integers(1, 40))
@relaxed
def test_numbers_are_read_back_to_the_last_bit(tmp_path, suffix, values, rows):
    path = tmp_path / f"numbers.{suffix}"
    with open_sink(path) as sink:
        for start in range(0, len(values), 7):
            part = np.array(values[start : start + 7])
            sink.write({"x": part, "row": np.arange(start, start + len(part))})
    _, blocks = read(path, rows=rows)
    assert [block.first_row for block in blocks] == [int(block.numbers("row")[0]) for block in blocks]
    assert max(len(block) for block in blocks) <= rows
    np.testing.assert_array_equal(np.concatenate([block.numbers("x") for block in blocks]), values)


@pytest.mark.parametrize("suffix", FORMATS[:2])
@given(cells=st.lists(st.none() | st.text(characters, min_size=1), min_size=1, max_size=20))
@relaxed
def test_texts_are_read_back(tmp_path, suffix, cells):
    path = tmp_path / f"texts.{suffix}"
    with open_sink(path) as sink:
        sink.write({"x": ["text", *cells], "row": range(len(cells) + 1)})
    source, (block,) = read(path)
    if source.columns[0].kind == "text":  # a CSV column of digits alone is a number column
        assert block.text("x") == ["text", *cells]


def test_kinds_are_found_in_both_formats(tmp_path):
    columns = {"n": [1.5, None], "b": [True, False], "t": ["cat", None], "i": [1, 2]}
    for suffix in FORMATS:
        path = tmp_path / f"kinds.{suffix}"
        with open_sink(path) as sink:
            sink.write(columns)
        source, (block,) = read(path)
        assert [column.kind for column in source.columns] == ["number", "boolean", "text", "number"]
        assert [block.text(name) for name in columns] == [
            ["1.5", None],
            ["true", "false"],
            ["cat", None],
            ["1", "2"],
        ]
        assert math.isnan(block.numbers("n")[1])
        assert block.numbers("b").tolist() == [1.0, 0.0]


def test_many_blocks_keep_their_order_and_row_numbers(tmp_path):
    for suffix in FORMATS:
        path = tmp_path / f"many.{suffix}"
        with open_sink(path) as sink:
            for start in range(0, 200_000, 50_000):
                sink.write({"row": np.arange(start, start + 50_000), "y": ["a\nb"] * 50_000})
            assert sink.row_count == 200_000
        seen = 0
        for block in open_source(path).blocks(["row"], rows=30_000):
            assert block.first_row == seen
            np.testing.assert_array_equal(block.numbers("row"), np.arange(seen, seen + len(block)))
            seen += len(block)
        assert seen == 200_000
