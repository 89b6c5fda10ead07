"""The thread pool: daemon threads that survive fork, and the number of them.

Work comes as a callable that draws blocks from a shared counter until none is left, so any number of threads may run
it. The calling thread always works too; a share that no worker has begun when the caller is done is taken back, so
busy workers never hold up a call.
"""

import atexit
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import index
from typing import Any

from crossent import _native
from crossent.errors import OptionError

__all__ = ["get_num_threads", "run_shares", "run_tasks", "set_num_threads", "with_threads"]


class _Share:
    """One worker's part in a call. It lets go of the work, which holds the arrays, before the caller goes on."""

    def __init__(self, work: Callable[[], None], stop: Callable[[], None]) -> None:
        self.work: Callable[[], None] | None = work
        self.stop: Callable[[], None] | None = stop
        self.claim = threading.RLock()  # the worker's while it works, the caller's for ever once it has it
        self.error: BaseException | None = None

    def run(self) -> None:
        if not self.claim.acquire(blocking=False):
            return
        try:
            assert self.work is not None
            self.work()
        except BaseException as error:  # re-raised in the calling thread
            self.error = error
            if self.stop is not None:
                self.stop()
        finally:
            self.work = self.stop = None
            self.claim.release()

    def take_back(self) -> None:
        """Waits for the worker that has begun it, or sees to it that none will; after an interrupt, call it again."""
        self.claim.acquire()
        self.work = self.stop = None


class _Pool:
    """Workers and their queue; a forked child starts with a new one."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[_Share] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.workers = 0

    def grow(self, workers: int) -> None:
        """Starts what is missing; where the system refuses a thread (limits, shutdown), those there are must do."""
        if self.workers >= workers:
            return
        with self.lock:
            while self.workers < workers:
                try:
                    threading.Thread(target=_serve, args=(self.queue,), name="crossent", daemon=True).start()
                except RuntimeError:
                    return
                self.workers += 1


def _serve(shares: "queue.SimpleQueue[_Share]") -> None:
    while True:
        shares.get().run()


_pool = _Pool()


def _start_anew() -> None:
    global _pool
    _pool = _Pool()
    _native.after_fork()


def _close() -> None:
    """At exit: from here on native calls in other threads sleep for ever, so no share may go to them."""
    global _open
    _open = False
    _native.close_down()


_open = True
atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_own = threading.local()


@contextmanager
def with_threads(n: int) -> Iterator[None]:
    """Calls of this thread use n threads: for frameworks with a number of their own."""
    _own.threads = n
    try:
        yield
    finally:
        del _own.threads


def get_num_threads() -> int:
    """The number of threads that a call may use.

    >>> get_num_threads() >= 1
    True
    """
    return _threads


def set_num_threads(n: int) -> None:
    """Sets the number of threads that a call may use; results do not depend on it.

    Args:
        n: a whole number >= 1. The environment variable CROSSENT_THREADS sets it at import.
    Raises: OptionError.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _threads
    try:
        number = 0 if isinstance(n, bool) else index(n)
    except TypeError:
        number = 0
    if number < 1:
        raise OptionError(f"set_num_threads got {n!r}; a whole number >= 1 is allowed.")
    _threads = number


def run_shares(work: Callable[[], None], stop: Callable[[], None], tasks: int) -> None:
    """Runs `work` in as many threads as `tasks` are worth and the setting allows, the calling one among them.

    An exception in any of them calls `stop`, and so does an interrupt of the calling one, even while it waits. The
    first is raised here after the threads that have begun are done: no memory is written afterwards.
    """
    helpers = min(getattr(_own, "threads", _threads), tasks) - 1 if _open else 0
    if helpers < 1:
        work()
        return
    pool = _pool
    pool.grow(helpers)
    shares = [_Share(work, stop) for _ in range(helpers)]
    failure: BaseException | None = None
    try:
        for share in shares:
            pool.queue.put(share)
        work()
    except BaseException as error:
        failure = error
    while True:
        try:
            if failure is not None:
                stop()
            for share in shares:
                share.take_back()
            break
        except BaseException as error:  # an interrupt, perhaps not the first: those who still write are waited for
            failure = failure or error
    for share in shares:
        failure, share.error = failure or share.error, None
    if failure is not None:
        try:
            raise failure
        finally:
            del failure, shares, share  # its traceback holds this frame


def run_tasks(*tasks: Callable[[], Any]) -> list[Any]:
    """The results of independent tasks, run over the threads; the order in which they begin is the one given.

    >>> run_tasks(lambda: 1, lambda: 2)
    [1, 2]
    """
    results: list[Any] = [None] * len(tasks)
    numbers = iter(range(len(tasks)))
    lock = threading.Lock()
    stopped = threading.Event()

    def draw() -> int | None:
        with lock:
            return None if stopped.is_set() else next(numbers, None)

    def work() -> None:
        while (number := draw()) is not None:
            results[number] = tasks[number]()

    run_shares(work, stopped.set, len(tasks))
    return results
