"""Gradients written past the caches: the bits of an ordinary run, in panels, on inner axes, of labels, everywhere."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bits import assert_same
from isas import ISAS, using_isa
from native_calls import NO_BAD_ROW, STORAGES, call_of, function

OFFSETS = (0, 1, 31)  # numbers between a line of the cache and the gradient's first
SHAPES = ((1, 523), (3, 40), (65, 5), (300, 2), (523, 1))  # inner, outer
GUARD = 3


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    with using_isa(request.param):
        yield request.param


def logits_of(rows: int, K: int, dtype: Any) -> Any:
    """Rows of many sizes; ties, ruled-out classes, confident ones, and one far from 0 among them."""
    rng = np.random.default_rng([rows, K])
    z = rng.normal(size=(rows, K)) * 10.0 ** rng.uniform(-2, 1.5, (rows, 1))
    z[::5] = np.round(z[::5])
    z[1::7, 0] += 120.0
    z[2] += 30000.0
    if K > 2:
        z[3::11, 1] = -np.inf
    return z.astype(dtype)


def rows_call(K: int, inner: int, outer: int, kind: str, form: str) -> dict[str, Any]:
    """A softmax job of outer * inner rows; those with index targets go by panels."""
    storage, rows = STORAGES[kind], inner * outer
    z = logits_of(rows, K, storage.numbers)
    q = np.eye(K)[np.arange(rows) % K] * 0.75 + 0.25 / K

    def laid(a: Any) -> Any:
        columns = np.swapaxes(a.reshape(outer, inner, K), 1, 2)
        return np.ascontiguousarray(columns).astype(storage.numbers).view(storage.passed)

    labels = np.where(np.arange(rows) % 2, z.argmax(1), np.arange(rows) % K)
    call = call_of("softmax", kind, logits=laid(z), classes=K, inner=inner, output=2 if form == "log-probs" else 0)
    call |= {"labels": labels if form == "index" else None, "soft": laid(q) if form == "soft" else None}
    call |= dict.fromkeys(("class_weight", "class_weight_lanes", "row_weight", "soft_factor"))
    return call | {"values": np.empty(rows, storage.computed)}


def labels_call(size: int, kind: str, *, wide: bool) -> dict[str, Any]:
    """A sigmoid job of plain labels, a soft one and far logits among them."""
    storage = STORAGES[kind]
    z = logits_of(size, 1, storage.numbers).ravel().view(storage.passed)
    y = np.arange(size) % 3 % 2 * 1.0
    y[size // 2] = 0.25
    targets = {"wide_targets": y} if wide else {"targets": y.astype(storage.computed)}
    call = call_of("sigmoid wide" if wide else "sigmoid", kind, logits=z, columns=1, pos_weight=None, weight=None)
    return call | targets | {"values": np.empty(size, storage.computed)}


def guarded_like(a: Any, offset: int) -> tuple[Any, Any]:
    """An array like a that begins `offset` numbers after a line of the cache, and the memory around it."""
    line = 64 // a.itemsize
    memory = np.full(a.size + offset + 3 * line, GUARD, a.dtype)
    first = -memory.ctypes.data % 64 // a.itemsize + line + offset
    assert memory[first - offset :].ctypes.data % 64 == 0
    return memory[first : first + a.size].reshape(a.shape), memory


def run(name: str, kind: str, call: dict[str, Any], block_rows: int, offset: int = 0, **how: bool) -> list[Any]:
    """Values, gradient, Hessian (if how["curved"]) and sums; neighbours of the gradient keep what they hold."""
    z, blocks = call["logits"], -(-call["values"].size // block_rows)
    grad, memory = guarded_like(z, offset)
    hess = np.zeros_like(z) if how["curved"] else np.zeros(0)
    outputs = {"values": np.empty_like(call["values"]), "sums": np.zeros((blocks, 3)), "grad": grad}
    state = np.array([0, NO_BAD_ROW])
    asked = {"hess": hess if how["curved"] else None, "stream": how["stream"], "block_rows": block_rows}
    function(name, kind)(**call | outputs | asked | {"last": blocks, "state": state})
    assert state.tolist() == [blocks, NO_BAD_ROW]
    assert (memory == GUARD).sum() - (grad == GUARD).sum() == memory.size - grad.size
    return [*outputs.values(), hess]


def assert_stream_changes_nothing(name: str, kind: str, call: dict[str, Any], sizes: tuple[int, ...]) -> None:
    """At every offset from a line, in blocks of each size, with a Hessian where blocks are cut."""
    for block_rows in sizes:
        curved = block_rows != sizes[0] and call.get("output", 0) == 0
        want = run(name, kind, call, block_rows, curved=curved, stream=False)
        for offset in OFFSETS:
            assert_same(run(name, kind, call, block_rows, offset, curved=curved, stream=True), want)


@pytest.mark.parametrize("form", ["index", "soft", "log-probs"])
@pytest.mark.parametrize("kind", STORAGES)
@pytest.mark.parametrize("K", [2, 3, 10, 32, 40])
def test_short_rows_and_inner_axes(K: int, kind: str, form: str, isa: str) -> None:
    for inner, outer in SHAPES:
        call = rows_call(K, inner, outer, kind, form)
        assert_stream_changes_nothing("softmax", kind, call, (inner * outer, 100))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("kind", STORAGES)
def test_labels(kind: str, wide: bool, isa: str) -> None:
    """Whole lines only: blocks of 1024 end with them, a single block of 4103 does not."""
    for size in (4096, 4103):
        call = labels_call(size, kind, wide=wide)
        assert_stream_changes_nothing("sigmoid", kind, call, (size, 1024, 100))


def test_a_write_beyond_the_gradient_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a last element that differs in a bit."""
    call = labels_call(64, "f32", wide=False)
    honest = function("sigmoid", "f32")
    for at in (63, 64):

        def spoilt(at: int = at, **given: Any) -> None:
            honest(**given)
            memory = np.lib.stride_tricks.as_strided(given["grad"], (65,), (4,), writeable=True)
            memory[at] = np.nextafter(memory[at], np.float32(9)) if given["stream"] else memory[at]

        monkeypatch.setitem(globals(), "function", lambda name, kind, spoilt=spoilt: spoilt)
        with pytest.raises(AssertionError):
            assert_stream_changes_nothing("sigmoid", "f32", call, (64,))
