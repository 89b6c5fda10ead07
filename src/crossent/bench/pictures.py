"""The pictures of growth: time and extra memory against rows and classes, beside a peer and the limit."""

from typing import Any

from crossent.bench.results import Measurement, Results
from crossent.bench.roster import CROSSENT, LIMIT
from crossent.plots.style import ACCENT, FONT_SIZE, INK, MUTED, WARM, bare, own_axes, plain_log_ticks

__all__ = ["GROWTHS", "draw_growth"]

GROWTHS = ("rows", "classes")
_SMALLEST_MB = 0.01  # what is less than this, or nothing, is drawn here: a logarithmic axis has no 0
_COLOURS = {CROSSENT: ACCENT, LIMIT: MUTED}


def draw_growth(results: Results, what: str) -> Any:
    """A figure with two panels.

    Args:
        results: of a run with the suite "scaling".
        what: "rows" or "classes".
    Returns: a matplotlib figure.
    Raises: MissingExtraError without matplotlib.
    """
    figure = own_axes(None).figure
    figure.clear()
    figure.set_size_inches(9.2, 3.4)
    left, right = figure.subplots(1, 2)
    cases = [case for case in results.cases if case.suite == "scaling" and case.title.startswith(what)]
    bare(left, x=f"number of {what}", y="loss and gradient [ms]")
    bare(right, x=f"number of {what}", y="memory beyond the gradient [MB]")
    place = 0 if what == "rows" else 1
    for peer in dict.fromkeys(m.peer for m in results.measurements if m.suite == "scaling"):
        found = [(case, results.one(case, "gradient", "default", peer)) for case in cases]
        times = [(case.shape[place], m.median * 1e3) for case, m in found if m and m.median]
        _line(left, times, peer)
        if peer != LIMIT:
            memory = [(case.shape[place], _megabytes(m, 4 * case.elements)) for case, m in found if _known(m)]
            _line(right, memory, peer)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        plain_log_ticks(axes.xaxis)
        plain_log_ticks(axes.yaxis)
    left.legend(frameon=False, fontsize=FONT_SIZE, labelcolor=INK)
    return figure


def _known(found: Measurement | None) -> bool:
    return found is not None and found.extra_bytes is not None


def _megabytes(found: Measurement | None, gradient_bytes: int) -> float:
    extra = (found.extra_bytes or 0) if found else 0
    return max(_SMALLEST_MB, (extra - gradient_bytes) / 1e6)


def _line(axes: Any, points: list[tuple[int, float]], peer: str) -> None:
    if points:
        style = "--" if peer == LIMIT else "-"
        axes.plot(*zip(*points, strict=True), style, marker="o", markersize=3, linewidth=1.4, label=peer,
                  color=_COLOURS.get(peer, WARM))  # fmt: skip
