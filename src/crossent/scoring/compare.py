"""Compare: two sets of predictions of the same rows, by the mean difference of their losses.

A row in which B rules out the truth (infinite loss) and A does not is worse than any finite gain is good: it decides,
whatever the other rows say. A row in which only A does counts for B, but one such row is no licence for what B loses
elsewhere: the rows in which both are finite decide. Rows in which both do say nothing and are left out, but counted.
An interval that is marked (too few rows of a class, or clusters) decides nothing.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from crossent.scoring.plain import plain
from crossent.stats import Estimate
from crossent.stats.sequence import Look
from crossent.wording import counted

__all__ = ["SCHEMA", "Compare", "SegmentDifference", "at_last_look", "deciding_ends"]

SCHEMA = "crossent.compare/1"
_NATS_PER_BIT = math.log(2.0)


@dataclass(frozen=True)
class SegmentDifference:
    """The difference in the rows with one value of one column.

    Attributes:
        column: the column.
        value: its value, as text.
        n: rows.
        difference: mean of loss_B - loss_A in nats, with interval.
        worse: rows in which B is infinite and A finite.
        p_value: of no difference; None where there is no interval, or one that is marked: too few rows.
        p_adjusted: after Benjamini and Hochberg over all segments of the column.
    """

    column: str
    value: str
    n: int
    difference: Estimate
    worse: int
    p_value: float | None
    p_adjusted: float | None


@dataclass(frozen=True, repr=False)
class Compare:
    """What B is worth beside A on the same rows.

    Attributes:
        names: of A and B.
        n: rows with weight > 0 that both score, those with infinite losses included.
        effective_n: (sum w)^2 / sum w^2.
        losses: log loss of A and of B (inf is a value), each with its own interval.
        difference: mean of loss_B - loss_A in nats over the rows where both are finite: negative where B is better;
            +inf where B is infinite in a row in which A is finite (and not the other way round), -inf likewise.
        finite: the same over the rows where both are finite, whatever the others.
        method: "hall", "bootstrap" or "clusters".
        clustered: whether rows came with keys of clusters, whatever the method.
        p_value: of no difference.
        infinite: rows infinite in A only, in B only, in both (these are left out).
        correlation: of the two losses over the rows where both are finite; with weights, of w (loss - mean), so that it
            is the one that makes the paired standard error smaller than the unpaired one.
        better: share of the rows in which B's loss is smaller, with Wilson's interval.
        tied: share of the rows in which both are equal; None if every row was left out.
        unpaired_se: standard error that two independent samples of this size would have.
        detectable: difference that this number of rows finds with probability 0.8.
        margin: what B may be worse by, or None.
        verdict: "better", "worse", "not worse" (upper < margin), "worse than the margin" (lower > margin), "undecided"
            (always so where the interval is marked).
        segments: one entry a value of each column asked for.
        notes: remarks.
        sequence: every look of an anytime-valid sequence, the last one at these rows; empty if not asked for. Verdict
            and gates are then those of the last look, so that one may stop at any of them; text, tables and pictures
            show its interval and no p-value, since `finite` and `p_value` are for rows that are looked at once.

    >>> from crossent.scoring.compare_arrays import compare
    >>> truth, old, new = [0, 1, 1, 0] * 10, [0.4, 0.6, 0.7, 0.2] * 10, [0.3, 0.8, 0.75, 0.1] * 10
    >>> found = compare(truth, probs={"old": old, "new": new}, margin=0.01)
    >>> found.verdict, found.is_not_worse, found.better.value
    ('better', True, 1.0)
    >>> repr(found).partition(" = ")[0]
    'Compare(new - old: -0.1572 nat [-0.1859, -0.1328]'
    """

    names: tuple[str, str]
    n: int
    effective_n: float
    losses: tuple[Estimate, Estimate]
    difference: Estimate
    finite: Estimate
    method: str
    clustered: bool
    p_value: float | None
    infinite: tuple[int, int, int]
    correlation: float | None
    better: Estimate
    tied: float | None
    unpaired_se: float | None
    detectable: float | None
    margin: float | None
    verdict: str
    segments: tuple[SegmentDifference, ...]
    notes: tuple[str, ...]
    sequence: tuple[Look, ...] = ()

    @property
    def difference_bits(self) -> Estimate:
        """The difference in bits."""
        return self.difference.scaled(1.0 / _NATS_PER_BIT)

    @property
    def is_worse(self) -> bool:
        """Whether B is worse by more than the margin (0 without one): lower > margin, or B infinite where A is finite.

        What is not estimable is not shown to be worse.
        """
        ends = self._ends()
        return ends is not None and ends[0] > (self.margin or 0.0)

    @property
    def is_not_worse(self) -> bool:
        """Whether B is shown not to be worse by the margin (0 without one): upper < margin; the gate of a release.

        What is not estimable, or marked, is not shown. Never so where B is infinite and A finite; where it is only the
        other way round, the rows finite in both decide.
        """
        ends = self._ends()
        return ends is not None and ends[1] < (self.margin or 0.0)

    def _ends(self) -> tuple[float, float] | None:
        return deciding_ends(self.finite, self.infinite, self.sequence)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers under stable names; infinities stay floats."""
        derived = {
            "difference_bits": self.difference_bits,
            "is_worse": self.is_worse,
            "is_not_worse": self.is_not_worse,
        }
        return plain(SCHEMA, self, derived, self._reasons())

    def _reasons(self) -> dict[str, str | None]:
        """Why a field is None, if it is."""
        both = self.finite.why  # of one row or none it tells all
        if self.finite.value is None:
            both = "there is no row in which both have a finite loss"
        alone = both if self.finite.n < 2 else "the losses of one of the two do not vary"
        return {
            "p_value": both if self.finite.value is None else self.difference.why,
            "correlation": alone,
            "tied": "every row is infinite in both",
            "unpaired_se": alone,
            "detectable": both,
            "margin": "none was given",
        }

    def __repr__(self) -> str:
        a, b = self.names
        gap = at_last_look(self.difference, self.sequence)
        told = f"Compare({b} - {a}: {_told(gap, 'nat')} = {_told(gap.scaled(1.0 / _NATS_PER_BIT), 'bit')}"
        told += f"{' at any look' if self.sequence and gap.lower is not None else ''}: {self.verdict}"
        if self.better.value is None:
            return f"{told} of {self.n} rows{self._caveats()})"
        left_out = f", {self.infinite[2]:,} left out" if self.infinite[2] else ""
        return f"{told}; better in {100 * self.better.value:.1f} % of {self.better.n} rows{left_out}{self._caveats()})"

    def _caveats(self) -> str:
        """Rows in which one loss alone is infinite, and the caveat of the interval, as far as there are any."""
        found = [
            f"{name} alone infinite in {counted(k)}" for name, k in zip(self.names, self.infinite, strict=False) if k
        ]
        mark = self.difference.mark or self.finite.mark
        return "".join(f"; {each}" for each in [*found, *([f"! {mark}"] if mark else [])])

    def __str__(self) -> str:
        from crossent.report import to_text

        return to_text(self)

    def _repr_html_(self) -> str:
        from crossent.report import to_fragment

        return to_fragment(self)


def deciding_ends(
    finite: Estimate, infinite: tuple[int, int, int], sequence: tuple[Look, ...]
) -> tuple[float, float] | None:
    """The interval that decides, with what infinite losses make of it; None where there is none, or it is marked.

    Args:
        finite: the difference over the rows in which both are finite, with its interval.
        infinite: rows infinite in A only, in B only, in both.
        sequence: looks; the last one's ends take the place of the interval.
    """
    if infinite[1]:
        return math.inf, math.inf
    if finite.mark:
        return None
    last = sequence[-1] if sequence else finite
    return None if last.lower is None or last.upper is None else (last.lower, last.upper)


def at_last_look(difference: Estimate, sequence: tuple[Look, ...]) -> Estimate:
    """The difference as it is to be shown: with the last look's interval where there are looks.

    Args:
        difference: over all rows, or over those where both losses are finite.
        sequence: looks; where the last one makes no statement, neither does what is shown.
    """
    if not sequence or difference.value is None or math.isinf(difference.value):
        return difference
    last = sequence[-1]
    return replace(difference, lower=last.lower, upper=last.upper, confidence=last.confidence, why=last.why)


def _told(estimate: Estimate, unit: str) -> str:
    """A value with its unit and interval, as far as there are any."""
    if estimate.value is None:
        return "no value"
    if estimate.lower is None or estimate.upper is None:
        return f"{estimate.value:+.4g} {unit}"
    return f"{estimate.value:+.4g} {unit} [{estimate.lower:+.4g}, {estimate.upper:+.4g}]"
