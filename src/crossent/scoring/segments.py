"""Segments: the log loss of the rows that share a value of a column."""

from dataclasses import dataclass

from crossent.stats import Estimate

__all__ = ["SegmentScore"]


@dataclass(frozen=True)
class SegmentScore:
    """The rows with one value of one column.

    Attributes:
        column: the column.
        value: its value, as text.
        n: rows.
        log_loss: mean loss in nats with interval.
        infinite: rows with p = 0 at the target.
        p_value: of the hypothesis that this segment's loss equals that of all rows (taken as fixed), from the same T as
            the interval; None where there is no interval.
        p_adjusted: the same after Benjamini and Hochberg over all segments of the column.
    """

    column: str
    value: str
    n: int
    log_loss: Estimate
    infinite: int
    p_value: float | None
    p_adjusted: float | None
