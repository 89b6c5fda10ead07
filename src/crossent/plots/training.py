"""The training curve: the objective per iteration."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crossent.errors import UnsupportedError
from crossent.plots.style import ACCENT, FONT_SIZE, INK, Axes, bare, own_axes, plain_log_ticks

__all__ = ["trace_points", "training"]

_MOST_POINTS = 400


def training(trace: Sequence[Any], *, ax: Axes | None = None) -> Axes:
    """The loss that the solver minimised, per iteration.

    Args:
        trace: losses, or mappings with "loss" and, if not counted from 0, "iteration".
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: UnsupportedError for another object; MissingExtraError without matplotlib.
    """
    if isinstance(trace, str) or not isinstance(trace, Iterable):
        raise UnsupportedError(
            f"plots.training draws a trace; it was given {type(trace).__name__}. Pass losses, or mappings with "
            '"loss", one an iteration.'
        )
    ax = own_axes(ax)
    bare(ax, x="iteration", y="objective [nat]")
    points = trace_points(trace)
    x, y = [p[0] for p in points], [p[1] for p in points]
    ax.plot(x, y, color=ACCENT, linewidth=1.6)
    ax.margins(x=0.02, y=0.08)
    if y and min(y) > 0 and max(y) > 8 * min(y):
        ax.set_yscale("log")
        plain_log_ticks(ax.yaxis)
    if points:
        ax.plot(x[-1], y[-1], color=ACCENT, marker="o", markersize=4.5)
        ax.annotate(
            f"{y[-1]:.4g}",
            (x[-1], y[-1]),
            xytext=(0, 6),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=INK,
            fontsize=FONT_SIZE,
        )
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def trace_points(trace: Sequence[Any]) -> list[tuple[float, float]]:
    """(iteration, loss), finite ones only, thinned to at most 400 with the first and the last kept.

    >>> trace_points([0.7, {"iteration": 5, "loss": 0.6}])
    [(0.0, 0.7), (5.0, 0.6)]
    """
    points = []
    for i, entry in enumerate(trace):
        place, loss = (entry.get("iteration", i), entry["loss"]) if isinstance(entry, Mapping) else (i, entry)
        if abs(float(loss)) < float("inf"):
            points.append((float(place), float(loss)))
    step = max(1, -(-len(points) // _MOST_POINTS))
    thinned = points[::step]
    return [*thinned, points[-1]] if points and thinned[-1] != points[-1] else thinned
