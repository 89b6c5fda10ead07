"""Learning curves: how fast each solver comes down, what it has proven, and what rows it has not seen say."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from crossent.errors import OptionError
from crossent.learn.curves import SolverComparison, SolverCurve
from crossent.learn.types import Floats
from crossent.plots.style import FONT_SIZE, Axes, bare, legend, own_axes, plain_log_ticks, series
from crossent.plots.wanted import check_drawn
from crossent.wording import did_you_mean, listed

__all__ = ["learning_curves", "learning_page"]

Against = Literal["passes", "seconds"]
What = Literal["loss", "gap", "heldout"]
_AGAINST = {"passes": "passes over the rows", "seconds": "seconds"}
_WHAT = {"loss": "", "gap": "proven bound on F - F* [nat]", "heldout": "held-out log loss [nat]"}
_WIDE = 30.0  # what spans more than this ratio from left to right gets a logarithmic axis
_PLACES = ((6, 0, "left", "center"), (0, 6, "center", "bottom"), (0, -6, "center", "top"), (-6, -6, "right", "top"))


def learning_curves(
    comparison: SolverComparison, *, against: Against = "passes", what: What = "loss", ax: Axes | None = None
) -> Axes:
    """One line a solver, named at its end, or in a legend beside the axes if the names would meet lines or each other.

    The loss is drawn as F minus the best that is known of its minimum (`comparison.best`), on a logarithmic axis: a
    solver that converges linearly gives a straight line.

    Args:
        comparison: a SolverComparison.
        against: "passes" over the rows, or "seconds".
        what: "loss", "gap" (the certificate) or "heldout".
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: OptionError; UnsupportedError for another object; MissingExtraError without matplotlib.
    """
    check_drawn(comparison, "learning_curves", SolverComparison)
    _check("against", against, _AGAINST)
    _check("what", what, _WHAT)
    ax = own_axes(ax)
    lines = _draw(ax, comparison, against, what)
    if lines and not _named(ax, lines):
        legend(ax, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def learning_page(comparison: SolverComparison) -> Any:
    """Loss, certificate and held-out loss per pass and per second, on one page; what is not known is left out.

    Args:
        comparison: a SolverComparison.
    Returns: a matplotlib figure.
    Raises: UnsupportedError for another object; MissingExtraError without matplotlib.
    """
    check_drawn(comparison, "learning_page", SolverComparison)
    known = [what for what in _WHAT if any(np.isfinite(getattr(c, what)).any() for c in comparison.curves)]
    figure = own_axes(None).figure
    figure.clear()
    figure.set_size_inches(9.6, 3.1 * max(1, len(known)) + 0.4)
    grid = figure.subplots(max(1, len(known)), 2, squeeze=False)
    for row, what in zip(grid, known or ["loss"], strict=True):
        for ax, against in zip(row, _AGAINST, strict=True):
            _draw(ax, comparison, against, what)
    legend(figure, *figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=6)
    return figure


def _draw(ax: Axes, comparison: SolverComparison, against: str, what: str) -> list[Any]:
    """The lines, without their names; those that have points."""
    above = "the proven lower bound" if comparison.is_proven else "the lowest F found"
    bare(ax, x=_AGAINST[against], y=_WHAT[what] or f"F above {above} [nat]")
    lines = []
    for k, curve in enumerate(comparison.curves):
        x, y = _line(comparison, curve, against, what)
        (line,) = ax.plot(x, y, linewidth=1.5, label=curve.solver, **series(k))
        ax.plot(x[-1:], y[-1:], marker="o", markersize=4, color=line.get_color())
        lines.append(line)
    drawn = [line for line in lines if len(line.get_xdata())]
    if drawn:
        _scale(ax, drawn, is_distance=what != "heldout")
    else:
        ax.text(0.5, 0.5, "nothing known", transform=ax.transAxes, ha="center", fontsize=FONT_SIZE)
    return drawn


def _check(name: str, found: str, allowed: Sequence[str] | dict[str, str]) -> None:
    if found not in allowed:
        raise OptionError(f"{name} is {found!r}; it must be one of {listed(allowed)}.{did_you_mean(found, allowed)}")


def _line(comparison: SolverComparison, curve: SolverCurve, against: str, what: str) -> tuple[Floats, Floats]:
    """The points of a line: finite ones, and of distances those that a logarithmic axis can show."""
    x: Floats = getattr(curve, against)
    y: Floats = getattr(curve, what)
    if what == "loss":
        y = y - comparison.best
    keep = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (what == "heldout"))
    return x[keep], y[keep]


def _scale(ax: Axes, lines: Sequence[Any], *, is_distance: bool) -> None:
    """Logarithmic axes where the numbers span much."""
    x, y = (np.concatenate([getattr(line, get)() for line in lines]) for get in ("get_xdata", "get_ydata"))
    x, y = x[x > 0], y[y > 0]
    if x.size and x.max() > _WIDE * x.min():
        ax.set_xscale("log", nonpositive="mask")
        plain_log_ticks(ax.xaxis)
    if y.size and (is_distance or y.max() > 8 * y.min()):
        ax.set_yscale("log", nonpositive="mask")
        plain_log_ticks(ax.yaxis)
    ax.margins(x=0.06, y=0.08)


class _Label(NamedTuple):
    """Where the name of a line can stand, in points from its end, and the box that it then fills, in pixels."""

    x: float
    y: float
    ha: str
    va: str
    box: Any


def _named(ax: Axes, lines: Sequence[Any]) -> bool:
    """Whether all lines have got their names at their ends; if one cannot, none has."""
    taken: list[Any] = []
    chosen = []
    for line in lines:
        free = next((label for label in _places(ax, line) if _is_free(label, ax, lines, taken)), None)
        if free is None:
            return False
        taken.append(free.box)
        chosen.append((line, free))
    for line, label in chosen:
        ax.annotate(
            line.get_label(), (line.get_xdata()[-1], line.get_ydata()[-1]), xytext=(label.x, label.y),
            textcoords="offset points", ha=label.ha, va=label.va, color=line.get_color(), fontsize=FONT_SIZE,
        )  # fmt: skip
    return True


def _places(ax: Axes, line: Any) -> list[_Label]:
    """The places to try, with the box that the name would need."""
    from matplotlib.transforms import Bbox

    point = ax.figure.dpi / 72
    x, y = ax.transData.transform((line.get_xdata()[-1], line.get_ydata()[-1]))
    width, height = 0.62 * FONT_SIZE * len(line.get_label()) * point, 1.2 * FONT_SIZE * point
    shares = {"left": 0.0, "center": -0.5, "right": -1.0, "bottom": 0.0, "top": -1.0}
    found = []
    for dx, dy, ha, va in _PLACES:
        left, low = x + dx * point + shares[ha] * width, y + dy * point + shares[va] * height
        found.append(_Label(dx, dy, ha, va, Bbox.from_bounds(left, low, width, height)))
    return found


def _is_free(label: _Label, ax: Axes, lines: Sequence[Any], taken: Sequence[Any]) -> bool:
    """Whether a name stands on no line and no other name, and is on the axes or just right of them."""
    box = label.box
    if not (np.isfinite(box.get_points()).all() and ax.bbox.y0 <= box.y0 and box.y1 <= ax.bbox.y1):
        return False
    if any(box.overlaps(other) for other in taken):
        return False
    return not any(
        line.get_transform().transform_path(line.get_path()).intersects_bbox(box, filled=False) for line in lines
    )
