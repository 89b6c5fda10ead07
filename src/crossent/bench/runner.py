"""The runner: a fresh process for every peer of a case, one check of its result, then rounds that take turns.

A peer's process lives through all rounds of its case and regime, and its first run is where its peak memory is read.
Rounds alternate between the peers, so that a busy moment of the machine hits all alike; each lasts at least 20 ms.
Peers that fail, die or are not installed are reported where their time would stand, and the rest goes on.
"""

import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any, Protocol

from crossent.bench.cases import Case, cases_of
from crossent.bench.results import Measurement, Results, deviation
from crossent.bench.roster import LIBRARIES, LIMIT, PEERS, python_for
from crossent.bench.wording import time_text
from crossent.bench.worker import REGIMES, Worker, WorkerFailure

__all__ = ["Plan", "Tell", "estimated_seconds", "run"]

_LEAST_SECONDS = 0.02
_PAUSE_SECONDS = 0.02  # waiting threads of the last peer spin for a moment
_NANOSECONDS_A_FEATURE = 0.036  # of four matrix products, an element
_SLOW_SECONDS, _VERY_SLOW_SECONDS = 1.5, 6.0  # peers as slow as this get 3 rounds and 2


class Tell(Protocol):
    """Where the run says how far it is: a line that changes, and lines that stay."""

    def status(self, text: str) -> None: ...
    def line(self, text: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure.

    suites: names out of cases.SUITES; libraries: the peers' libraries; pattern: which cases; rounds: at least this
    many for each peer that is not slow; threads: for everybody; quick: tiny sizes; pythons: library: interpreter;
    regimes: names out of worker.REGIMES.
    """

    suites: tuple[str, ...] = ("loss",)
    libraries: tuple[str, ...] = tuple(LIBRARIES)
    pattern: str = "*"
    rounds: int = 7
    threads: int = 1
    quick: bool = False
    pythons: Mapping[str, str] = field(default_factory=dict)
    regimes: tuple[str, ...] = tuple(REGIMES)

    def cases(self) -> list[Case]:
        """The cases of all suites, in their order."""
        made = [case for suite in self.suites for case in cases_of(suite, pattern=self.pattern, quick=self.quick)]
        return [replace(case, regimes=tuple(name for name in case.regimes if name in self.regimes)) for case in made]

    def peers(self, case: Case) -> list[str]:
        """Ours, the machine's limit, and the peers of a case whose library was asked for."""
        ours = (case.ours, LIMIT) if case.limited else (case.ours,)
        return [*ours, *(name for name in case.peers if PEERS[name].library in self.libraries)]


def estimated_seconds(plan: Plan) -> float:
    """Roughly how long a plan takes on two cores."""
    total = 0.0
    for case in plan.cases():
        peers = [PEERS[name] for name in plan.peers(case)]
        starts = sum(peer.start_seconds for peer in peers) / max(1, min(plan.threads, len(peers)))
        runs = sum(_expected(peer.nanoseconds, case, plan.rounds) for peer in peers)
        slow = (plan.rounds + 1) * len(peers) * len(case.works) * (_LEAST_SECONDS + _PAUSE_SECONDS)
        total += len(case.regimes) * (starts + runs + slow)
    return total


def _expected(nanoseconds: float, case: Case, rounds: int) -> float:
    """Seconds of all runs of a peer, which does not take as many rounds where one takes long."""
    products = _NANOSECONDS_A_FEATURE * case.features  # forward, and both
    once = (min(nanoseconds, 400) + products) * 1e-9 * case.elements
    return once * ((2 if once > _VERY_SLOW_SECONDS else 3 if once > _SLOW_SECONDS else rounds) + 3)


def run(plan: Plan, tell: Tell) -> Results:
    """Measures every case of a plan; a few seconds to half an hour.

    Returns: the results, also of peers that failed.
    Raises: KeyboardInterrupt, after all workers were ended.
    """
    results = Results(_machine(plan), plan.cases())
    with tempfile.TemporaryDirectory(prefix="crossent-bench-") as scratch:
        for number, case in enumerate(results.cases, start=1):
            for regime in case.regimes:
                place = f"case {number} of {len(results.cases)}, {case.title}, {regime} malloc"
                with _Crew(plan, case, regime, scratch) as crew:
                    crew.prepare(partial(_tell_where, tell, place))
                    crew.measure(partial(_tell_where, tell, place))
                results.measurements += crew.measurements
                results.missing.update(crew.missing)
                results.machine["versions"].update(crew.versions)
            for work in case.works:
                tell.line(_told(results, case, work))
    return results


def _tell_where(tell: Tell, place: str, text: str) -> None:
    tell.status(f"{place}: {text}")


class _Crew:
    """The workers of one case in one regime."""

    def __init__(self, plan: Plan, case: Case, regime: str, scratch: str) -> None:
        self._plan, self._case, self._regime = plan, case, regime
        self._scratch = scratch
        self._workers: dict[str, Worker] = {}
        self._probes: dict[tuple[str, str], Any] = {}
        self.measurements: list[Measurement] = []
        self.missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}

    def __enter__(self) -> "_Crew":
        try:
            for name in self._plan.peers(self._case):
                self._start(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()

    def _start(self, name: str) -> None:
        """Workers start in this thread: Linux ends a worker together with the thread that started it."""
        peer = PEERS[name]
        regime = "default" if name in (self._case.ours, LIMIT) else self._regime  # the regimes are the peers'
        self._workers[name] = Worker(
            peer, python_for(peer, self._plan.pythons), regime=regime, threads=self._plan.threads, scratch=self._scratch
        )

    def prepare(self, status: Callable[[str], None]) -> None:
        """Starts all workers and checks their results, as many at a time as there are threads."""
        pool = ThreadPoolExecutor(self._plan.threads)
        try:
            waiting = list(self._workers)
            for name, found in zip(waiting, pool.map(self._prepare_one, waiting), strict=True):
                status(f"checked {name}")
                self.measurements += found
        except BaseException:
            for worker in self._workers.values():
                worker.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        self._compare()

    def _prepare_one(self, name: str) -> list[Measurement]:
        """First at a small size, which loads what a library loads late, then for real."""
        worker, case = self._workers[name], self._case
        found: list[Measurement] = []
        try:
            greeting = worker.hello()
            if "missing" in greeting:
                self.missing[name] = _not_installed(name, greeting)
                return []
            self.versions.update(greeting["versions"])
            offered = worker.ask("prepare", spec=case.shrunk().spec)["works"]
            works = [work for work in case.works if work in offered]
            found = [Measurement(case.suite, case.title, work, self._regime, name) for work in works]
            for work in works:
                worker.ask("check", work=work)
            worker.ask("prepare", spec=case.spec)
        except WorkerFailure as problem:
            found = found or [Measurement(case.suite, case.title, w, self._regime, name) for w in case.works[:2]]
            for each in found:
                each.failure = str(problem)
            return found
        for each in found:
            self._check(worker, each)
        return found

    def _check(self, worker: Worker, each: Measurement) -> None:
        try:
            reply = worker.ask("check", work=each.work)
        except WorkerFailure as problem:
            each.failure = str(problem)
            return
        each.value, each.extra_bytes = reply["value"], reply["extra_bytes"]
        self._probes[each.peer, each.work] = reply["probe"]

    def _compare(self) -> None:
        """Every peer's value and gradient beside ours."""
        base = self._case.ours
        for each in self.measurements:
            ours = next((m for m in self.measurements if m.peer == base and m.work == each.work), None)
            if each.peer in (base, LIMIT) or each.value is None or ours is None or ours.value is None:
                continue
            each.wrong_by = deviation(
                each.value, self._probes[each.peer, each.work], ours.value, self._probes[base, each.work],
                self._case.dtype,
            )  # fmt: skip

    def measure(self, status: Callable[[str], None]) -> None:
        """Rounds for every work: each peer in its turn."""
        for work in self._case.works:
            able = [m for m in self.measurements if m.work == work and not m.failure]
            for number in range(self._plan.rounds + 1):  # the first finds the repetitions out and does not count
                for each in able:
                    if len(each.seconds) < self._rounds(each):
                        status(f"{work}, round {number} of {self._plan.rounds}: {each.peer}")
                        self._time(each, counts=number > 0)

    def _rounds(self, each: Measurement) -> int:
        first = each.seconds[0] if each.seconds else 0.0
        most = 2 if first > _VERY_SLOW_SECONDS else 3 if first > _SLOW_SECONDS else self._plan.rounds
        return min(most, self._plan.rounds)

    def _time(self, each: Measurement, *, counts: bool) -> None:
        if each.failure:
            return
        sleep(0.0 if self._plan.quick else _PAUSE_SECONDS)
        least = 0.0 if self._plan.quick else _LEAST_SECONDS
        try:
            reply = self._workers[each.peer].ask("time", work=each.work, least=least, repetitions=each.repetitions)
        except WorkerFailure as problem:
            each.failure = str(problem)
            each.seconds.clear()
            return
        each.repetitions = reply["repetitions"]
        if counts or reply["seconds"] > _SLOW_SECONDS:
            each.seconds.append(reply["seconds"])


def _not_installed(name: str, greeting: Mapping[str, Any]) -> str:
    module, package = LIBRARIES.get(PEERS[name].library, ("", ""))
    if greeting["missing"] == "crossent":
        return f"not installed in the Python that has {module} (pip install crossent there, or make frameworks)"
    if greeting["missing"].partition(".")[0] == module:
        return f"not installed (pip install {package}, or make frameworks)"
    return f"cannot be imported: {greeting['failure']}"


def _told(results: Results, case: Case, work: str) -> str:
    """One line about a case that is done."""
    ours = results.ours(case, work)
    best, ratio = results.best(case, work, "default"), results.ratio(case, work, "default")
    if ours is None or ours.median is None:
        reason = ours.failure if ours else results.missing.get(case.ours, "not asked")
        return f"{case.title} {work}: {case.ours} failed: {reason}"
    text = f"{case.title} {work}: {case.ours} {time_text(ours.median)}"
    if best is not None and best.median is not None and ratio is not None:
        text += f", best peer {best.peer} {time_text(best.median)}, ratio {ratio:.2f}"
    return text


def _machine(plan: Plan) -> dict[str, Any]:
    """What the numbers are taken on."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "threads": plan.threads,
        "rounds": plan.rounds,
        "quick": plan.quick,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": {},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines: Sequence[str] = info.read_text(encoding="utf-8").splitlines() if info.exists() else ()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
