"""The gradient pool: memory is used again when its array is gone, never sooner; bounded."""

import gc
import os
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossent as ce
from crossent import _native  # type: ignore[attr-defined]  # built, not written
from crossent.core import buffers
from crossent.core.buffers import new_array, streams
from kept_memory import MIB, address, gradient, mebibytes

pytestmark = pytest.mark.usefixtures("empty_pool")


# ---------------------------------------------------------------- used again, and bounded


def test_a_dropped_gradient_serves_the_next() -> None:
    first = gradient()
    place, want = address(first), first.copy()
    assert isinstance(first.base, _native.Buffer)
    del first
    assert ce.show_config()["pool_bytes"] >= want.nbytes  # type: ignore[operator]  # a number
    again = gradient()
    assert address(again) == place
    assert ce.show_config()["pool_bytes"] == 0
    np.testing.assert_array_equal(again, want)


OUTPUTS = {
    "gradient": lambda z, y: ce.CrossEntropy().value_and_grad(y, logits=z).grad,
    "binary gradient": lambda z, y: ce.BinaryCrossEntropy().value_and_grad(z, logits=z).grad,
    "probs": lambda z, y: ce.CrossEntropy().value_and_grad(y, probs=z + 1 / 1000).grad,
    "grad of grad_and_hess": lambda z, y: ce.CrossEntropy().grad_and_hess(y, logits=z).grad,
    "hess of grad_and_hess": lambda z, y: ce.CrossEntropy().grad_and_hess(y, logits=z).hess,
    "softmax": lambda z, y: ce.softmax(z),
    "log_softmax": lambda z, y: ce.log_softmax(z),
    "sigmoid": lambda z, y: ce.sigmoid(z),
    "log_sigmoid": lambda z, y: ce.log_sigmoid(z),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_every_large_result_lies_in_the_pool(kind: str) -> None:
    z, y = np.zeros((300, 1000), np.float32), np.zeros(300, int)
    result = OUTPUTS[kind](z, y)
    assert isinstance(result.base, _native.Buffer)
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert address(result) % 64 == 0
    small = OUTPUTS[kind](z[:10], y[:10])
    assert not isinstance(small.base, _native.Buffer)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", ">f4"])
def test_dtypes(dtype: str) -> None:
    import ml_dtypes

    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    result = new_array((3, 5, MIB // 8), kind)
    assert (result.shape, result.dtype) == ((3, 5, MIB // 8), kind)
    assert result.flags.aligned
    result[...] = 1
    assert (result == 1).all()


def test_a_little_smaller_is_served_much_smaller_is_not() -> None:
    large = mebibytes(40)
    place = address(large)
    del large
    assert address(mebibytes(33)) == place
    assert address(mebibytes(28)) != place
    small = mebibytes(5)
    place = address(small)
    del small
    assert address(mebibytes(1.5)) == place, "a few MiB may be wasted"


def test_at_most_two_are_kept() -> None:
    arrays = [mebibytes(size) for size in (4, 20, 60, 120)]
    places = [address(array) for array in arrays]
    while arrays:
        del arrays[0]
    assert buffers.kept_bytes() == 180 * MIB
    assert address(mebibytes(60)) == places[2]
    assert address(mebibytes(120)) == places[3]
    assert ce.empty_cache() == 180 * MIB
    assert buffers.kept_bytes() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads the machine's memory from sysconf")
def test_more_than_a_quarter_of_memory_is_not_kept() -> None:
    """No page of these is touched."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE") // MIB
    half = mebibytes(memory * 0.4)
    del half
    assert buffers.kept_bytes() == 0
    first, second = mebibytes(memory * 0.2), mebibytes(memory * 0.1)
    del first
    assert buffers.kept_bytes() >= memory * 0.19 * MIB  # type: ignore[operator]  # a number
    del second
    assert memory * 0.09 * MIB <= buffers.kept_bytes() <= memory * 0.11 * MIB  # type: ignore[operator]


def test_empty_cache_says_how_much() -> None:
    assert ce.empty_cache() == 0
    array = mebibytes(2)
    assert ce.empty_cache() == 0, "memory in use is not given back"
    array[:] = 3
    del array
    assert ce.empty_cache() == 2 * MIB
    assert ce.empty_cache() == 0


# ---------------------------------------------------------------- who holds the memory


HOLDERS = {
    "view": lambda a: a[3:5].T[:2],
    "read-only view": lambda a: np.broadcast_to(a, (2, *a.shape)),
    "other dtype": lambda a: a.view(np.int32),
    "memoryview": memoryview,
    "memoryview of the owner": lambda a: memoryview(a.base),
    "frombuffer": lambda a: np.frombuffer(a, np.float32),
    "DLPack": np.from_dlpack,
    "DLPack capsule": lambda a: a.__dlpack__(),
    "iterator": lambda a: a.flat,
}


@pytest.mark.parametrize("kind", HOLDERS)
def test_what_looks_at_the_memory_holds_it(kind: str) -> None:
    array = gradient()
    place = address(array)
    before = array.copy()
    held = HOLDERS[kind](array)
    del array
    gc.collect()
    other = gradient()
    assert address(other) != place
    other[...] = 7
    if kind not in ("DLPack capsule", "memoryview of the owner", "iterator", "other dtype"):
        found = np.asarray(held)
        wanted = HOLDERS[kind](before)
        np.testing.assert_array_equal(found, np.asarray(wanted))
        del found
    del held
    gc.collect()
    assert address(gradient()) == place


@pytest.mark.frameworks
def test_torch_holds_the_memory() -> None:
    torch = pytest.importorskip("torch")
    for lift in (torch.from_numpy, torch.from_dlpack, torch.as_tensor):
        ce.empty_cache()
        array = gradient()
        place, want = address(array), array.copy()
        tensor = lift(array)
        assert tensor.data_ptr() == place
        del array
        other = gradient()
        other[...] = 7
        assert address(other) != place
        np.testing.assert_array_equal(tensor.numpy(), want)
        del tensor
        assert address(gradient()) == place
        del other


def test_a_read_only_array_leaves_writable_memory_behind() -> None:
    array = gradient()
    place = address(array)
    array.flags.writeable = False
    view = array[:]
    del array
    other = gradient()
    assert address(other) != place, "the read-only view is still there"
    del view
    again = gradient()
    assert address(again) == place
    assert again.flags.writeable


def test_copies_and_pickles_are_ordinary_arrays() -> None:
    import pickle

    array = gradient()
    for other in (array.copy(), pickle.loads(pickle.dumps(array)), array + 0):
        assert not isinstance(other.base, _native.Buffer)
        np.testing.assert_array_equal(other, array)


def test_a_cycle_found_by_the_collector_in_another_thread() -> None:
    array = gradient()
    place = address(array)
    knot: list[Any] = [array]
    knot.append(knot)
    gc.disable()
    try:
        del array, knot
        assert buffers.kept_bytes() == 0
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()
    finally:
        gc.enable()
    assert buffers.kept_bytes() > 0  # type: ignore[operator]  # a number
    assert address(gradient()) == place


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["new", "drop", "view", "empty"]), st.integers(0, 5), st.floats(1.0, 9.0))),
)
def test_live_arrays_never_share_memory(steps: list[tuple[str, int, float]]) -> None:
    """Each array is filled with a number of its own, which it keeps as long as it or a view of it lives."""
    live: list[tuple[Any, int]] = []
    for number, (action, which, size) in enumerate(steps):
        if action == "new":
            array = mebibytes(size)
            array[::512] = number
            live.append((array, number))
        elif action == "empty":
            ce.empty_cache()
        elif live:
            array, own = live.pop(which % len(live))
            if action == "view":
                live.append((array[: len(array) // 1024 * 512], own))
        for array, own in live:
            assert (array[::512] == own).all()


def test_live_gradients_of_many_threads_never_share_memory() -> None:
    wrong: list[str] = []

    def call(number: int) -> None:
        rng = np.random.default_rng(number)
        held: list[tuple[Any, int]] = []
        for _ in range(150):
            if held and rng.random() < 0.5:
                array, own = held.pop(rng.integers(len(held)))
                if not (array[::512] == own).all():
                    wrong.append(f"thread {number}")
            else:
                own = int(rng.integers(1 << 20)) * 8 + number
                array = mebibytes(rng.uniform(1, 6)).view(np.int32)
                array[::512] = own
                held.append((array, own))
            if rng.random() < 0.05:
                ce.empty_cache()

    threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---------------------------------------------------------------- how it is written


def test_large_used_memory_is_written_past_the_caches() -> None:
    """Not fresh pages, not in place, not what the caches hold."""
    z = np.zeros((1024, 4096), np.float32)
    grad = new_array(z.shape, z.dtype)
    assert not streams(grad, z), "fresh"
    assert streams(grad, z), "filled once, passed again"
    del grad
    assert streams(new_array(z.shape, z.dtype), z), "from the pool"
    assert streams(np.empty_like(z), z), "the caller's own"
    assert not streams(z, z)
    assert not streams(z[:], z)
    assert not streams(None, z)
    assert not streams(np.empty((1024, 1024), np.float32), z), "small"
