"""A worker's end of the pipe: reads requests, prepares a case, runs it, reports values, times and memory.

One JSON object a line. {"do": "prepare", "spec"} makes the numbers; {"do": "check", "work"} runs once and answers
value, samples of the gradient and peak extra memory; {"do": "time", "work", "least", "repetitions"} answers seconds
per run. Fits have settings, arguments of the work: {"do": "fit", "work", "setting", "seconds"} fits once, no longer
than that, and answers time, objective, iterations, memory; {"do": "settle", "work", "setting"} is how it is timed from
then on. An answer with "failure" says what went wrong. The worker ends when the pipe does, or with its parent.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from .data import Spec

__all__ = ["main"]

Work = Callable[..., tuple[Any, Any]]  # one run: the value, and the gradient or None
_SAMPLES = 256
_BLOCK = 1 << 20


def main() -> None:
    """Serves until the pipe closes. Arguments of the process: module, flavour, threads, the parent's process id."""
    module, flavour, threads, parent = sys.argv[1:5]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    _die_with(int(parent))
    _restrict(int(threads))
    try:
        peer = importlib.import_module(module)
        greeting: dict[str, Any] = {"versions": peer.versions(), "crossent": "crossent" in sys.modules}
    except ImportError as problem:
        greeting = {"missing": problem.name or str(problem), "failure": _told(problem)}
    worker = _Worker(peer, flavour, int(threads)) if "versions" in greeting else None
    _answer(answers, greeting)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            assert worker is not None
            reply = getattr(worker, request.pop("do"))(**request)
        except MemoryError as problem:
            reply = {"failure": f"out of memory ({_told(problem)})"}
        except Exception as problem:  # a library may fail in any way; its cell says so and the rest goes on
            reply = {"failure": _told(problem)}
        _answer(answers, reply)


class _Worker:
    """Answers requests with one library."""

    def __init__(self, peer: Any, flavour: str, threads: int) -> None:
        self._peer, self._flavour, self._threads = peer, flavour, threads
        self._works: dict[str, Work] = {}
        self._resident = 0

    def prepare(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Makes the numbers of a case; the former case is dropped first."""
        self._works = {}
        gc.collect()
        case = Spec(**{**spec, "shape": tuple(spec["shape"])})
        self._works = self._peer.prepare(case, self._flavour, self._threads)
        gc.collect()
        _forget_peak()
        self._resident = _peak()
        return {"works": list(self._works)}

    def check(self, work: str) -> dict[str, Any]:
        """One run: its value, samples of its gradient, its peak memory beyond what the data took."""
        run = self._works[work]
        _forget_peak()
        value, gradient = run()
        peak = _peak()
        probe = None if gradient is None else _probe(self._peer.host(gradient))
        return {"value": float(value), "probe": probe, "extra_bytes": max(0, peak - self._resident)}

    def fit(self, work: str, setting: dict[str, Any], seconds: float) -> dict[str, Any]:
        """One fit; what it returns is judged (`float`) after the clock has stopped."""
        gc.collect()
        _forget_peak()
        with _no_longer_than(seconds):
            start = perf_counter()
            fitted, _ = self._works[work](**setting)
            taken = perf_counter() - start
        peak = _peak()
        return {"seconds": taken, "value": float(fitted), "iterations": fitted.iterations, "bound": fitted.bound,
                "extra_bytes": max(0, peak - self._resident)}  # fmt: skip

    def settle(self, work: str, setting: dict[str, Any]) -> dict[str, Any]:
        """The setting of all later runs."""
        self._works[work] = partial(self._works[work], **setting)
        return {}

    def time(self, work: str, least: float, repetitions: int) -> dict[str, Any]:
        """Seconds per run; with repetitions = 0 as many as take `least` seconds are found out first."""
        run, count = self._works[work], repetitions or 1
        gc.collect()
        gc.disable()
        try:
            seconds = _seconds(run, count)
            while not repetitions and seconds * count < least:
                count = max(2 * count, round(1.1 * least / max(seconds, 1e-9)) if count > 1 else 8)
                seconds = _seconds(run, count)
        finally:
            gc.enable()
        return {"seconds": seconds, "repetitions": count}


def _seconds(run: Work, repetitions: int) -> float:
    """The mean time of a run whose results are dropped at once, as a training loop does."""
    start = perf_counter()
    for _ in range(repetitions):
        run()
    return (perf_counter() - start) / repetitions


@contextlib.contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    """Python code raises TimeoutError after so long; compiled code does when it is done."""

    def end(*_: Any) -> None:
        raise TimeoutError(f"no result within {seconds:g} s")

    former = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _probe(gradient: Any) -> list[float]:
    """The sum of absolute values, and values at places spread over the array."""
    flat = np.ravel(gradient)
    total = sum(float(np.abs(flat[i : i + _BLOCK]).sum(dtype=np.float64)) for i in range(0, flat.size, _BLOCK))
    places = np.unique(np.linspace(0, flat.size - 1, min(_SAMPLES, flat.size)).astype(np.int64))
    return [total, *map(float, flat[places])]


# ---------------------------------------------------------------- the process


def _answer(stream: Any, reply: dict[str, Any]) -> None:
    try:
        stream.write(json.dumps(reply) + "\n")
        stream.flush()
    except BrokenPipeError:  # the parent has gone
        os._exit(0)


def _told(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0][:200]}" if lines else type(problem).__name__


def _die_with(parent: int) -> None:
    """On Linux the kernel ends this process when its parent ends, and looks here first when memory runs out."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _restrict(threads: int) -> None:
    """Libraries that count processors themselves see as many as there are threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _peak() -> int:
    """The largest resident size in bytes.

    Linux' ru_maxrss also knows the process that started this one, which may be the larger of the two; VmHWM does not.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak) * (1 if sys.platform == "darwin" else 1024)


def _forget_peak() -> None:
    """Sets the largest resident size back to the present one, where Linux allows it."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return
