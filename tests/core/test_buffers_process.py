"""The gradient pool and its process: fork, the environment, no memory left, the end of the interpreter."""

import sys
import threading

import numpy as np
import pytest

import crossent as ce
from crossent import _native  # type: ignore[attr-defined]  # built, not written
from crossent.core import buffers
from kept_memory import address, gradient, mebibytes
from processes import in_child, needs_fork, run_python

pytestmark = pytest.mark.usefixtures("empty_pool")


# ---------------------------------------------------------------- fork


@needs_fork
def test_fork_while_the_pool_is_locked() -> None:
    """The lock is held by a thread that the child does not have."""
    want = gradient().copy()
    holder = threading.Thread(target=_native.hold_pool_lock, args=(0.5,))
    holder.start()
    while not _native.pool_is_locked():
        pass
    in_child(lambda: np.array_equal(gradient(), want) and ce.empty_cache() > 0)
    holder.join()
    assert np.array_equal(gradient(), want)


@needs_fork
def test_fork_while_threads_use_the_pool() -> None:
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            mebibytes(1.5)[:4] = 1
            ce.empty_cache()

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            in_child(lambda: all(address(mebibytes(3)) for _ in range(10)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@needs_fork
def test_parent_and_child_use_their_own_memory() -> None:
    """What the parent kept is not the child's to reuse; what both hold dies once in each."""
    kept, held = gradient(), gradient(400)
    want = held.copy()
    del kept

    def child() -> bool:
        nonlocal held
        assert buffers.kept_bytes() == 0
        held[...] = 5
        place = address(held)
        held = None
        same = gradient(400)
        return address(same) == place and bool((same[:, 0] < 0).all()) and ce.empty_cache() == 0

    assert buffers.kept_bytes() > 0  # type: ignore[operator]  # a number
    in_child(child)
    np.testing.assert_array_equal(held, want)
    assert buffers.kept_bytes() > 0  # type: ignore[operator]  # a number
    gradient(300)[...] = 1
    np.testing.assert_array_equal(held, want)


# ---------------------------------------------------------------- off, no memory, the end


PROGRAM = """
    import numpy as np, crossent as ce
    z, y = np.zeros((300, 1000), np.float32), np.zeros(300, int)
    loss = ce.CrossEntropy()
    first = loss.value_and_grad(y, logits=z).grad
    want = first.copy()
    del first
    second = loss.value_and_grad(y, logits=z).grad
    del second
    print(np.array_equal(loss.value_and_grad(y, logits=z).grad, want), ce.show_config()["pool_bytes"], ce.empty_cache())
"""


@pytest.mark.parametrize(
    ("setting", "said"), [("0", "True None 0"), ("1", "True 1245184 1245184"), ("", "True 1245184 1245184")]
)
def test_the_environment_turns_the_pool_off(setting: str, said: str) -> None:
    done = run_python(PROGRAM, CROSSENT_POOL=setting)
    assert (done.stdout.strip(), done.stderr) == (said, "")


@pytest.mark.parametrize("bad", ["2", "off", "-1", "true"])
def test_the_environment_must_be_0_or_1(bad: str) -> None:
    done = run_python("import crossent", CROSSENT_POOL=bad)
    assert done.returncode == 1
    assert f"OptionError: CROSSENT_POOL is {bad!r}; 0 (keep no memory) or 1 is allowed." in done.stderr


@pytest.mark.parametrize("size", [1 << 60, 1 << 62, 1 << 63, (1 << 64) - 1])
def test_too_much_is_a_memory_error(size: int) -> None:
    with pytest.raises(MemoryError, match=f"crossent could not get {size} bytes for its result"):
        _native.Buffer(size)
    assert gradient() is not None


def test_a_gradient_beyond_memory_is_a_memory_error() -> None:
    """2^50 logits that take no memory; their gradient would."""
    z, y = np.broadcast_to(np.float32(0), (1 << 40, 1 << 10)), np.broadcast_to(np.int8(0), (1 << 40,))
    with pytest.raises(MemoryError):
        ce.softmax(z)
    with pytest.raises(MemoryError):
        ce.BinaryCrossEntropy().value_and_grad(np.broadcast_to(np.int8(0), z.shape), logits=z)
    assert y.size == 1 << 40


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_kept_memory_is_given_back_before_a_request_fails() -> None:
    program = """
        import resource, numpy as np, crossent as ce
        from crossent.core.buffers import kept_bytes, new_array
        dtype = np.dtype(np.uint8)
        ce.set_num_threads(1)
        del [new_array((size << 20,), dtype) for size in (200, 300)][:]
        print(kept_bytes() >> 20)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20),) * 2)
        array = new_array((400 << 20,), dtype)
        print(len(array) >> 20, kept_bytes())
        try:
            new_array((400 << 20,), dtype)
        except MemoryError as error:
            print(error)
    """
    done = run_python(program)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["500", "400 0"], done.stderr
    assert lines[2].startswith(f"crossent could not get {400 << 20} bytes")


def test_a_buffer_without_memory_shows_none() -> None:
    with pytest.raises(BufferError, match="holds no memory"):
        memoryview(_native.Buffer.__new__(_native.Buffer))


def test_arrays_may_outlive_the_interpreter() -> None:
    """Kept in a module, in a cycle, in a thread that never ends: no word, no crash."""
    program = """
        import sys, threading, time, numpy as np, crossent as ce
        z, y = np.zeros((300, 1000), np.float32), np.zeros(300, int)
        grads = [ce.CrossEntropy().value_and_grad(y, logits=z).grad for _ in range(3)]
        knot = [ce.softmax(z)]
        knot.append(knot)
        sys.grads = memoryview(ce.softmax(z))
        def forever(mine):
            while True:
                mine = ce.softmax(z)
        threading.Thread(target=forever, args=(ce.softmax(z),), daemon=True).start()
        time.sleep(0.1)
        print("done")
    """
    done = run_python(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
