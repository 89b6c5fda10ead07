"""Sources: dialects of CSV, tables in memory, and one clear error for every kind of bad file."""

import gzip
import os
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossent.errors import DataError, MissingExtraError, OptionError
from crossent.rows import from_table, open_sink, open_source


def texts(path, **options):
    columns: dict[str, list] = {}
    for block in open_source(path, **options).blocks():
        for name in block.column_names:
            columns.setdefault(name, []).extend(block.text(name))
    return columns


def read_numbers(path, name):
    return [block.numbers(name) for block in open_source(path).blocks([name])]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("a,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        ("a, b\n1, 2\n", {"a": ["1"], "b": ["2"]}),
        ("a;b\n1,5;2\n", {"a": ["1,5"], "b": ["2"]}),
        ("a\tb\nx y\t2\n", {"a": ["x y"], "b": ["2"]}),
        ("a|b\n1|2\n", {"a": ["1"], "b": ["2"]}),
        ("a,b\r\n1,2\r\n", {"a": ["1"], "b": ["2"]}),
        ("\ufeffa,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        ("a,b\n1,\n,2", {"a": ["1", None], "b": [None, "2"]}),
        ("a,b\n\n1,2\n\n3,4\n", {"a": ["1", "3"], "b": ["2", "4"]}),
        ('"a,b","c ""d"""\n"1,5","x\ny"\n', {"a,b": ["1,5"], 'c "d"': ["x\ny"]}),
        ("A,a\n1,2\n", {"A": ["1"], "a": ["2"]}),
        ("a,\n1,2\n", {"a": ["1"], "": ["2"]}),
        ("a\nx\ny\n", {"a": ["x", "y"]}),
        ("a,b\n#1,2\n", {"a": ["#1"], "b": ["2"]}),
        ("a,b\nTrue,1.0\nFalse,2.50\n", {"a": ["true", "false"], "b": ["1", "2.5"]}),
        ("a,b\n01234,x\n90210,y\n", {"a": ["01234", "90210"], "b": ["x", "y"]}),
        ("a\n9007199254740993\n", {"a": ["9007199254740993"]}),
    ],
)
def test_csv_dialects(tmp_path, content, columns):
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode())
    if "01234" in content and not _leading_zeros_are_text():
        pytest.skip("this DuckDB takes leading zeros for numbers")
    assert texts(path) == columns


def _leading_zeros_are_text():
    import duckdb

    return int(duckdb.__version__.split(".")[0]) >= 2


def test_compressed_csv_and_odd_paths(tmp_path):
    folder = tmp_path / "it's [a] *folder? ü"
    folder.mkdir()
    (folder / "a*[b]'.csv").write_text("x\n1\n")
    assert texts(folder / "a*[b]'.csv") == {"x": ["1"]}
    (folder / "a.csv.gz").write_bytes(gzip.compress(b"x,y\n1,2\n"))
    assert texts(folder / "a.csv.gz") == {"x": ["1"], "y": ["2"]}
    (folder / "a.csv.zst").write_bytes(pa.compress(b"x,y\n1,2\n", codec="zstd", asbytes=True))
    assert texts(folder / "a.csv.zst") == {"x": ["1"], "y": ["2"]}
    (folder / "noend").write_text("x,y\n1,2\n")
    assert texts(folder / "noend", format="csv") == {"x": ["1"], "y": ["2"]}


def test_row_numbers_are_the_same_in_csv_and_parquet(tmp_path):
    """Row 17 is the 17th row of data, whatever the format, blank lines and quoted line breaks."""
    cells = ["1"] * 16 + ["abc", "2"]
    (tmp_path / "a.csv").write_text("x,t\n" + "".join(f'{cell},"two\nlines"\n' for cell in cells))
    pq.write_table(pa.table({"x": cells}), tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        (block,) = open_source(tmp_path / name).blocks(["x"])
        with pytest.raises(DataError, match=rf"{name} row 17: column 'x' holds the text 'abc', a number is needed"):
            block.numbers("x")


def test_a_stray_text_leaves_a_csv_column_a_number_column(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "1,cat\n" * 9 + "oops,dog\n")
    assert [column.kind for column in open_source(tmp_path / "a.csv").columns] == ["number", "text"]


def test_text_behind_the_sniffed_rows_is_reported_with_its_row(tmp_path):
    path = tmp_path / "late.csv"
    path.write_text("x,y\n" + "1,2\n" * 70_000 + "abc,2\n")
    with pytest.raises(DataError, match=r"late.csv row 70001: column 'x' holds the text 'abc'"):
        read_numbers(path, "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a.csv is empty \(0 bytes\)"),
        (b"\n\n", "a.csv is empty. A CSV file needs a header"),
        (b"a,b\n", "a.csv has no rows"),
        (b"a,b\n1,2\n3,4,5\n6,7\n", r"a.csv row 2 \(line 3\) has 3 cells, the header has 2"),
        (b"a,b\n1,2\n3\n6,7\n", r"a.csv row 2 \(line 3\) has 1 cell, the header has 2"),
        (b'a,b\n"1\n1",2\n3,4,5\n', r"a.csv row 2 \(line 4\) has 3 cells"),
        (b"a,b\n" + b"1,2\n" * 50_000 + b"3,4,5\n", r"a.csv row 50001 \(line 50002\) has 3 cells"),
        (b"a,b\n" + b"1,2\n" * 50_000 + b"3", r"a.csv row 50001 \(line 50002\) has 1 cell,"),
        (b'a,b\n1,2\n1,"2\n3,4\n', r"a.csv row 2 has a quote that does not end"),
        (b"a,a\n1,2\n", "two columns called 'a'"),
        (b"\xff\xfea\x00,\x00b\x00\n\x00", "not UTF-8"),
        (b"a,b\n1,\xe9\n", "not UTF-8"),
        (b"a,b\n" + b"1,x\n" * 50_000 + b"1,\xe9\n", "not UTF-8 text near row"),
        (b"a\x00b\n1\n", "zero bytes"),
    ],
)
def test_bad_csv(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        texts(path)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_bad_parquet(tmp_path):
    good = tmp_path / "good.parquet"
    with open_sink(good) as sink:
        sink.write({"x": np.random.default_rng(0).normal(size=10_000)})
    content = good.read_bytes()
    bad = tmp_path / "bad.parquet"
    for cut in (5, 100, len(content) // 2, len(content) - 1):
        bad.write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"bad.parquet is a damaged or truncated Parquet file"):
            open_source(bad)
    bad.write_bytes(content[:1000] + b"\x55" + content[1001:])
    with pytest.raises(DataError, match=r"bad.parquet is damaged or truncated"):
        list(open_source(bad).blocks())
    bad.write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"bad.parquet is not a Parquet file"):
        open_source(bad)
    bad.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        open_source(bad)


def test_a_parquet_file_without_rows_or_with_repeated_names(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array([], pa.float64())}), path)
    source = open_source(path)
    assert source.row_count == 0
    with pytest.raises(DataError, match="has no rows"):
        list(source.blocks())
    with pytest.raises(DataError, match="two columns called 'x'"):
        from_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]))


def test_paths_that_are_no_files(tmp_path):
    (tmp_path / "train.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"does not exist. Did you mean 'train.csv'\?"):
        open_source(tmp_path / "trian.csv")
    with pytest.raises(DataError, match=r"is not UTF-8\. Rename"):
        open_source(os.fsdecode(b"a\xff.csv"))
    with pytest.raises(DataError, match="is a folder"):
        open_source(tmp_path)
    with pytest.raises(DataError, match=r"does not exist. Nor does its folder"):
        open_source(tmp_path / "nowhere" / "a.csv")
    (tmp_path / "a.xyz").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"suffix '.xyz' tells no format. Use one of .parquet"):
        open_source(tmp_path / "a.xyz")
    with pytest.raises(OptionError, match=r"Did you mean 'parquet'\?"):
        open_source(tmp_path / "train.csv", format="parket")


def test_columns_are_checked_before_anything_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("target,x\n1,2\n")
    with pytest.raises(DataError, match=r"no column 'tagret'. Did you mean 'target'\?"):
        open_source(path).blocks(["tagret"])
    with pytest.raises(OptionError, match="rows >= 1"):
        open_source(path).blocks(rows=0)


def test_a_projection_is_exact(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a.b": [1], "a": [2], "b": [3]}), path)
    (block,) = open_source(path).blocks(["a"])
    assert block.column_names == ("a",)
    (block,) = open_source(path).blocks(["b", "a.b", "b"])
    assert block.column_names == ("b", "a.b")
    (block,) = open_source(path).blocks([])
    assert len(block) == 1


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"x": [1, 2, 3], "y": pd.Categorical(["u", "v", "u"])}),
        pl.DataFrame({"x": [1, 2, 3], "y": pl.Series(["u", "v", "u"], dtype=pl.Categorical)}),
        pa.table({"x": [1, 2, 3], "y": ["u", "v", "u"]}),
        pa.table({"x": [1, 2, 3], "y": ["u", "v", "u"]}).to_batches()[0],
    ],
    ids=["pandas", "polars", "table", "batch"],
)
def test_tables_in_memory(table):
    source = from_table(table, name="frame")
    assert [(column.name, column.kind) for column in source.columns] == [("x", "number"), ("y", "text")]
    assert source.row_count == 3
    for _ in range(2):
        blocks = list(source.blocks(["y", "x"], rows=2))
        assert [len(block) for block in blocks] == [2, 1]
        assert [block.place(0) for block in blocks] == ["frame row 1", "frame row 3"]
        assert [cell for block in blocks for cell in block.text("y")] == ["u", "v", "u"]
        np.testing.assert_array_equal(np.concatenate([block.numbers("x") for block in blocks]), [1, 2, 3])


def test_a_stream_is_read_once():
    reader = pa.table({"x": [1, 2]}).to_reader()
    source = from_table(reader, name="stream")
    assert sum(len(block) for block in source.blocks()) == 2
    with pytest.raises(DataError, match="stream"):
        list(source.blocks())


def test_what_is_no_table():
    with pytest.raises(DataError, match="a list is no table"):
        from_table([1, 2])


def test_missing_libraries_are_named(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("a\n1\n")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'crossent\[files\]'"):
        open_source(tmp_path / "a.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pyarrow"):
        from_table(pd.DataFrame({"x": [1]}))
