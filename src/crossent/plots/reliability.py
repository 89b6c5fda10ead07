"""The reliability diagram: what was promised against what happened, and how many rows say so."""

from crossent.plots.style import ACCENT, FONT_SIZE, MUTED, RULE, SOFT, Axes, bare, own_axes
from crossent.scoring import Score

__all__ = ["reliability"]

_FOOT = -0.26  # the counts stand below the zero line
_TALLEST = 0.15


def reliability(score: Score, *, ax: Axes | None = None) -> Axes:
    """Observed share against mean confidence per bin, with Wilson intervals; bars below count the rows.

    Args:
        score: a Score.
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: MissingExtraError without matplotlib.
    """
    ax = own_axes(ax)
    bins = score.reliability
    two_classes = len(score.classes) == 2
    promised = "probability of the positive class" if two_classes else "confidence in the predicted class"
    bare(ax, x=promised, y="share that came true")
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    x = [b.confidence for b in bins]
    y = [b.observed.value for b in bins]
    for b in bins:
        ax.plot([b.confidence] * 2, [b.observed.lower, b.observed.upper], color=ACCENT, linewidth=1.3, alpha=0.55)
    ax.plot(x, y, color=ACCENT, linewidth=1.3)
    ax.plot(x, y, color=ACCENT, linestyle="none", marker="o", markersize=4.5)
    _draw_counts(score, ax)
    ax.set_xlim(0, 1)
    ax.set_ylim(_FOOT, 1.03)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    return ax


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


def short_count(n: int) -> str:
    """A count in at most four characters or so.

    >>> [short_count(n) for n in (7, 1234, 56_000, 2_500_000)]
    ['7', '1.2k', '56k', '2.5M']
    """
    for size, suffix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n / size:.1f}".rstrip("0").rstrip(".") + suffix if n < 10 * size else f"{n // size}{suffix}"
    return str(n)
