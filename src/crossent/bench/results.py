"""What was measured, and what follows from it: medians, the best peer, ratios; and the JSON form."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from crossent.bench.cases import Case
from crossent.bench.roster import LIMIT

__all__ = ["SCHEMA", "Measurement", "Results", "deviation"]

SCHEMA = "crossent.bench/1"
# Relative deviation from crossent beyond which a result is wrong: the rounding of the type, with room for sums over
# tens of millions of rows in that type.
_TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 2e-2}


@dataclass
class Measurement:
    """One peer at one work of one case: seconds per run, one entry a round; what it returned; or why it did not."""

    suite: str
    case: str
    work: str
    regime: str
    peer: str
    seconds: list[float] = field(default_factory=list)
    repetitions: int = 0
    value: float | None = None
    wrong_by: float | None = None
    extra_bytes: int | None = None
    failure: str = ""
    setting: str = ""  # of a fit
    bound: float | None = None  # on how far a fit's objective is above its minimum, proven by itself

    @property
    def median(self) -> float | None:
        """Median seconds per run."""
        return median(self.seconds) if self.seconds else None

    @property
    def right(self) -> bool:
        """Whether there is a time, of a result that agrees."""
        return bool(self.seconds) and self.wrong_by is None

    @property
    def stopped_short(self) -> bool:
        """Whether this is the time of a fit that did not get as far as it should."""
        return bool(self.seconds) and bool(self.setting) and self.wrong_by is not None


@dataclass
class Results:
    """All measurements of a run, and what they were taken on."""

    machine: dict[str, Any]
    cases: list[Case]
    measurements: list[Measurement] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)  # peer: why it could not be asked

    def of(self, case: Case, work: str, regime: str) -> list[Measurement]:
        """The measurements of one line."""
        key = (case.suite, case.title, work, regime)
        return [m for m in self.measurements if (m.suite, m.case, m.work, m.regime) == key]

    def one(self, case: Case, work: str, regime: str, peer: str) -> Measurement | None:
        """The measurement of one peer, if it was asked."""
        return next((m for m in self.of(case, work, regime) if m.peer == peer), None)

    def ours(self, case: Case, work: str, regime: str = "default") -> Measurement | None:
        """The measurement that the peers' are compared with."""
        return self.one(case, work, regime, case.ours)

    def peers(self, case: Case, work: str, regime: str) -> list[Measurement]:
        """The peers' measurements, fastest first; those without a time last."""
        found = [m for m in self.of(case, work, regime) if m.peer not in (case.ours, LIMIT)]
        return sorted(found, key=lambda m: m.median if m.median is not None else math.inf)

    def best(self, case: Case, work: str, regime: str) -> Measurement | None:
        """The fastest peer with a right result."""
        return next((m for m in self.peers(case, work, regime) if m.right), None)

    def ratio(self, case: Case, work: str, regime: str, against: str = "") -> float | None:
        """Median of the best peer, or of the one named, divided by crossent's: above 1, crossent is faster.

        None beside a wrong result, or none.
        """
        other = self.one(case, work, regime, against) if against else self.best(case, work, regime)
        ours = self.ours(case, work, regime)
        if other is None or ours is None or not (other.right and ours.right) or not other.median or not ours.median:
            return None
        return other.median / ours.median

    def least_ratio(self, case: Case, work: str) -> float | None:
        """What the ratio is at least where no peer's fit got there: the time of the first to give up, by ours."""
        ours, tried = self.ours(case, work), self.peers(case, work, "default")
        seconds = [m.median for m in tried if m.stopped_short and m.median]
        if not seconds or any(m.right for m in tried) or ours is None or not ours.right or not ours.median:
            return None
        return min(seconds) / ours.median

    def over_limit(self, case: Case, work: str) -> float | None:
        """crossent's median divided by the time in which the machine moves as many bytes."""
        limit, ours = self.one(case, work, "default", LIMIT), self.ours(case, work)
        if limit is None or ours is None or not limit.median or ours.median is None:
            return None
        return ours.median / limit.median

    def to_json(self) -> str:
        """Everything, as JSON with a schema name; what is not finite is text ("inf")."""
        plain = {
            "schema": SCHEMA,
            "machine": self.machine,
            "missing": self.missing,
            "cases": [asdict(case) for case in self.cases],
            "measurements": [
                {
                    **asdict(m),
                    "value": _plain(m.value),
                    "wrong_by": _plain(m.wrong_by),
                    "bound": _plain(m.bound),
                    "median_seconds": m.median,
                }
                for m in self.measurements
            ],
        }
        return json.dumps(plain, indent=1, allow_nan=False) + "\n"


def _plain(number: float | None) -> float | str | None:
    return number if number is None or math.isfinite(number) else str(number)


def deviation(
    value: float, probe: Sequence[float] | None, our_value: float, our_probe: Sequence[float] | None, dtype: str
) -> float | None:
    """By how much a result differs from crossent's, relative; None if that is within the tolerance of the type.

    The value is compared with crossent's value; the gradient's sum of absolute values with that sum, and its samples
    with the largest of crossent's. A NaN is infinitely wrong.

    >>> deviation(1.0, None, 1.00001, None, "float32")
    >>> round(deviation(1.5, None, 1.0, None, "float32"), 3)
    0.5
    """
    worst = _relative([value], [our_value])
    if probe is not None and our_probe is not None:
        if len(probe) != len(our_probe):
            return math.inf
        worst = max(worst, _relative(probe[:1], our_probe[:1]), _relative(probe[1:], our_probe[1:]))
    return worst if not worst <= _TOLERANCE[dtype] else None


def _relative(actual: Sequence[float], desired: Iterable[float]) -> float:
    expected = list(desired)
    scale = max((abs(x) for x in expected), default=0.0)
    differences = [abs(a - b) for a, b in zip(actual, expected, strict=True)]
    if not all(math.isfinite(each) for each in differences):
        return math.inf
    worst = max(differences, default=0.0)
    return worst / scale if scale > 0 else (math.inf if worst > 0 else 0.0)
