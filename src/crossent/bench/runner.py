"""The runner: every case of a plan in every regime by its crew, told as it goes, and what it was measured on."""

import os
import platform
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from crossent.bench.cases import Case
from crossent.bench.crew import Crew
from crossent.bench.fitting import FitCrew
from crossent.bench.plan import Plan
from crossent.bench.results import Results
from crossent.bench.wording import time_text

__all__ = ["Tell", "run"]


class Tell(Protocol):
    """Where the run says how far it is: a line that changes, and lines that stay."""

    def status(self, text: str) -> None: ...
    def line(self, text: str) -> None: ...


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
                chosen = FitCrew if case.solvers else Crew
                with chosen(plan, case, regime, scratch) as crew:
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
    elif (least := results.least_ratio(case, work)) is not None:
        text += f", no peer got there: ratio > {least:.2f}"
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
