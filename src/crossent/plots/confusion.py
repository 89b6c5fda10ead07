"""Who is taken for whom, in bits: how surprised the model would be at each class, by the true class."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from crossent.plots.style import ACCENT, FONT_SIZE, INK, MUTED, PAPER, PLAIN, Axes, own_axes, written
from crossent.plots.wanted import check_drawn
from crossent.scoring import Score
from crossent.wording import shortened

__all__ = ["confusion"]

_PALEST = 10.0  # bits: a probability of 0.001 and less is left white
_REACH = 1.5  # times the bits of the most probable wrong class, where that is more: it is never left white
_SHADES = 20
_MOST_NUMBERS = 12  # classes up to which cells hold their numbers
_MOST_LABELS = 30


def confusion(score: Score, *, ax: Axes | None = None) -> Axes:
    """Heat map of the mean of -log2 p_j over the rows of each true class (a line a true class, a column a class j).

    0 bits is white-hot certainty and drawn darkest; 10 bits and more (p = 0.001) are left white, and a class without
    rows is crossed out. A dark cell off the diagonal is a class that the model takes the true one for. The shades are
    the same in every picture, so that two can be compared; only where all cells off the diagonal would be pale, as with
    many classes, white begins later, at 1.5 times their least bits. The title says where.

    Args:
        score: a Score.
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: UnsupportedError for another object; MissingExtraError without matplotlib.
    """
    check_drawn(score, "confusion", Score)
    ax = own_axes(ax, height=4.2)
    ax.tick_params(colors=MUTED, labelsize=FONT_SIZE - 1, length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    if score.confusion is None:
        ax.set_xticks([])
        ax.set_yticks([])
        text = f"{len(score.classes):,} classes are too many"
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", color=MUTED, fontsize=FONT_SIZE)
        return ax
    bits, k = score.confusion.bits, len(score.classes)
    palest = _palest(bits)
    _draw_shades(bits, palest, ax)
    _draw_rectangles(
        [(j, j, j + 1) for j in range(k)], ax, facecolor="none", edgecolor=INK, linewidth=1.0 if k <= 30 else 0.5
    )
    for i, row in enumerate(bits):
        if row is None:
            ax.plot([-0.5, k - 0.5], [i, i], color=MUTED, linewidth=0.8)
        elif k <= _MOST_NUMBERS:
            _write_numbers(i, row, palest, ax)
    ax.set_xlim(-0.5, k - 0.5)
    ax.set_ylim(k - 0.5, -0.5)
    _set_labels(score.classes, ax)
    title = f"mean of \N{MINUS SIGN}log\N{SUBSCRIPT TWO} p, in bits (white from {palest:g} on)"
    ax.set_title(title, fontsize=FONT_SIZE, color=INK, loc="left")
    return ax


def _palest(bits: Sequence[Sequence[float] | None]) -> float:
    """The bits from which on cells are white."""
    wrong = [x for i, row in enumerate(bits) for j, x in enumerate(row or ()) if i != j and math.isfinite(x)]
    return max(_PALEST, float(math.ceil(_REACH * min(wrong, default=0.0))))


def _shade(bits: float, palest: float = _PALEST) -> int:
    """0 (white) for 10 bits, or what is palest, and more; 20 (darkest) for 0.

    >>> [_shade(x) for x in (0.0, 5.0, 9.9, 12.0, math.inf)]
    [20, 10, 0, 0, 0]
    """
    return round(_SHADES * (1 - min(bits, palest) / palest))


def _draw_shades(bits: Sequence[Sequence[float] | None], palest: float, ax: Axes) -> None:
    """One path a shade, neighbours in a line joined: 60 classes stay small on a page, whose colours they follow."""
    runs: dict[int, list[tuple[int, int, int]]] = {}
    for i, row in enumerate(bits):
        start = 0
        for shade, cells in groupby(_shade(x, palest) for x in row or ()):
            end = start + len(list(cells))
            runs.setdefault(shade, []).append((i, start, end))
            start = end
    for shade in sorted(runs.keys() - {0}):
        _draw_rectangles(runs[shade], ax, facecolor=ACCENT, alpha=shade / _SHADES, linewidth=0)


def _draw_rectangles(runs: Iterable[tuple[int, int, int]], ax: Axes, **look: object) -> None:
    """Cells of a line from one column to before another, as one patch."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners = [
        np.array([(start, i), (end, i), (end, i + 1), (start, i + 1), (start, i)]) - 0.5 for i, start, end in runs
    ]
    codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY] * len(corners)
    ax.add_patch(PathPatch(Path(np.concatenate(corners), codes), snap=False, **look))


def _write_numbers(i: int, row: Sequence[float], palest: float, ax: Axes) -> None:
    size = FONT_SIZE - 1.5 if len(row) <= 8 else FONT_SIZE - 3
    for j, x in enumerate(row):
        text = written(x) if math.isinf(x) else f"{x:.2f}" if x < 10 else f"{x:.0f}"
        colour = PAPER if _shade(x, palest) > 0.84 * _SHADES else INK
        ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=size)


def _set_labels(classes: Sequence[str], ax: Axes) -> None:
    """Names of the classes, or of some of them at equal steps."""
    step = -(-len(classes) // _MOST_LABELS)
    places = list(range(0, len(classes), step))
    names = [shortened(classes[j], width=14) for j in places]
    upright = max(map(len, names)) * len(names) > 45
    size = FONT_SIZE - 1 if len(names) <= 12 else FONT_SIZE - 3
    ax.set_yticks(places, names, fontsize=size, color=INK, **PLAIN)
    ax.set_xticks(places, names, fontsize=size, color=INK, rotation=90 if upright else 0, **PLAIN)
    ax.set_xlabel("class", color=INK, fontsize=FONT_SIZE)
    ax.set_ylabel("true class", color=INK, fontsize=FONT_SIZE)
