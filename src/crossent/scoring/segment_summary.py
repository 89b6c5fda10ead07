"""From sums by value to segments with intervals and p-values."""

from crossent.scoring.loss_summary import group_loss
from crossent.scoring.segments import SegmentScore, SegmentSums
from crossent.stats.multiple import benjamini_hochberg

__all__ = ["segment_scores"]


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
    finite = sums.ratios.estimates(confidence=confidence, floor=0.0)
    p_values = [
        None if overall is None or infinite else estimate.p_value(overall)
        for estimate, infinite in zip(finite, sums.others.tolist(), strict=True)
    ]
    adjusted = benjamini_hochberg(p_values)
    order = sorted(range(len(lost)), key=lambda k: (-int(sums.others[k]), -lost[k], sums.values[k]))
    return [
        SegmentScore(
            column=sums.column,
            value=sums.values[k],
            n=int(sums.rows[k]),
            log_loss=group_loss(finite[k], int(sums.others[k]), int(sums.rows[k]), finite[k].effective_n),
            infinite=int(sums.others[k]),
            loss_share=float(lost[k] / all_lost) if all_lost else None,
            p_value=p_values[k],
            p_adjusted=adjusted[k],
        )
        for k in order
    ]
