"""Pictures as files, and as SVG text for a page, in which colours are CSS variables that follow light and dark.

The text of an SVG picture stays text and uses the page's font. Nothing in it depends on the time or on random
numbers.
"""

import io
import os
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

from crossent.errors import DataError, MissingExtraError
from crossent.plots.style import ACCENT, INK, MUTED, PAPER, RULE, SOFT, WARM
from crossent.rows.filesafe import atomic_write
from crossent.wording import listed, quoted

__all__ = ["picture", "picture_format", "write_picture"]

_ROLES = {INK: "ink", MUTED: "muted", RULE: "rule", ACCENT: "accent", SOFT: "soft", WARM: "warm", PAPER: "paper"}
_SUFFIXES = (".png", ".svg")
_WIDTH = 4.5  # inches of 72 units: text of 9.5 units reads well from phone to desk
_HEIGHT = 3.15


def picture(name: str, draw: Callable[[Any], Any], *, alt: str, height: float = _HEIGHT) -> str:
    """An <svg> element, ready to be inlined.

    Args:
        name: prefix that keeps ids of several pictures apart on one page.
        draw: draws on the axes it is given.
        alt: what the picture shows, for readers who do not see it.
        height: inches; the width is 4.5.
    Raises: MissingExtraError without matplotlib.
    """
    try:
        import matplotlib.style
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError.for_extra("report", "matplotlib", "A report") from error
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "DejaVu Sans",
        "text.parse_math": False,
    }
    buffer = io.StringIO()
    with matplotlib.style.context(["default", settings]), warnings.catch_warnings():
        # Text stays text, so a letter that this font lacks is drawn by the reader's own.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inlined(buffer.getvalue(), name, alt)


def picture_format(path: str | os.PathLike[str]) -> str:
    """The format that the suffix of a picture's file tells.

    Raises: DataError for another suffix.

    >>> picture_format("curves.svg")
    'svg'
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in _SUFFIXES:
        raise DataError(
            f"{os.fspath(path)}: the suffix {quoted(suffix)} tells no format of pictures; use one of "
            f"{listed(_SUFFIXES)}."
        )
    return suffix[1:]


def write_picture(path: str | os.PathLike[str], draw: Callable[[], Any]) -> None:
    """Writes a figure, whole or not at all; the same figure gives the same bytes.

    Args:
        path: where to; the suffix .png or .svg tells the format.
        draw: makes the matplotlib figure.
    Raises: DataError; MissingExtraError without matplotlib.
    """
    form = picture_format(path)
    try:
        import matplotlib.style
    except ImportError as error:
        raise MissingExtraError.for_extra("report", "matplotlib", "A picture") from error
    with matplotlib.style.context(["default", {"svg.hashsalt": "crossent"}]), atomic_write(path) as file:
        nameless = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        draw().savefig(file, format=form, dpi=150, metadata=nameless)


def _inlined(svg: str, name: str, alt: str) -> str:
    """Without prolog, metadata, style sheet, fixed size and fonts; with own ids, a title and the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>|<!--.*?-->\s*|\s*<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]+>", lambda tag: _restyled(tag.group(), name), svg)  # text between tags is left as it is
    box = re.search(r'viewBox="[^"]+"', svg)
    head = (
        f'<svg {box.group() if box else ""} role="img" aria-labelledby="{name}-alt" class="picture" '
        'style="stroke-linejoin: round; stroke-linecap: butt">'
    )
    title = f'<title id="{name}-alt">{escape(alt)}</title>'
    return re.sub(r"<svg[^>]*>", lambda _: head + title, svg, count=1)


def _restyled(tag: str, name: str) -> str:
    """A tag with own ids, the page's font and colours, and coordinates to a hundredth."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'href="#', f'href="#{name}-', tag)
    tag = re.sub(r"url\(#", f"url(#{name}-", tag)
    tag = re.sub(r"(font: [0-9.]+px) [^;\"]*", r"\1 var(--font)", tag)
    tag = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path.group()).replace(" \n", " "), tag)
    for colour, role in _ROLES.items():
        tag = tag.replace(colour, f"var(--{role})")
    return tag
