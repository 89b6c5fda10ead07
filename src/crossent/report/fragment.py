"""A result as a piece of HTML for notebooks: verdict, key numbers, pictures; no scripts, nothing from elsewhere.

Styles stand at the elements and the paper is light, whatever the notebook's theme. Pictures need the extra [report];
without matplotlib the piece says so instead.
"""

import hashlib
from collections.abc import Callable
from html import escape
from importlib.util import find_spec
from typing import Any, NamedTuple

from crossent import plots
from crossent.plots.forest import forest_height
from crossent.plots.segments import segment_rows
from crossent.plots.style import ACCENT, INK, MUTED, PAPER, RULE, SOFT, WARM
from crossent.report.contents import Result, tables, verdict
from crossent.report.pictures import picture
from crossent.report.tables import Most, Table
from crossent.scoring import Score
from crossent.scoring.compare import Compare
from crossent.wording import clean

__all__ = ["to_fragment"]

_SHOWN = ("numbers", "facts", "decomposition", "calibration", "documents", "segments", "classes", "worst")
_MOST = Most(segments=10, classes=12, worst=5)
_COLOURS = {"ink": INK, "muted": MUTED, "rule": RULE, "accent": ACCENT, "soft": SOFT, "warm": WARM, "paper": PAPER}
_FONT = "system-ui, -apple-system, Segoe UI, Roboto, sans-serif"
_BOX = (
    "".join(f"--{role}: {colour}; " for role, colour in _COLOURS.items())
    + f"--font: {_FONT}; background: {PAPER}; color: {INK}; font: 14px/1.45 {_FONT}; padding: 12px 16px; "
    "max-width: 64rem; overflow-wrap: anywhere"
)
_CELL = f"padding: 2px 14px 2px 0; border: 0; background: {PAPER}; color: {INK}; white-space: nowrap; text-align: "


class _Drawing(NamedTuple):
    """A picture of the fragment: heading, what draws it on the axes that it is given, and inches."""

    heading: str
    draw: Callable[[Any], Any]
    height: float = 3.15


def to_fragment(result: Result) -> str:
    """The piece of HTML that a notebook shows for a result; the same result gives the same text.

    Args:
        result: a Score, a Compare or a LanguageScore.
    Returns: one <div>; with pictures if matplotlib is installed, else with a line that says what they need.
    """
    told = f'<p style="margin: 0 0 8px; font-size: 15px"><b>{escape(verdict(result))}</b></p>'
    shown = "".join(_table(table) for table in tables(result, _MOST) if table.name in _SHOWN)
    notes = "".join(f"<p>Note: {escape(clean(note, width=300))}</p>" for note in result.notes)
    digest = hashlib.sha256((told + shown).encode()).hexdigest()[:10]  # keeps ids of several results apart
    return (
        f'<div class="crossent" style="{_BOX}">{told}'
        f'<div style="display: flex; flex-wrap: wrap; gap: 8px 32px; align-items: flex-start">{shown}</div>{notes}'
        f"{_pictures(result, digest)}</div>"
    )


def _table(table: Table) -> str:
    lines = []
    for row in table.rows:
        cells = "".join(
            f'<td style="{_CELL}{"left" if k < table.left else "right"}">{escape(cell)}</td>'
            for k, cell in enumerate(row)
        )
        lines.append(f"<tr>{cells}</tr>")
    remarks = "".join(f'<p style="margin: 2px 0; color: {MUTED}">{escape(remark)}</p>' for remark in table.remarks)
    body = f'<table style="border-collapse: collapse; margin: 0">{"".join(lines)}</table>'
    return f'<div style="max-width: 100%; overflow-x: auto">{body}{remarks}</div>'


def _pictures(result: Result, digest: str) -> str:
    drawings = _drawings(result)
    if drawings and find_spec("matplotlib") is None:
        return f'<p style="color: {MUTED}">Pictures need matplotlib: pip install &#39;crossent[report]&#39;</p>'
    figures = (
        f'<div style="flex: 1 1 260px; max-width: 460px"><div>{escape(drawing.heading)}</div>'
        f"{picture(f'ce-{digest}-{k}', drawing.draw, alt=drawing.heading, height=drawing.height)}</div>"
        for k, drawing in enumerate(drawings)
    )
    return f'<div style="display: flex; flex-wrap: wrap; gap: 12px 32px; margin-top: 10px">{"".join(figures)}</div>'


def _drawings(result: Result) -> list[_Drawing]:
    if isinstance(result, Compare):
        height = max(3.15, forest_height(3 + len(segment_rows(result)[0])))
        return [_Drawing("Difference of the losses", lambda ax: plots.difference(result, ax=ax), height)]
    if isinstance(result, Score):
        return [
            _Drawing("Reliability", lambda ax: plots.reliability(result, ax=ax)),
            _Drawing("Where the loss comes from", lambda ax: plots.waterfall(result, ax=ax)),
        ]
    return []
