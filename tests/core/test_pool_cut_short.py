"""The thread pool when it is cut short: interrupts, the interpreter's end."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import pytest

from crossent.core import pool
from processes import run_python


@pytest.mark.parametrize("interrupts", [1, 2])
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a thread")
def test_an_interrupt_of_the_waiting_caller_stops_the_others(interrupts: int, set_threads: Any) -> None:
    """Each Control-C does; it is raised after they have ended, for until then they write."""
    set_threads(2)
    caller, all_, release = threading.get_ident(), threading.Barrier(3, timeout=20), threading.Event()
    stops, ended = [], []

    def work() -> None:
        all_.wait()
        if threading.get_ident() != caller:
            assert release.wait(20)
            ended.append(1)

    def press() -> None:
        all_.wait()
        for number in range(interrupts):
            time.sleep(0.05)  # the caller is waiting by now
            signal.pthread_kill(caller, signal.SIGINT)
            deadline = time.monotonic() + 5
            while len(stops) <= number and time.monotonic() < deadline:
                time.sleep(0.001)
        release.set()

    user, before = threading.Thread(target=press), signal.signal(signal.SIGINT, signal.default_int_handler)
    user.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            pool.run_shares(work, lambda: stops.append(1), tasks=2)
        assert ended == [1]
        assert len(stops) == interrupts
    finally:
        release.set()
        user.join()
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("used", [False, True])
def test_calls_while_the_interpreter_ends(used: bool) -> None:
    """Functions that were registered before crossent run after its own end of threads; their calls must not wait."""
    program = f"""
        import atexit
        import numpy as np
        def late():
            print(round(ce.cross_entropy(y, logits=z), 6), flush=True)
        atexit.register(late)
        import crossent as ce
        ce.set_num_threads(4)
        z, y = np.zeros((400_000, 4), np.float32), np.zeros(400_000, np.uint8)
        atexit.register(late)
        if {used}:
            late()
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1.386294\n" * (2 + used)


def test_exit_while_threads_compute() -> None:
    """Daemon workers and callers: the interpreter leaves at once and without a word."""
    program = """
        import threading, time, numpy as np, crossent as ce
        ce.set_num_threads(4)
        z, y = np.zeros((2_000_000, 4), np.float32), np.zeros(2_000_000, np.uint8)
        def forever():
            while True:
                ce.cross_entropy(y, logits=z)
        for _ in range(2):
            threading.Thread(target=forever, daemon=True).start()
        time.sleep(0.2)
        print("done")
    """
    for _ in range(2):
        started = time.monotonic()
        done = run_python(program)
        assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
        assert time.monotonic() - started < 30


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("kind", ["direct", "staged", "probs"])
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a child")
def test_interrupt_in_a_long_call(kind: str, threads: str) -> None:
    """Control-C in calls of many seconds (a zero-stride view of hundreds of millions of rows) ends them promptly."""
    program = f"""
        import signal, numpy as np, crossent as ce
        signal.signal(signal.SIGINT, signal.default_int_handler)  # even if the tests run in the background
        y = np.broadcast_to(np.uint8(0), (300_000_000,))
        z = np.broadcast_to(np.float32(0.5), (300_000_000, 40))
        if {kind!r} == "direct":
            z, y = np.zeros((400, 262144), np.float32), np.zeros(400, int)
        name = "probs" if {kind!r} == "probs" else "logits"
        print("ready", flush=True)
        try:
            while True:
                ce.cross_entropy(y, **{{name: z}})
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            z = np.zeros((100_000, 3))
            print(ce.cross_entropy(np.zeros(100_000, int), logits=z) > 0)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "CROSSENT_THREADS": threads},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.7)
        child.send_signal(signal.SIGINT)
        sent = time.monotonic()
        rest = child.communicate(timeout=30)[0]
        assert time.monotonic() - sent < 8
        assert rest == "interrupted\nTrue\n"
        assert child.returncode == 0
    finally:
        child.kill()
        child.wait()
