"""Sinks: schema fixed by the first block, errors leave nothing behind, files other tools read."""

import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from crossent.errors import DataError, OptionError
from crossent.rows import open_sink, open_source


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_other_tools_read_it(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    columns = {
        "f": np.array([0.1, 1e-300, np.inf]),
        "f4": np.array([0.1, 2, 3], np.float32),
        "i": np.array([1, 2, 3], np.int8),
        "s": ["cat", 'd"o,g', "a\nb"],
        "u": np.array(["x", "y", "z"]),
        "b": np.array([True, False, True]),
    }
    with open_sink(path) as sink:
        sink.write(columns)
    frame = pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path)
    assert list(frame.columns) == list(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(frame[name].to_numpy().astype(np.asarray(values).dtype), values)


def test_parquet_keeps_types_and_missing_cells(tmp_path):
    with open_sink(tmp_path / "a.parquet") as sink:
        sink.write({"x": np.array([1], np.float32), "y": [None], "z": [None]})
        sink.write({"x": np.array([2], np.float32), "y": ["cat"], "z": [None]})
        sink.write({"x": np.array([], np.float32), "y": [], "z": []})
    table = pq.read_table(tmp_path / "a.parquet")
    assert [str(kind) for kind in table.schema.types] == ["float", "string", "string"]
    assert table["y"].to_pylist() == [None, "cat"]


def write_all(sink, blocks):
    for block in blocks:
        sink.write(block)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([{"x": [1]}, {"y": [1]}], "a block has the columns 'y', the first one had 'x'"),
        ([{"x": [1, 2], "y": [1]}], "lengths"),
        ([{"x": [1, "a"]}], "column 'x' has cells of mixed types"),
        ([{"x": [1]}, {"x": ["a"]}], "column 'x' has cells of mixed types"),
        ([], "there are no rows to write"),
    ],
)
def test_blocks_that_do_not_fit(tmp_path, suffix, blocks, message):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(DataError, match=message), open_sink(path) as sink:
        write_all(sink, blocks)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


def test_formats(tmp_path):
    with open_sink(tmp_path / "a.out", format="csv") as sink:
        sink.write({"x": [1]})
    assert (tmp_path / "a.out").read_text() == '"x"\n1\n'
    with pytest.raises(DataError, match=r"suffix '.out' tells no format"), open_sink(tmp_path / "b.out"):
        pass
    with pytest.raises(DataError, match=r"suffix '.gz' tells no format"), open_sink(tmp_path / "b.csv.gz"):
        pass
    with pytest.raises(OptionError, match="format is 'xml'"), open_sink(tmp_path / "b.csv", format="xml"):
        pass
    assert os.listdir(tmp_path) == ["a.out"]


def test_cells_pass_from_source_to_sink(tmp_path):
    with open_sink(tmp_path / "a.parquet") as sink:
        sink.write({"id": [1, None, 3], "t": ["a", None, "c"]})
    (block,) = open_source(tmp_path / "a.parquet").blocks()
    keep = np.array([True, True, False])
    with open_sink(tmp_path / "b.parquet") as sink:
        sink.write({name: block.select(keep, name) for name in block.column_names})
    assert pq.read_table(tmp_path / "b.parquet").to_pydict() == {"id": [1, None], "t": ["a", None]}
