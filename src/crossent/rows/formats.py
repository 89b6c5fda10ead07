"""Which format a file has: asked for, or told by its suffix; one table for reading and writing."""

import os
from collections.abc import Sequence

from crossent.errors import DataError, OptionError
from crossent.wording import did_you_mean

__all__ = ["format_of"]

_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
}
_COMPRESSIONS = (".gz", ".zst")


def format_of(path: str, asked: str | None, allowed: Sequence[str], *, verb: str) -> str:
    """The format of `path`, one of `allowed`.

    Args:
        path: the file; "a.csv.gz" counts as .csv when it is read.
        asked: the format the caller asked for, or None to go by the suffix.
        allowed: formats that can be read or written.
        verb: "read" or "write", for the message.
    Raises: OptionError for an unknown `asked`, DataError for an unknown suffix.
    """
    if asked is not None:
        if asked not in allowed:
            raise OptionError(f"format is {asked!r}; allowed: {', '.join(allowed)}.{did_you_mean(asked, allowed)}")
        return asked
    stem, suffix = os.path.splitext(path)
    if suffix.lower() in _COMPRESSIONS and verb == "read":
        suffix = os.path.splitext(stem)[1]
    known = _SUFFIXES.get(suffix.lower())
    if known not in allowed:
        suffixes = ", ".join(suffix for suffix, name in _SUFFIXES.items() if name in allowed)
        raise DataError(
            f"Cannot {verb} {path}: the suffix {suffix!r} tells no format. Use one of {suffixes}, or pass "
            f"format= ({', '.join(allowed)})."
        )
    return str(known)
