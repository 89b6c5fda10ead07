"""The thread pool: its setting, fork, many callers, errors."""

import contextlib
import gc
import os
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

import crossent as ce
from crossent.core import pool
from processes import in_child, needs_fork, run_python


def batch(N: int = 200_000, K: int = 4) -> tuple[Any, Any]:
    """Several blocks of rows."""
    rng = np.random.default_rng(0)
    return rng.integers(0, K, N), rng.normal(size=(N, K)).astype(np.float32)


# ---------------------------------------------------------------- the setting


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2", None, True])
def test_thread_numbers_are_whole_and_positive(bad: Any) -> None:
    before = ce.get_num_threads()
    with pytest.raises(ce.OptionError, match="a whole number >= 1 is allowed"):
        ce.set_num_threads(bad)
    assert ce.get_num_threads() == before


@pytest.mark.parametrize("n", [1, 3, 64, np.int64(2)])
def test_thread_numbers_can_be_set(n: Any, set_threads: Any) -> None:
    set_threads(n)
    assert ce.get_num_threads() == n


def test_environment_sets_the_number_of_threads() -> None:
    done = run_python("import crossent as ce; print(ce.get_num_threads())", CROSSENT_THREADS="3")
    assert done.stdout.strip() == "3"
    program = """
        import os, crossent as ce
        print(ce.get_num_threads() == len(os.sched_getaffinity(0)))
    """
    if hasattr(os, "sched_getaffinity") and "CROSSENT_THREADS" not in os.environ:
        assert run_python(program).stdout.strip() == "True"


@pytest.mark.parametrize("bad", ["0", "-2", "many", "1.5", "²"])
def test_environment_must_be_a_whole_number(bad: str) -> None:
    done = run_python("import crossent", CROSSENT_THREADS=bad)
    assert done.returncode == 1
    assert f"OptionError: CROSSENT_THREADS is {bad!r}; a whole number >= 1 is allowed" in done.stderr


# ---------------------------------------------------------------- fork


@needs_fork
def test_a_forked_child_computes_the_same(set_threads: Any) -> None:
    set_threads(3)
    y, z = batch()
    want = ce.cross_entropy(y, logits=z)
    in_child(lambda: ce.cross_entropy(y, logits=z) == want)
    assert ce.cross_entropy(y, logits=z) == want


@needs_fork
def test_fork_while_other_threads_use_the_pool(set_threads: Any) -> None:
    """The child must not wait for locks or workers that exist in the parent only."""
    set_threads(3)
    y, z = batch()
    want, stop = ce.cross_entropy(y, logits=z), threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            ce.cross_entropy(y, logits=z)

    busy = [threading.Thread(target=keep_busy) for _ in range(2)]
    for thread in busy:
        thread.start()
    try:
        for _ in range(8):
            in_child(lambda: ce.cross_entropy(y, logits=z) == want)
    finally:
        stop.set()
        for thread in busy:
            thread.join()


@needs_fork
def test_fork_while_the_pool_is_locked(set_threads: Any) -> None:
    set_threads(3)
    y, z = batch()
    want = ce.cross_entropy(y, logits=z)
    with pool._pool.lock:
        in_child(lambda: ce.cross_entropy(y, logits=z) == want)


@needs_fork
def test_a_forked_grandchild_computes_the_same(set_threads: Any) -> None:
    set_threads(2)
    y, z = batch()
    want = ce.cross_entropy(y, logits=z)

    def child() -> bool:
        first = ce.cross_entropy(y, logits=z) == want
        in_child(lambda: ce.cross_entropy(y, logits=z) == want)
        return first

    in_child(child)


# ---------------------------------------------------------------- many callers


def test_many_threads_at_once(set_threads: Any) -> None:
    """Each gets its own answer and its own error."""
    set_threads(4)
    y, z = batch(100_000)
    bad = y.copy()
    bad[77_777] = 9
    want = ce.CrossEntropy().value_and_grad(y, logits=z)
    failures: list[str] = []

    def call(number: int) -> None:
        for round_ in range(6):
            if (number + round_) % 3 == 0:
                try:
                    ce.cross_entropy(bad, logits=z)
                    failures.append("no error")
                except ce.LabelError as error:
                    if "targets[77777] is 9" not in str(error):
                        failures.append(str(error))
            else:
                got = ce.CrossEntropy().value_and_grad(y, logits=z)
                if got.value != want.value or not np.array_equal(got.grad, want.grad):
                    failures.append("other bits")

    threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_setting_may_change_while_others_compute(set_threads: Any) -> None:
    y, z = batch(100_000)
    want, stop, wrong = ce.cross_entropy(y, logits=z), threading.Event(), []

    def compute() -> None:
        while not stop.is_set():
            if ce.cross_entropy(y, logits=z) != want:
                wrong.append(1)

    worker = threading.Thread(target=compute)
    worker.start()
    for n in (1, 4, 2, 8, 1, 3):
        set_threads(n)
        time.sleep(0.01)
    stop.set()
    worker.join()
    assert not wrong


# ---------------------------------------------------------------- run_shares


def test_shares_run_in_several_threads(set_threads: Any) -> None:
    set_threads(3)
    together, names = threading.Barrier(3, timeout=20), set()

    def work() -> None:
        names.add(threading.get_ident())
        together.wait()

    pool.run_shares(work, lambda: None, tasks=10)
    assert len(names) == 3


@pytest.mark.parametrize(("threads", "tasks"), [(1, 10), (4, 1)])
def test_one_thread_or_one_task_stays_in_the_caller(threads: int, tasks: int, set_threads: Any) -> None:
    set_threads(threads)
    seen: list[int] = []
    pool.run_shares(lambda: seen.append(threading.get_ident()), lambda: None, tasks=tasks)
    assert seen == [threading.get_ident()]


def test_nothing_holds_the_work_of_a_call_that_has_returned(set_threads: Any) -> None:
    """Neither the queue nor a worker: the arrays of the work could not be used again."""
    set_threads(4)

    def once(busy: float) -> Any:
        def work() -> None:
            time.sleep(busy)

        pool.run_shares(work, lambda: None, tasks=4)
        return weakref.ref(work)

    assert [once(busy)() for busy in [0.0, 0.01] * 50] == [None] * 100


@pytest.mark.parametrize("where", ["caller", "worker"])
def test_nothing_holds_the_work_of_a_call_that_failed(where: str, set_threads: Any) -> None:
    """Once its exception is dropped: no cycle waits for the garbage collector with the arrays."""
    set_threads(2)
    caller, both = threading.get_ident(), threading.Barrier(2, timeout=20)

    def once() -> Any:
        def work() -> None:
            both.wait()
            if (threading.get_ident() == caller) == (where == "caller"):
                raise ZeroDivisionError("planted")

        with contextlib.suppress(ZeroDivisionError):
            pool.run_shares(work, lambda: None, tasks=2)
        return weakref.ref(work)

    gc.disable()
    try:
        assert [once()() for _ in range(5)] == [None] * 5
    finally:
        gc.enable()


@pytest.mark.parametrize("where", ["caller", "worker"])
def test_an_exception_in_a_share_is_raised(where: str, set_threads: Any) -> None:
    """After the others have ended; the pool goes on working."""
    set_threads(2)
    caller, both, ended = threading.get_ident(), threading.Barrier(2, timeout=20), []

    def work() -> None:
        both.wait()
        if (threading.get_ident() == caller) == (where == "caller"):
            raise ZeroDivisionError("planted")
        time.sleep(0.05)
        ended.append(1)

    with pytest.raises(ZeroDivisionError, match="planted"):
        pool.run_shares(work, lambda: None, tasks=2)
    assert ended == [1]
    y, z = batch()
    assert ce.cross_entropy(y, logits=z) > 0


def test_an_exception_in_the_caller_stops_the_others(set_threads: Any) -> None:
    set_threads(2)
    caller, both, stopped = threading.get_ident(), threading.Barrier(2, timeout=20), threading.Event()

    def work() -> None:
        both.wait()
        if threading.get_ident() == caller:
            raise KeyboardInterrupt
        assert stopped.wait(20)

    with pytest.raises(KeyboardInterrupt):
        pool.run_shares(work, stopped.set, tasks=2)
    assert stopped.is_set()


def test_an_exception_in_a_worker_stops_the_others(set_threads: Any) -> None:
    set_threads(2)
    caller, both, stopped = threading.get_ident(), threading.Barrier(2, timeout=20), threading.Event()

    def work() -> None:
        both.wait()
        if threading.get_ident() != caller:
            raise ZeroDivisionError("planted")
        assert stopped.wait(5)

    with pytest.raises(ZeroDivisionError, match="planted"):
        pool.run_shares(work, stopped.set, tasks=2)


def test_busy_workers_do_not_hold_up_a_call(set_threads: Any) -> None:
    """A share that no worker has begun is taken back."""
    set_threads(2)
    release, both = threading.Event(), threading.Barrier(2, timeout=20)

    def block() -> None:
        both.wait()
        release.wait(20)

    other = threading.Thread(target=lambda: pool.run_shares(block, release.set, tasks=2))
    other.start()
    time.sleep(0.05)
    y, z = batch()
    assert ce.cross_entropy(y, logits=z) > 0
    assert not release.is_set()
    release.set()
    other.join()


def test_a_system_without_threads_to_spare(set_threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller works alone then, and the next call tries again."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    set_threads(3)
    y, z = batch()
    want = ce.cross_entropy(y, logits=z)
    monkeypatch.setattr(pool, "_pool", pool._Pool())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert ce.cross_entropy(y, logits=z) == want
        assert pool._pool.workers == 0
    assert ce.cross_entropy(y, logits=z) == want
    assert pool._pool.workers == 2
