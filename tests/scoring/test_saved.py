"""Saved tallies: any split, order and block size gives the same bytes and Score; whatever else loads is a DataError."""

import json
import struct
import tracemalloc
import zlib
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossent.errors import DataError
from crossent.scoring import Tally

SCHEMA = "crossent.tally/1"
ROWS = 12
WAYS: dict[str, dict[str, Any]] = {
    "two classes": {"classes": 2},
    "threshold": {"classes": 2, "threshold": 0.3},
    "logits": {"classes": 3, "kind": "logits"},
    "clipped": {"classes": 4, "kind": "log_probs", "clip": 1e-3, "worst": 3},
    "segments": {"classes": 5, "by": ("site", "day"), "binning": "mass"},
    "clusters": {"classes": 3, "cluster": True, "prior": (0.5, 0.3, 0.2)},
    "bootstrap": {"classes": 2, "ci": "bootstrap", "by": ("site",)},
    "one class": {"classes": 1},
}


class Rows:
    """Random rows, with p = 0 and p = 1 at the target, and what comes beside them; blocks of them go to tallies."""

    def __init__(self, way: str, *, weighted: bool, counted: bool, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.options = dict(WAYS[way])
        k = self.options.pop("classes")
        self.classes = [f"c{j}" for j in range(k)]
        p = rng.dirichlet(np.full(k, 0.3), ROWS)
        self.targets = rng.integers(0, k, ROWS)
        p[3] = np.eye(k)[self.targets[3]]
        p[7] = np.eye(k)[self.targets[7] - 1]
        with np.errstate(divide="ignore"):
            self.given = {"probs": p, "log_probs": np.log(p), "logits": np.log(p) + 3}[
                self.options.get("kind", "probs")
            ]
        self.beside: dict[str, Any] = {}
        if weighted:
            self.beside["sample_weight"] = np.where(rng.random(ROWS) < 0.1, 0.0, rng.lognormal(0, 9, ROWS))
        if counted and "ci" not in self.options:
            self.beside["count"] = rng.integers(0, 1000, ROWS)
        self.by = {name: rng.choice(["b", "a", None], ROWS) for name in self.options.get("by", ())}
        if "cluster" in self.options:
            self.beside["cluster"] = rng.integers(0, 9, ROWS)

    def tally(self, *cuts: tuple[int, int]) -> Tally:
        """A tally that has seen these blocks of rows, one after the other."""
        tally = Tally(self.classes, **self.options)
        for start, stop in cuts:
            rows = slice(start, stop)
            beside = {name: values[rows] for name, values in self.beside.items()}
            by = {name: values[rows] for name, values in self.by.items()} or None
            tally.update(self.targets[rows], self.given[rows], **beside, by=by, source="a", first_row=start)
        return tally


rows_of = st.builds(
    Rows, st.sampled_from(list(WAYS)), weighted=st.booleans(), counted=st.booleans(), seed=st.integers(0, 9)
)


@settings(max_examples=15, deadline=None)
@given(rows_of, st.lists(st.integers(0, ROWS), max_size=6), st.randoms())
def test_any_split_order_and_block_size_gives_the_same_bytes_and_score(rows, cuts, random):
    whole = rows.tally((0, ROWS))
    blocks = list(pairwise([0, *sorted(cuts), ROWS]))
    random.shuffle(blocks)
    in_blocks = rows.tally(*blocks)
    tallies = [rows.tally(block) for block in blocks]
    while len(tallies) > 1:  # a random tree of sums
        left, right = (tallies.pop(random.randrange(len(tallies))) for _ in range(2))
        tallies.append(left + right)
    one_by_one = rows.tally(*((i, i + 1) for i in reversed(range(ROWS))))
    saved = whole.to_bytes()
    for other in (in_blocks, tallies[0], one_by_one):
        assert other.to_bytes() == saved
    assert one_by_one.result(redraws=5).to_dict() == whole.result(redraws=5).to_dict()


@settings(max_examples=15, deadline=None)
@given(rows_of, st.integers(0, ROWS), st.booleans())
def test_saved_states_merge_to_the_whole(rows, cut, turned):
    whole, left, right = rows.tally((0, ROWS)), rows.tally((0, cut)), rows.tally((cut, ROWS))
    loaded = [Tally.from_bytes(part.to_bytes()) for part in (left, right)]
    assert [part.to_bytes() for part in loaded] == [left.to_bytes(), right.to_bytes()]
    both = loaded[1] + loaded[0] if turned else loaded[0] + loaded[1]
    assert both.n == whole.n
    assert both.layout == whole.layout
    assert both.to_bytes() == whole.to_bytes()
    assert both.result(redraws=5).to_dict() == whole.result(redraws=5).to_dict()


def test_many_classes_are_tracked_in_part():
    rng = np.random.default_rng(0)
    p, y = rng.dirichlet(np.full(205, 0.1), 12), rng.integers(0, 205, 12)
    parts = []
    for rows in (slice(0, 12), slice(0, 5), slice(5, 12)):
        parts.append(Tally([f"c{j}" for j in range(205)]))
        parts[-1].update(y[rows], p[rows], first_row=rows.start)
    whole, left, right = (part.to_bytes() for part in parts)
    assert (Tally.from_bytes(right) + Tally.from_bytes(left)).to_bytes() == whole


def test_weighted_and_plain_blocks_save_alike_in_any_order():
    plain, weighted = (Rows("segments", weighted=w, counted=False, seed=1) for w in (False, True))
    a, b = plain.tally((0, 12)), weighted.tally((12, ROWS))
    assert (a + b).to_bytes() == (b + a).to_bytes()
    assert Tally.from_bytes((a + b).to_bytes()).to_bytes() == (a + b).to_bytes()


def test_a_tally_without_rows_is_saved_too():
    empty = Tally(["a", "b"], clip=0.01)
    loaded = Tally.from_bytes(empty.to_bytes())
    assert (loaded.n, loaded.layout) == (0, empty.layout)
    loaded.update([0], [[0.5, 0.5]])
    assert loaded.n == 1


def test_saved_bytes_name_their_version_and_are_small():
    rows = Rows("two classes", weighted=False, counted=False, seed=0)
    data = rows.tally((0, ROWS)).to_bytes()
    assert data.startswith(b"crossent.tally/1\n")
    assert len(data) < 6000


DATA = Rows("segments", weighted=True, counted=False, seed=0).tally((0, ROWS)).to_bytes()


def opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The tree and the numbers of saved bytes, by the description of the format."""
    start = data.index(b"\n") + 1
    size = struct.unpack("<QQ", data[start : start + 16])[0]
    text = zlib.decompress(data[start + 16 :])
    return json.loads(text[:size]), text[size:]


def closed(tree: Any, body: bytes) -> bytes:
    text = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return SCHEMA.encode() + b"\n" + struct.pack("<QQ", len(text), len(body)) + zlib.compress(text + body)


def test_opened_and_closed_is_the_same_tally():
    assert Tally.from_bytes(closed(*opened(DATA))).to_bytes() == DATA


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_buffers_are_read(kind):
    assert Tally.from_bytes(kind(DATA)).to_bytes() == DATA


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (b"", "0 bytes that begin with b''"),
        (b"PK\3\4 something", "not with 'crossent.tally/1'"),
        (b"crossent.model/1\n" + b"0" * 99, "not a whole saved tally"),
        (b"crossent.tally/2\n" + b"0" * 99, r"saved as 'crossent.tally/2'.*reads 'crossent.tally/1'.*newer"),
        (b"crossent.tally/1\n", "ends after 17 bytes"),
        (b"crossent.tally/1\n" + b"0" * 99, "announces 6944656592455360608 bytes"),
        (b"crossent.tally/1\n" + b"\0" * 99, "damaged"),
    ],
)
def test_foreign_newer_and_short_bytes(wrong, text):
    with pytest.raises(DataError, match=text):
        Tally.from_bytes(wrong)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_truncated_lengthened_and_flipped_bytes_are_refused(draw_from):
    at = draw_from.draw(st.integers(0, len(DATA) - 1))
    flipped = bytearray(DATA)
    flipped[at] ^= 1 << draw_from.draw(st.integers(0, 7))
    for wrong in (DATA[:at], DATA + DATA[at:]):
        with pytest.raises(DataError):
            Tally.from_bytes(wrong)
    with suppress(DataError):  # zlib leaves a few bits unused
        assert Tally.from_bytes(bytes(flipped)).to_bytes() == DATA


def change(path: str, value: Any) -> Any:
    """A change of the tree: what stands at the path becomes the value, or value(it)."""

    def changed(tree: dict[str, Any]) -> dict[str, Any]:
        *way, last = path.split(".")
        node: Any = tree
        for name in way:
            node = node[int(name) if isinstance(node, list) else name]
        key: Any = int(last) if isinstance(node, list) else last
        node[key] = value(node[key]) if callable(value) else value
        return tree

    return changed


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("layout.bins", True, "layout.bins is True, not of type int"),
        ("layout.bins", -1, "outside"),
        ("layout.bins", 10**30, "outside"),
        ("layout.bins", 1.5, "not of type int"),
        ("layout.kind", "odds", "layout.kind is 'odds'"),
        ("layout.classes", ["a", "a"], "no name twice"),
        ("layout.classes", "abcde", "not of type list"),
        ("layout.classes", ["a", "b", "c", "d"], "tracked names a column|does not fit"),
        ("layout.by", ["site"], "does not fit"),
        ("layout.cluster", True, "does not fit"),
        ("layout.clip", "much", "not of type int"),
        ("layout.clip", 0.7, "clip is 0.7"),
        ("layout.clip", 10**400, "outside"),
        ("layout.prior", [0.5, 0.5], "prior has 2 numbers"),
        ("layout.prior", [0.5] * 5, "sum to 2.5"),
        ("layout", {}, "fields"),
        ("layout.worst", 2, "worst"),
        ("parts", lambda parts: {"extra": 1} | parts, "fields extra"),
        ("parts.losses.rows.units", [7], "not a whole saved tally"),
        ("parts.losses.rows.units", [2**40, 2**40], "larger"),
        ("parts.losses.rows.units", [1] * 9, "larger"),
        ("parts.losses.rows.units", [2**54], "outside"),
        ("parts.losses.rows.units", [-5], "outside"),
        ("parts.losses.rows.sums", lambda sums: sums[:8], "left over|does not fit|sums|limbs|counts|NaN"),
        ("parts.losses.rows.sums.0.low", 99, "limbs 99"),
        ("parts.losses.rows.sums.0.low", -1, "outside"),
        ("layout.ci", "bootstrap", "losses does not fit"),
        ("parts.confusion", None, "not a whole saved tally"),
        ("parts.worst.rows.0.loss", float("nan"), "rows.0..loss is nan"),
        ("parts.worst.rows.0.loss", 0.0, "not in order"),
        ("parts.worst.rows.0", {"loss": 1}, "fields loss"),
        ("parts.written.decimals", [], "not of type int"),
        ("parts.segments.0.values", ["b", "a", "c"], "not sorted"),
        ("parts.segments.0.column", 3, "not of type str"),
        ("parts.truth.sums", None, "not of type list"),
    ],
)
def test_trees_that_do_not_fit(path, value, text):
    tree, body = opened(DATA)
    with pytest.raises(DataError, match=text):
        Tally.from_bytes(closed(change(path, value)(tree), body))


def test_numbers_that_do_not_fit():
    tree, body = opened(DATA)
    numbers = np.frombuffer(body, np.int64)
    assert tree["parts"]["losses"]["rows"]["units"] == [5]
    for number in (-1, 2**60, int(numbers[0]) + 1):  # of the first array: units
        changed = numbers.copy()
        changed[0] = number
        with pytest.raises(DataError, match=r"counts|rows"):
            Tally.from_bytes(closed(tree, changed.tobytes()))
    for wrong in (body[:-8], body + b"\0" * 8, b""):
        with pytest.raises(DataError):
            Tally.from_bytes(closed(tree, wrong))


def test_trees_that_are_no_trees():
    for wrong in (b"", b"{", b"[" * 100_000, b"null", b"[]", b"1" * 5000, b"\xff\xfe", b'{"layout":1,"parts":null}'):
        with pytest.raises(DataError, match="not a whole saved tally"):
            Tally.from_bytes(closed(wrong, b""))


def test_a_small_file_cannot_claim_much_memory():
    huge = zlib.compress(b"\0" * (1 << 26))
    for sizes in ((1 << 62, 5), (10, 1 << 40), (10, 10)):
        data = SCHEMA.encode() + b"\n" + struct.pack("<QQ", *sizes) + huge
        tracemalloc.start()
        try:
            with pytest.raises(DataError):
                Tally.from_bytes(data)
            assert tracemalloc.get_traced_memory()[1] < 1 << 22
        finally:
            tracemalloc.stop()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_random_changes_of_numbers_load_or_are_refused(draw_from):
    """And what loads can be used: no crash, no other error."""
    tree, body = opened(DATA)
    numbers = np.frombuffer(body, np.int64).copy()
    for _ in range(draw_from.draw(st.integers(1, 3))):
        at = draw_from.draw(st.integers(0, len(numbers) - 1))
        numbers[at] = draw_from.draw(st.sampled_from([-1, 0, 1, 2**31, 2**53, 2**62, -(2**63)]))
    try:
        loaded = Tally.from_bytes(closed(tree, numbers.tobytes()))
    except DataError:
        return
    assert Tally.from_bytes(loaded.to_bytes()).to_bytes() == (loaded.to_bytes())
    assert (loaded + loaded).n == 2 * loaded.n


def places(node: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every node of a tree."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [way, *(found for key, value in inside for found in places(value, (*way, key)))]


PLACES = [way for way in places(opened(DATA)[0]) if way]
VALUES = (None, True, -1, 0, 1, 7, 2**53 + 1, 10**400, 1.5, -0.0, "", "x", "inf", "nan", [], [[]], [0], [2**60, 2**60],
    {}, float("inf"))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PLACES), st.sampled_from(VALUES))
def test_random_changes_of_the_tree_load_or_are_refused(way, value):
    tree, body = opened(DATA)
    node: Any = tree
    for key in way[:-1]:
        node = node[key]
    node[way[-1]] = value
    with suppress(DataError):
        loaded = Tally.from_bytes(closed(tree, body))
        assert Tally.from_bytes(loaded.to_bytes()).to_bytes() == loaded.to_bytes()
        loaded.result(redraws=1)
