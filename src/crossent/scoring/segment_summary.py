"""From sums by value to segments with intervals and p-values."""

from crossent.scoring.loss_summary import few_rows, with_infinities
from crossent.scoring.segments import SegmentScore, SegmentSums
from crossent.stats import TOO_FEW_EVENTS
from crossent.stats.multiple import benjamini_hochberg

__all__ = ["few_segments", "segment_scores"]


def few_segments(sums: SegmentSums) -> list[bool]:
    """Which segments have too few rows, of all or of a class, for their interval to be relied on.

    Their p-values are left out: a segment without one of the rare bad rows has a small loss and a short interval, so
    that chance alone would give it a tiny p-value.
    """
    few = few_rows(sums.rows[:, None]) | few_rows(sums.truth)
    flags: list[bool] = few.tolist()
    return flags


def segment_scores(
    segments: tuple[SegmentSums, ...], *, overall: float | None, confidence: float
) -> tuple[SegmentScore, ...]:
    """The segments of every column, in the order of the columns; in each those with most of the loss come first,
    those with an infinite loss before them.

    Args:
        segments: sums of losses.
        overall: finite log loss of all rows, which the p-values are against; None without one.
        confidence: coverage of the intervals.
    """
    return tuple(score for sums in segments for score in _column_scores(sums, overall, confidence))


def _column_scores(sums: SegmentSums, overall: float | None, confidence: float) -> list[SegmentScore]:
    lost = sums.ratios.sums[0].fractions()
    all_lost = 0 if sums.others.any() else sum(lost)
    finite = [
        estimate.marked(TOO_FEW_EVENTS) if few else estimate
        for estimate, few in zip(
            sums.ratios.estimates(confidence=confidence, floor=0.0), few_segments(sums), strict=True
        )
    ]
    p_values = [
        None if overall is None or infinite or estimate.mark else estimate.p_value(overall)
        for estimate, infinite in zip(finite, sums.others.tolist(), strict=True)
    ]
    adjusted = benjamini_hochberg(p_values)
    order = sorted(range(len(lost)), key=lambda k: (-int(sums.others[k]), -lost[k], sums.values[k]))
    return [
        SegmentScore(
            column=sums.column,
            value=sums.values[k],
            n=int(sums.rows[k]),
            log_loss=with_infinities(finite[k], int(sums.others[k]), int(sums.rows[k]), finite[k].effective_n),
            infinite=int(sums.others[k]),
            loss_share=float(lost[k] / all_lost) if all_lost else None,
            p_value=p_values[k],
            p_adjusted=adjusted[k],
        )
        for k in order
    ]
