"""From the sums of a comparison to a Compare: every mean, interval, share and verdict is formed here, once."""

import math
from fractions import Fraction
from itertools import compress
from typing import NamedTuple

from crossent.core.options import coverage, nonnegative, seed_number
from crossent.scoring.compare import Compare, SegmentDifference, deciding_ends
from crossent.scoring.compare_sums import A_ONLY, B_ONLY, BETTER, BOTH, TIED, CompareSums, SegmentRows
from crossent.scoring.layout import Layout
from crossent.scoring.loss_summary import few_rows, with_infinities
from crossent.scoring.parts import LIKE_PROBABILITIES
from crossent.scoring.segment_summary import few_segments
from crossent.scoring.spread import Spread
from crossent.stats import TOO_FEW_EVENTS, Estimate, RatioSums, t_quantile, wilson_estimate
from crossent.stats.multiple import benjamini_hochberg
from crossent.stats.sequence import Look
from crossent.wording import counted

__all__ = ["compared", "difference"]

_POWER = 0.8


class _Intervals(NamedTuple):
    """How the intervals over all rows are formed: options, coverage, seed, whether a class has few rows."""

    layout: Layout
    confidence: float
    seed: int
    few: bool

    def of(self, spread: Spread, floor: float | None = None) -> Estimate:
        """The mean of losses, or of a difference."""
        found = spread.estimate(self.layout, confidence=self.confidence, seed=self.seed, floor=floor)
        return found.marked(TOO_FEW_EVENTS) if self.few else found


def compared(
    sums: CompareSums,
    layout: Layout,
    names: tuple[str, str],
    *,
    margin: float | None,
    confidence: float,
    seed: int,
    looks: tuple[Look, ...],
) -> Compare:
    """The Compare of at least one row.

    Args:
        sums: the sums, of this layout.
        layout: the options of the comparison.
        names: of A and B.
        margin: what B may be worse by, >= 0, in nats; None asks for the direction of the difference only.
        confidence: coverage of all intervals, in (0, 1).
        seed: of the bootstrap.
        looks: of an anytime-valid sequence, the last one at these rows; none if not asked for.
    Returns: the Compare.
    Raises: OptionError for another margin, confidence or seed.
    """
    if margin is not None:
        nonnegative("margin", margin)
    coverage(confidence)
    seed_number(seed)
    counts = sums.befell.counts.tolist()
    infinite = _infinite(sums)
    weights, squares = (s.fractions() for s in sums.befell.sums)
    effective_n = float(sum(weights) ** 2 / sum(squares))
    intervals = _Intervals(layout, confidence, seed, bool(few_rows(sums.truth)))
    finite, a, b = (intervals.of(spread) for spread in (sums.difference, sums.a, sums.b))
    found = _unbounded(finite, infinite, names)
    known = a.se is not None and b.se is not None
    better, tied = _shares(counts, weights, squares, confidence)
    return Compare(
        names=names,
        n=sum(counts),
        effective_n=effective_n,
        losses=_losses(sums, infinite, effective_n, intervals),
        difference=found,
        finite=finite,
        method=layout.method,
        clustered=layout.cluster,
        p_value=found.p_value(0.0),
        infinite=infinite,
        correlation=_correlation(sums) if known else None,
        better=better,
        tied=tied,
        unpaired_se=math.hypot(a.se or 0.0, b.se or 0.0) if known else None,
        detectable=_detectable(finite),
        margin=margin,
        verdict=_verdict(deciding_ends(finite, infinite, looks), margin),
        segments=tuple(s for rows in sums.segments for s in _segments(rows, names, confidence)),
        notes=(
            *_notes(infinite, names, layout, finite.mark, same=counts[TIED] == sum(counts)),
            *(f"the logits of {name} {LIKE_PROBABILITIES}" for name in compress(names, sums.distributions)),
        ),
        sequence=looks,
    )


def difference(sums: CompareSums, layout: Layout, names: tuple[str, str], *, confidence: float, seed: int) -> Estimate:
    """The mean of loss_B - loss_A alone, with what infinite losses of B make of it; those of A alone decide nothing."""
    finite = sums.difference.estimate(layout, confidence=confidence, seed=seed)
    infinite = _infinite(sums)
    return _unbounded(finite, infinite, names) if infinite[1] else finite


def _infinite(sums: CompareSums) -> tuple[int, int, int]:
    """Rows infinite in A only, in B only, in both."""
    a_only, b_only, both = (int(sums.befell.counts[fate]) for fate in (A_ONLY, B_ONLY, BOTH))
    return a_only, b_only, both


def _unbounded(finite: Estimate, infinite: tuple[int, int, int], names: tuple[str, str]) -> Estimate:
    """The difference over all rows: the finite one, or what rows with one infinite loss make of it.

    Args:
        finite: the difference over the rows in which both losses are finite.
        infinite: rows infinite in A only, in B only, in both.
        names: of A and B.
    """
    a_only, b_only, _ = infinite
    if not a_only and not b_only:
        return finite
    value = None if a_only and b_only else math.inf if b_only else -math.inf
    told = [
        f"{name} alone is infinite in {counted(rows)}"
        for name, rows in zip(names, (a_only, b_only), strict=True)
        if rows
    ]
    n = finite.n + a_only + b_only
    return Estimate(value, None, None, None, finite.confidence, n, finite.effective_n, why=" and ".join(told))


def _losses(
    sums: CompareSums, infinite: tuple[int, int, int], effective_n: float, intervals: _Intervals
) -> tuple[Estimate, Estimate]:
    """The log loss of A and of B, each over all its rows."""
    a_only, b_only, both = infinite
    n = int(sums.befell.counts.sum())
    pairs = ((sums.a + sums.a_alone, a_only + both), (sums.b + sums.b_alone, b_only + both))
    a, b = (with_infinities(intervals.of(spread, floor=0.0), zeros, n, effective_n) for spread, zeros in pairs)
    return a, b


def _shares(
    counts: list[int], weights: list[Fraction], squares: list[Fraction], confidence: float
) -> tuple[Estimate, float | None]:
    """The shares of rows in which B is better, and in which both are equal, among those that say something."""
    n, total = sum(counts[:BOTH]), sum(weights[:BOTH])
    if not n:
        return Estimate(None, None, None, None, confidence, 0, 0.0, why="no rows"), None
    better = wilson_estimate(
        float((weights[BETTER] + weights[A_ONLY]) / total),
        n=n,
        effective_n=float(total**2 / sum(squares[:BOTH])),
        confidence=confidence,
    )
    return better, float(weights[TIED] / total)


def _correlation(sums: CompareSums) -> float:
    """Of the deviations u = w (l - mean) of both losses: (V_A + V_B - V_d) / (2 sqrt(V_A V_B)), V = sum u^2."""
    v_a, v_b, v_d = (_deviation(spread.rows) for spread in (sums.a, sums.b, sums.difference))
    twice = v_a + v_b - v_d
    return math.copysign(min(1.0, math.sqrt(float(twice * twice / (4 * v_a * v_b)))), float(twice))


def _deviation(ratios: RatioSums) -> Fraction:
    """sum (a - R b)^2 over rows."""
    a, b, aa, ab, bb = (s.fractions()[0] for s in ratios.sums[:5])
    ratio = a / b
    return aa - 2 * ratio * ab + ratio * ratio * bb


def _detectable(difference: Estimate) -> float | None:
    """(t_{1 - alpha / 2} + t_{0.8}) SE: the true difference that a two-sided test finds with probability 0.8.

    Source: Bloom, Evaluation Review 19 (1995), 547-556.
    """
    if difference.se is None:
        return None
    df = difference.n - 1
    return (t_quantile(0.5 + difference.confidence / 2, df) + t_quantile(_POWER, df)) * difference.se


def _verdict(ends: tuple[float, float] | None, margin: float | None) -> str:
    """The answer to the margin's question first, then the direction."""
    if ends is None:
        return "undecided"
    lower, upper = ends
    if margin is not None and lower > margin:
        return "worse than the margin"
    if upper < 0:
        return "better"
    if margin is not None and upper < margin:
        return "not worse"
    return "worse" if lower > 0 else "undecided"


def _segments(rows: SegmentRows, names: tuple[str, str], confidence: float) -> list[SegmentDifference]:
    """The segments of one column, those first in which B loses most."""
    n, values = rows.finite.rows.tolist(), rows.finite.values
    estimates = zip(rows.finite.ratios.estimates(confidence=confidence), few_segments(rows.finite), strict=True)
    finite = [e.marked(TOO_FEW_EVENTS) if few else e for e, few in estimates]
    lost = rows.finite.ratios.sums[0].fractions()
    a_only, b_only = (part.ratios.units.tolist() for part in (rows.a_only, rows.b_only))
    differences = [_unbounded(e, (a, b, 0), names) for e, a, b in zip(finite, a_only, b_only, strict=True)]
    p_values = [None if e.mark else e.p_value(0.0) for e in differences]
    adjusted = benjamini_hochberg(p_values)
    return [
        SegmentDifference(rows.finite.column, values[k], n[k], differences[k], b_only[k], p_values[k], adjusted[k])
        for k in sorted(range(len(n)), key=lambda k: (-b_only[k], a_only[k], -lost[k], values[k]))
    ]


def _notes(
    infinite: tuple[int, int, int], names: tuple[str, str], layout: Layout, mark: str | None, *, same: bool
) -> tuple[str, ...]:
    a_only, b_only, both = infinite
    a, b = names
    found = []
    if b_only:
        found.append(f"{b} is infinite in {counted(b_only)} in which {a} is finite: worse, whatever the other rows say")
    if a_only:
        found.append(
            f"{a} is infinite in {counted(a_only)} in which {b} is finite: that counts for {b}; the other rows decide"
        )
    if mark and not b_only:
        found.append(f"no verdict: {mark}")
    if both:
        found.append(f"{counted(both)} in which both are infinite {'is' if both == 1 else 'are'} left out")
    if same:
        found.append(f"{a} and {b} have the same loss in every row")
    if layout.cluster:
        rest = "that of the share in which B is better, and those of segments," if layout.by else "that of the share"
        rest += "" if layout.by else " in which B is better"
        found.append(f"clusters widen the interval of the difference; {rest} {'are' if layout.by else 'is'} over rows")
    return tuple(found)
