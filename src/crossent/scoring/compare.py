"""Compare: two sets of predictions of the same rows, by the mean difference of their losses."""

from dataclasses import dataclass

from crossent.stats import Estimate

__all__ = ["Compare", "SegmentDifference"]

SCHEMA = "crossent.compare/1"


@dataclass(frozen=True)
class SegmentDifference:
    """The difference in the rows with one value of one column.

    Attributes:
        column: the column.
        value: its value, as text.
        n: rows.
        difference: mean of loss_B - loss_A in nats, with interval.
        worse: rows in which B is infinite and A finite.
        p_value: of no difference; None where there is no interval.
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
        p_value: of no difference.
        infinite: rows infinite in A only, in B only, in both (these are left out).
        correlation: of the two losses over the rows.
        better: share of the rows in which B's loss is smaller, with Wilson's interval.
        tied: share of the rows in which both are equal.
        unpaired_se: standard error that two independent samples of this size would have.
        detectable: difference that this number of rows finds with probability 0.8.
        margin: what B may be worse by, or None.
        verdict: "better", "worse", "not worse" (upper < margin), "worse than the margin" (lower > margin), "undecided".
        sequence: lower and upper end at every look of an anytime-valid sequence; empty if not asked for.
        segments: one entry a value of each column asked for.
        notes: remarks.
    """

    names: tuple[str, str]
    n: int
    effective_n: float
    losses: tuple[Estimate, Estimate]
    difference: Estimate
    finite: Estimate
    method: str
    p_value: float | None
    infinite: tuple[int, int, int]
    correlation: float | None
    better: Estimate
    tied: float
    unpaired_se: float | None
    detectable: float | None
    margin: float | None
    verdict: str
    segments: tuple[SegmentDifference, ...]
    notes: tuple[str, ...]
