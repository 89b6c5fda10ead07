"""The waterfall: from the loss of the class shares alone down by what is known and up by what is miscalibrated."""

import math
from typing import NamedTuple

from crossent.plots.style import ACCENT, FONT_SIZE, INK, MUTED, PAPER, SOFT, WARM, Axes, bare, own_axes, written
from crossent.plots.wanted import check_drawn
from crossent.scoring import Score
from crossent.stats.decomposition import Decomposition
from crossent.stats.temperature import TemperatureDecomposition

__all__ = ["waterfall"]

_BIT = math.log(2.0)


class _Step(NamedTuple):
    """A bar from `start` to `end`, both in nats."""

    name: str
    start: float
    end: float
    size: float
    colour: str


def waterfall(score: Score, *, ax: Axes | None = None) -> Axes:
    """The decomposition of the log loss, in nats along the axis and with bits beside:

        class shares alone - discrimination + miscalibration = log loss               two classes, by CORP
        class shares alone - knowledge + temperature miscalibration = log loss        more, by the best temperature

    The second is a lower bound of the miscalibration. An infinite part ends at the edge of the axes.

    Args:
        score: a Score.
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: UnsupportedError for another object; MissingExtraError without matplotlib.
    """
    check_drawn(score, "waterfall", Score)
    ax = own_axes(ax)
    bare(ax, x="nat per row", y="")
    ax.grid(visible=False)
    ax.set_xlim(0, 1)
    if score.decomposition is None:
        ax.set_yticks([])
        ax.text(0.5, 0.5, "no decomposition", transform=ax.transAxes, ha="center", color=MUTED, fontsize=FONT_SIZE)
        return ax
    steps = _steps(score.decomposition)
    reach = 1.3 * max((x for s in steps for x in (s.start, s.end) if math.isfinite(x)), default=0.0) or 1.0
    ax.set_xlim(0, reach)
    ax.locator_params(axis="x", nbins=5)
    for k, step in enumerate(steps):
        start, end = min(step.start, reach), min(step.end, reach)
        ax.barh(k, end - start, left=start, height=0.62, color=step.colour, linewidth=0)
        if k + 1 < len(steps) and step.end <= reach:
            ax.plot([step.end] * 2, [k - 0.31, k + 1.31], color=MUTED, linewidth=0.8)
        _write(step, k, reach, ax)
    ax.set_yticks(range(len(steps)), [step.name for step in steps], color=INK)
    ax.set_ylim(len(steps) - 0.45, -0.55)
    return ax


def _steps(parts: Decomposition | TemperatureDecomposition) -> list[_Step]:
    if isinstance(parts, Decomposition):
        down, known, up, lost = "\N{MINUS SIGN} discrimination", parts.dsc, _by_chance(parts), parts.mcb
    else:
        down, known = "\N{MINUS SIGN} knowledge", parts.knowledge
        up, lost = "+ temperature\nmiscalibration,\na lower bound", parts.miscalibration
    best = parts.unc - known
    return [
        _Step("class shares\nalone", 0.0, parts.unc, parts.unc, SOFT),
        _Step(down, parts.unc, best, known, ACCENT),
        _Step(up, best, parts.loss, lost, WARM),
        _Step("= log loss", 0.0, parts.loss, parts.loss, INK),
    ]


def _by_chance(parts: Decomposition) -> str:
    return f"+ miscalibration\n({parts.mcb_null:.2g} by chance)"


def _write(step: _Step, k: int, reach: float, ax: Axes) -> None:
    """Nats and bits to the right of the bar, or inside one that ends at the edge."""
    right = max(step.start, step.end)
    text = f"{written(step.size)}\n{written(step.size / _BIT)} bit"
    fits = right < 0.99 * reach
    ax.text(
        right + 0.015 * reach if fits else 0.985 * reach,
        k,
        text,
        ha="left" if fits else "right",
        va="center",
        color=INK if fits else PAPER,
        fontsize=FONT_SIZE - 1,
        linespacing=1.15,
    )
