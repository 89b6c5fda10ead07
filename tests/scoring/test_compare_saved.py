"""Saved comparisons: loaded they are the same; whatever is damaged or does not fit is refused as a DataError."""

import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossent.errors import DataError
from crossent.scoring.compare_tally import SCHEMA, CompareTally
from pairs import batch, tally_of

MORE = [{}, {"ci": "bootstrap"}, {"cluster": np.arange(400) % 7}]


def saved(**more):
    y, a, b, w = batch()
    return tally_of(y, a, b, sample_weight=w, by={"kind": np.arange(400) % 3}, names=("old", "new"), **more)


@pytest.mark.parametrize("more", MORE)
def test_saved_and_loaded_is_the_same(more):
    tally = saved(**more)
    data = tally.to_bytes()
    again = CompareTally.from_bytes(data)
    assert again.result(margin=0.01) == tally.result(margin=0.01)
    assert again.to_bytes() == data
    assert (again + tally).n == 800
    assert CompareTally.from_bytes(CompareTally(["n", "y"]).to_bytes()).n == 0
    for bad in (
        b"",
        data[:-1],
        data[:200],
        b"crossent.tally/1\n" + data,
        data.replace(b"compare-tally/1", b"compare-tally/9"),
    ):
        with pytest.raises(DataError):
            CompareTally.from_bytes(bad)


def opened(data):
    """Tree and numbers of saved bytes."""
    start = len(SCHEMA) + 1
    size, _ = struct.unpack_from("<QQ", data, start)
    text = zlib.decompress(data[start + 16 :])
    return json.loads(text[:size]), text[size:]


def closed(tree, body):
    """The bytes of a tree and numbers."""
    text = json.dumps(tree, separators=(",", ":")).encode()
    return SCHEMA.encode() + b"\n" + struct.pack("<QQ", len(text), len(body)) + zlib.compress(text + body)


def at(tree, path):
    for key in path[:-1]:
        tree = tree[key]
    return tree, path[-1]


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("names",), ["old", "old"], "both names"),
        (("names",), ["old"], "1 members"),
        (("layout", "by"), [], "segments are not those"),
        (("layout", "ci"), "bootstrap", "interval 'bootstrap'"),
        (("layout", "cluster"), True, "interval 'clusters'"),
        (("layout", "kind"), "odds", "odds"),
        (("sums", "segments"), [], "fields|left over|larger|segments"),
        (("sums", "a", "rows"), None, "None|dict"),
        (("sums",), 3, "dict"),
    ],
)
def test_trees_that_do_not_fit(path, value, text):
    tree, body = opened(saved().to_bytes())
    assert CompareTally.from_bytes(closed(tree, body)).n == 400
    parent, key = at(tree, path)
    parent[key] = value
    with pytest.raises(DataError, match=text):
        CompareTally.from_bytes(closed(tree, body))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_changes_of_numbers_load_or_are_refused(draw_from):
    """And what loads can be used: no crash, no other error."""
    tree, body = opened(DATA)
    numbers = np.frombuffer(body, np.int64).copy()
    for _ in range(draw_from.draw(st.integers(1, 3))):
        place = draw_from.draw(st.integers(0, len(numbers) - 1))
        numbers[place] = draw_from.draw(st.sampled_from([-1, 0, 1, 399, 2**31, 2**53, 2**62, -(2**63)]))
    try:
        loaded = CompareTally.from_bytes(closed(tree, numbers.tobytes()))
    except DataError:
        return
    assert CompareTally.from_bytes(loaded.to_bytes()).to_bytes() == loaded.to_bytes()
    assert (loaded + loaded).n == 2 * loaded.n


def test_parts_that_speak_of_other_rows_are_refused():
    """The first numbers are the counts of the classes, and of what befell the rows."""
    tree, body = opened(DATA)
    numbers = np.frombuffer(body, np.int64).copy()
    assert numbers[:3].sum() == numbers[3:9].sum() == 400
    for kind in range(9):
        other = numbers.copy()
        other[kind] += 1
        with pytest.raises(DataError, match="rows"):
            CompareTally.from_bytes(closed(tree, other.tobytes()))


DATA = saved().to_bytes()
