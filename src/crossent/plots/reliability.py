"""The reliability diagram: what was promised against what happened, and how many rows say so."""

from crossent.plots.style import ACCENT, FONT_SIZE, INK, MUTED, RULE, SOFT, Axes, bare, legend, own_axes, short_count
from crossent.scoring import Score
from crossent.stats.decomposition import Decomposition

__all__ = ["reliability"]

_FOOT = -0.26  # the counts stand below the zero line
_TALLEST = 0.15


def reliability(score: Score, *, ax: Axes | None = None) -> Axes:
    """The calibration curve (CORP: isotonic regression, so no bins to choose) inside its consistency band.

    The band is where the curve of that many rows lies if promises are kept; a curve outside it is evidence that they
    are not. Dots with Wilson intervals are the shares in bins of confidence; bars below count the rows of these.

    Args:
        score: a Score.
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: MissingExtraError without matplotlib.
    Source: Dimitriadis, Gneiting and Jordan, PNAS 118 (2021), e2016191118.
    """
    ax = own_axes(ax)
    two_classes = len(score.classes) == 2
    promised = "probability of the positive class" if two_classes else "confidence in the predicted class"
    bare(ax, x=promised, y="share that came true")
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    curve_of = score.decomposition if two_classes else score.top
    if isinstance(curve_of, Decomposition):
        _draw_curve(curve_of, ax)
    _draw_bins(score, ax)
    _draw_counts(score, ax)
    ax.set_xlim(0, 1)
    ax.set_ylim(_FOOT, 1.03)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    if _is_free_below(score, curve_of):
        legend(ax, loc="lower right", bbox_to_anchor=(1.02, -_FOOT / (1.03 - _FOOT)), labelspacing=0.3)
    else:
        legend(ax, loc="upper left", bbox_to_anchor=(-0.01, 1.02), labelspacing=0.3)
    return ax


def _is_free_below(score: Score, curve_of: object) -> bool:
    """Whether no bin and no point of the curve lies where the legend would stand, at the right below the diagonal."""
    places = [(b.confidence, b.observed.value or 0.0) for b in score.reliability]
    if isinstance(curve_of, Decomposition):
        places += [(p.promised, p.recalibrated) for p in curve_of.curve]
    return not any(x > 0.42 and y < 0.36 for x, y in places)


def _draw_curve(decomposition: Decomposition, ax: Axes) -> None:
    points = decomposition.curve
    x = [p.promised for p in points]
    band = f"{100 * decomposition.confidence:g} % of calibrated forecasts"
    ax.fill_between(
        x, [p.lower for p in points], [p.upper for p in points], color=SOFT, alpha=0.55, linewidth=0, label=band
    )
    dot = "." if len(points) == 1 else None
    ax.plot(x, [p.recalibrated for p in points], color=ACCENT, linewidth=1.8, marker=dot, label="isotonic regression")


def _draw_bins(score: Score, ax: Axes) -> None:
    bins = score.reliability
    for b in bins:
        ax.plot([b.confidence] * 2, [b.observed.lower, b.observed.upper], color=INK, linewidth=1, alpha=0.45)
    x, y = [b.confidence for b in bins], [b.observed.value for b in bins]
    ax.plot(x, y, color=INK, linestyle="none", marker="o", markersize=3.5, label="bins")


def _draw_counts(score: Score, ax: Axes) -> None:
    bins = score.reliability
    most = max(b.n for b in bins)
    few = len(bins) <= 12
    for b in bins:
        height = max(_TALLEST * b.n / most, 0.004)
        gap = 0.06 * (b.upper - b.lower)
        ax.bar(b.lower + gap, height, b.upper - b.lower - 2 * gap, bottom=_FOOT, align="edge", color=SOFT)
        if few and b.upper - b.lower > 0.07:
            middle = (b.lower + b.upper) / 2
            ax.text(
                middle,
                _FOOT + height + 0.012,
                short_count(b.n),
                ha="center",
                color=MUTED,
                fontsize=FONT_SIZE - 2.5,
            )
    ax.axhline(0, color=RULE, linewidth=0.8)
    ax.text(-0.02, _FOOT + 0.05, "rows", color=MUTED, fontsize=FONT_SIZE - 1, ha="right", va="center")
