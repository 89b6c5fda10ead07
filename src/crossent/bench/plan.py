"""What a run measures, in how many rounds, and roughly how long that takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from crossent.bench.cases import Case, cases_of
from crossent.bench.roster import CROSSENT, LIBRARIES, LIMIT, PEERS
from crossent.bench.worker import REGIMES

__all__ = ["LEAST_SECONDS", "PAUSE_SECONDS", "SLOW_SECONDS", "Plan", "estimated_seconds", "rounds_for"]

LEAST_SECONDS = 0.02  # of a round
PAUSE_SECONDS = 0.02  # waiting threads of the last peer spin for a moment
SLOW_SECONDS = 1.5  # what takes longer counts from its first run on, and has fewer rounds
_FEWER_ROUNDS = ((20.0, 1), (6.0, 2), (SLOW_SECONDS, 3))  # beyond so many seconds, so many rounds
_NANOSECONDS_A_FEATURE = 0.036  # of four matrix products, an element
_FIT_SECONDS, _SMALL_FIT_SECONDS = 40.0, 4.0  # all fits of a peer
_SMALL_FIT = 10**7  # rows x features x classes


def rounds_for(seconds: float, rounds: int) -> int:
    """Rounds of runs that take as long.

    >>> [rounds_for(seconds, 7) for seconds in (0.1, 2.0, 7.0, 21.0)]
    [7, 3, 2, 1]
    """
    return min(rounds, next((fewer for longer, fewer in _FEWER_ROUNDS if seconds > longer), rounds))


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
        """Ours, the machine's limit, and the peers of a case whose library was asked for, or is crossent."""
        ours = (case.ours, LIMIT) if case.limited else (case.ours,)
        return [*ours, *(name for name in case.peers if PEERS[name].library in (*self.libraries, CROSSENT))]


def estimated_seconds(plan: Plan) -> float:
    """Roughly how long a plan takes on two cores."""
    total = 0.0
    for case in plan.cases():
        peers = [PEERS[name] for name in plan.peers(case)]
        starts = sum(peer.start_seconds for peer in peers) / max(1, min(plan.threads, len(peers)))
        runs = sum(_expected(peer.nanoseconds, case, plan.rounds) for peer in peers)
        if case.solvers:
            runs = len(peers) * (_FIT_SECONDS if case.elements > _SMALL_FIT else _SMALL_FIT_SECONDS)
        slow = (plan.rounds + 1) * len(peers) * len(case.works) * (LEAST_SECONDS + PAUSE_SECONDS)
        total += len(case.regimes) * (starts + runs + slow)
    return total


def _expected(nanoseconds: float, case: Case, rounds: int) -> float:
    """Seconds of all runs of a peer, which does not take as many rounds where one takes long."""
    products = _NANOSECONDS_A_FEATURE * case.features  # forward, and both
    once = (min(nanoseconds, 400) + products) * 1e-9 * case.elements
    return once * (rounds_for(once, rounds) + 3)
