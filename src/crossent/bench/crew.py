"""The workers of one case: a fresh process for every peer, one check of its result, then rounds that take turns.

A peer's process lives through all rounds of its case and regime, and its first run is where its peak memory is read.
Rounds alternate between the peers, so that a busy moment of the machine hits all alike; each lasts at least 20 ms.
Peers that fail, die or are not installed are reported where their time would stand, and the rest goes on.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

from crossent.bench.cases import Case
from crossent.bench.plan import LEAST_SECONDS, PAUSE_SECONDS, SLOW_SECONDS, Plan, rounds_for
from crossent.bench.results import Measurement, deviation
from crossent.bench.roster import LIBRARIES, LIMIT, PEERS, python_for
from crossent.bench.worker import Worker, WorkerFailure

__all__ = ["Crew"]


class Crew:
    """The workers of one case in one regime."""

    def __init__(self, plan: Plan, case: Case, regime: str, scratch: str) -> None:
        self._plan, self._case, self._regime = plan, case, regime
        self._scratch = scratch
        self._workers: dict[str, Worker] = {}
        self._probes: dict[tuple[str, str], Any] = {}
        self.measurements: list[Measurement] = []
        self.missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}

    def __enter__(self) -> "Crew":
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
        return rounds_for(each.seconds[0] if each.seconds else 0.0, self._plan.rounds)

    def _time(self, each: Measurement, *, counts: bool) -> None:
        if each.failure:
            return
        sleep(0.0 if self._plan.quick else PAUSE_SECONDS)
        least = 0.0 if self._plan.quick else LEAST_SECONDS
        try:
            reply = self._workers[each.peer].ask("time", work=each.work, least=least, repetitions=each.repetitions)
        except WorkerFailure as problem:
            each.failure = str(problem)
            each.seconds.clear()
            return
        each.repetitions = reply["repetitions"]
        if counts or reply["seconds"] > SLOW_SECONDS:
            each.seconds.append(reply["seconds"])


def _not_installed(name: str, greeting: Mapping[str, Any]) -> str:
    module, package = LIBRARIES.get(PEERS[name].library, ("", ""))
    if greeting["missing"] == "crossent":
        return f"not installed in the Python that has {module} (pip install crossent there, or make frameworks)"
    if greeting["missing"].partition(".")[0] == module:
        return f"not installed (pip install {package}, or make frameworks)"
    return f"cannot be imported: {greeting['failure']}"
