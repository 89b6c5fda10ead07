"""The reliability diagram: what was promised against what happened, and how many rows say so."""

from typing import NamedTuple

from crossent.plots.style import (
    ACCENT,
    FONT_SIZE,
    INK,
    MUTED,
    PLAIN,
    RULE,
    SOFT,
    Axes,
    bare,
    legend,
    own_axes,
    short_count,
)
from crossent.plots.wanted import check_drawn
from crossent.scoring import Score
from crossent.stats.decomposition import Decomposition
from crossent.wording import clean

__all__ = ["reliability"]

_FOOT = 0.26  # the counts stand below the zero line; in heights of the diagram, as the next two
_TALLEST = 0.15
_HEAD = 0.03
_RARE = 0.2  # where all probabilities are that near to 0 or 1, only that end is drawn


class _View(NamedTuple):
    """What of the unit square is drawn."""

    left: float = 0.0
    right: float = 1.0
    bottom: float = 0.0
    top: float = 1.0

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom


def reliability(score: Score, *, ax: Axes | None = None) -> Axes:
    """The calibration curve (CORP: isotonic regression, so no bins to choose) inside its consistency band.

    The band is where the curve of that many rows lies if promises are kept; a curve outside it is evidence that they
    are not. Dots with Wilson intervals are the shares in bins of confidence; bars below count the rows of these. Where
    all probabilities are below 0.2, or above 0.8, the axes end where they do.

    Args:
        score: a Score.
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: UnsupportedError for another object; MissingExtraError without matplotlib.
    Source: Dimitriadis, Gneiting and Jordan, PNAS 118 (2021), e2016191118.
    """
    check_drawn(score, "reliability", Score)
    ax = own_axes(ax)
    two_classes = len(score.classes) == 2
    bare(ax, x="confidence in the predicted class", y="share that came true")
    if two_classes:
        ax.set_xlabel(f"probability of class {clean(score.classes[1], width=24)}", **PLAIN)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    curve_of = score.decomposition if two_classes else score.top
    curve = curve_of if isinstance(curve_of, Decomposition) else None
    view = _view(score, curve)
    if curve is not None:
        _draw_curve(curve, ax)
    _draw_bins(score, ax)
    _draw_counts(score, view, ax)
    _set_axes(view, ax)
    if _is_free_below(score, curve, view):
        legend(ax, loc="lower right", bbox_to_anchor=(1.02, _FOOT / (1 + _HEAD + _FOOT)), labelspacing=0.3)
    else:
        legend(ax, loc="upper left", bbox_to_anchor=(-0.01, 1.02), labelspacing=0.3)
    return ax


def _view(score: Score, curve: Decomposition | None) -> _View:
    """The unit square, or the end of it in which all probabilities lie and what came true of them."""
    points = () if curve is None else curve.curve
    promised = [b.confidence for b in score.reliability] + [p.promised for p in points]
    true = [x for b in score.reliability for x in (b.observed.lower, b.observed.value, b.observed.upper)]
    true += [x for p in points for x in (p.lower, p.recalibrated, p.upper)]
    reached = [x for x in true if x is not None]
    if 0 < max(promised) < _RARE:
        return _View(right=1.05 * max(promised), top=min(1.0, 1.05 * max(reached)) or 1.0)
    if 1 - _RARE < min(promised) < 1:
        bottom = max(0.0, 1 - 1.05 * (1 - min(reached)))
        return _View(left=1 - 1.05 * (1 - min(promised)), bottom=bottom if bottom < 1 else 0.0)
    return _View()


def _set_axes(view: _View, ax: Axes) -> None:
    ax.set_xlim(view.left, view.right)
    ax.set_ylim(view.bottom - _FOOT * view.height, view.top + _HEAD * view.height)
    quarters, names = [0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"]
    if view.width == 1:
        ax.set_xticks(quarters, names)
    else:
        ax.locator_params(axis="x", nbins=4)
    if view.height == 1:
        ax.set_yticks(quarters, names)
    else:
        ax.locator_params(axis="y", nbins=5)
        places = ax.yaxis.get_major_locator().tick_values(view.bottom, view.top)
        ax.set_yticks([y for y in places if view.bottom <= y <= view.top])


def _is_free_below(score: Score, curve: Decomposition | None, view: _View) -> bool:
    """Whether no bin, curve or band reaches to where the legend would stand, at the right below the diagonal."""
    reached = [(b.confidence, b.observed.value, b.observed.lower) for b in score.reliability]
    reached += [] if curve is None else [(p.promised, p.recalibrated, p.lower) for p in curve.curve]
    places = [(x, min(y or 0.0 for y in below)) for x, *below in reached]
    return not any(x - view.left > 0.42 * view.width and y - view.bottom < 0.36 * view.height for x, y in places)


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


def _draw_counts(score: Score, view: _View, ax: Axes) -> None:
    bins = score.reliability
    most = max(b.n for b in bins)
    few = len(bins) <= 12
    foot = view.bottom - _FOOT * view.height
    for b in bins:
        low, high = max(b.lower, view.left), min(b.upper, view.right)
        height = max(_TALLEST * b.n / most, 0.004) * view.height
        gap = 0.06 * (high - low)
        ax.bar(low + gap, height, high - low - 2 * gap, bottom=foot, align="edge", color=SOFT)
        if few and high - low > 0.07 * view.width:
            ax.text(
                (low + high) / 2,
                foot + height + 0.012 * view.height,
                short_count(b.n),
                ha="center",
                color=MUTED,
                fontsize=FONT_SIZE - 2.5,
            )
    ax.axhline(view.bottom, color=RULE, linewidth=0.8)
    ax.text(
        view.left - 0.02 * view.width,
        foot + 0.05 * view.height,
        "rows",
        color=MUTED,
        fontsize=FONT_SIZE - 1,
        ha="right",
        va="center",
    )
