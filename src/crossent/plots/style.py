"""One look for all pictures: few colours, most with a role so that a page can restyle it, and thin rules."""

import math
from typing import Any, TypeAlias

from crossent.errors import MissingExtraError

__all__ = [
    "ACCENT",
    "INK",
    "MUTED",
    "PAPER",
    "PLAIN",
    "RULE",
    "SOFT",
    "WARM",
    "Axes",
    "bare",
    "legend",
    "own_axes",
    "plain_log_ticks",
    "series",
    "short_count",
    "written",
]

Axes: TypeAlias = Any  # matplotlib.axes.Axes; matplotlib is imported only when a figure is made here

INK = "#1d2329"
MUTED = "#66707b"
RULE = "#dfe3e8"
ACCENT = "#1f6f8b"
SOFT = "#b7ced9"
WARM = "#b5502b"
PAPER = "#fdfdfc"  # text on dark areas
FONT_SIZE = 9.5
# Keywords of a text that holds labels from data: no formula or TeX is read from it.
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
# Lines that are told apart: colours that differ in lightness too, dashed when they come around again.
_SERIES = (ACCENT, WARM, "#6a51a3", "#d09a1f", "#2f7d46", "#b83280", "#8b95a0", "#5aa9e6", INK, "#8c5a3c")
_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)))


def own_axes(ax: Axes | None, *, height: float = 3.3) -> Axes:
    """The axes given, or those of a new figure so many inches high.

    Raises: MissingExtraError without matplotlib.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError.for_extra("report", "matplotlib", "Drawing a picture") from error
    return Figure(figsize=(4.6, height), layout="constrained").add_subplot()


def bare(ax: Axes, *, x: str, y: str) -> None:
    """Axis titles, a horizontal rule per tick, and no box."""
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(MUTED)
    ax.spines["bottom"].set_linewidth(0.8)
    ax.tick_params(colors=MUTED, labelsize=FONT_SIZE, length=3, width=0.8)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=True, axis="y", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel(x, color=INK, fontsize=FONT_SIZE)
    ax.set_ylabel(y, color=INK, fontsize=FONT_SIZE)


def series(k: int) -> dict[str, Any]:
    """Colour and dashes of the k-th of several lines, as keywords of `plot`."""
    return {"color": _SERIES[k % len(_SERIES)], "linestyle": _DASHES[k // len(_SERIES) % len(_DASHES)]}


def legend(owner: Any, *handles: Any, **place: Any) -> None:
    """A legend without a box, of axes or of a figure."""
    owner.legend(*handles, frameon=False, fontsize=FONT_SIZE, labelcolor=INK, handlelength=1.6, borderpad=0.2, **place)


def plain_log_ticks(axis: Any) -> None:
    """Powers of ten written as plain numbers; over less than two decades 2 and 5 times these as well."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    close = high < 100 * low
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if close else (1.0,), numticks=9 if close else 7))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def written(x: float | None) -> str:
    """A number on a picture.

    >>> [written(x) for x in (0.123456, 1e-5, -math.inf, None)]
    ['0.1235', '1e-05', '-∞', '–']
    """
    if x is None or math.isnan(x):
        return "\N{EN DASH}"
    return f"{x:.4g}" if math.isfinite(x) else f"{'-' if x < 0 else ''}\N{INFINITY}"


def short_count(n: int) -> str:
    """A count in at most four characters or so.

    >>> [short_count(n) for n in (7, 1234, 56_000, 2_500_000)]
    ['7', '1.2k', '56k', '2.5M']
    """
    for size, suffix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n / size:.1f}".rstrip("0").rstrip(".") + suffix if n < 10 * size else f"{n // size}{suffix}"
    return str(n)
