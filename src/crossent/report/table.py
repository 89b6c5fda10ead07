"""Tables of text: columns padded to their width, for everything that the command prints in rows."""

from collections.abc import Sequence

__all__ = ["aligned"]


def aligned(rows: Sequence[Sequence[str]], *, left: int | None = None) -> str:
    """Rows with their columns two blanks apart and no blanks at the end, without a newline after the last.

    Args:
        rows: at least one row; all have as many cells.
        left: how many columns stand to the left, the others to the right; None puts all to the left.

    >>> print(aligned([("loss", "0.5"), ("rows", "1,234")], left=1))
    loss    0.5
    rows  1,234
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) if left is None else left
    lines = []
    for row in rows:
        cells = [c.ljust(w) if k < last else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
