"""Words for messages and tables of text: names in quotes, lists of names, counts, the name that was probably meant."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = ["aligned", "clean", "counted", "did_you_mean", "having", "listed", "quoted", "shortened"]

# controls, direction marks, surrogates, unassigned, line ends
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def quoted(text: str, limit: int = 60) -> str:
    """A name or cell for a message: in quotes, control characters escaped, cut to `limit` characters.

    >>> quoted("a\\nb"), quoted("x" * 9, 6)
    ("'a\\\\nb'", "'xxx...'")
    """
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def clean(text: object, *, width: int = 60) -> str:
    """One harmless line: control and direction characters are written out, long text is cut with an ellipsis.

    >>> clean("a" + chr(0x202E) + "b" + chr(10) + "c" * 100, width=16)
    'a\\\\u202eb\\\\u000ac…'
    """
    kept: list[str] = []
    length = 0
    for character in str(text):
        shown = character
        if unicodedata.category(character) in _HIDDEN:
            shown = f"\\u{ord(character):04x}"
        length += len(shown)
        if length > width:
            return "".join(kept)[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
        kept.append(shown)
    return "".join(kept)


def shortened(text: object, *, width: int) -> str:
    """One harmless line like `clean`, but of long text the middle is left out: names often differ at the end.

    >>> shortened("category number 0001", width=14), shortened("cat", width=14)
    ('catego…er 0001', 'cat')
    """
    whole = str(text)
    ends = whole if len(whole) <= 2 * width else whole[:width] + whole[-width:]
    shown = clean(ends, width=20 * width)  # no character takes more than 8 when it is written out
    if len(whole) == len(ends) and len(shown) <= width:
        return shown
    end = width // 2
    return f"{shown[: width - 1 - end]}\N{HORIZONTAL ELLIPSIS}{shown[-end:]}"


def listed(names: Iterable[str], limit: int = 8) -> str:
    """Names for a message: the first few of them, and how many there are if that is more.

    >>> listed(["cat", "dog"]), listed("abcdef", 3)
    ("'cat', 'dog'", "'a', 'b', 'c', ... (6 in all)")
    """
    every = list(names)
    shown = ", ".join(quoted(name, 40) for name in every[:limit])
    return shown if len(every) <= limit else f"{shown}, ... ({len(every)} in all)"


def counted(count: int, noun: str = "row") -> str:
    """A count and what is counted, in the plural unless there is one.

    >>> counted(1), counted(12345), counted(0, "column")
    ('1 row', '12,345 rows', '0 columns')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def having(count: int, noun: str = "row") -> str:
    """What is counted, and what it has.

    >>> having(1), having(2, "token")
    ('1 row has', '2 tokens have')
    """
    return f"{counted(count, noun)} {'has' if count == 1 else 'have'}"


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """ " Did you mean 'x'?" (with the leading space) for the nearest of `words`, or "" if none is near.

    >>> did_you_mean("tagret", ["target", "weight"])
    " Did you mean 'target'?"
    """
    known = list(words)[:10_000]
    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(name.strip().casefold(), name)
    near = difflib.get_close_matches(word.strip().casefold(), folded, n=1, cutoff=0.6)
    return f" Did you mean {quoted(folded[near[0]])}?" if near else ""


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
