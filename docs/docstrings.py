"""Turns the project's docstrings into reStructuredText: formulas, Args lists, one-line sections, doctests.

A docstring here is made to be read in an editor: a formula is an indented block, `|z|` and `p_` are
mathematics, and "Returns: ..." stands on one line. reStructuredText would read references and emphasis into
that.
"""

import re
from collections.abc import Iterator

__all__ = ["process", "to_rst"]

SECTION = re.compile(r"^(Args|Returns|Raises|Source|Yields|Attributes|Note|Example):\s*(.*)$")
ARGUMENT = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*): (.*)$")
SPECIAL = re.compile(r"(`[^`]*`)|([*|\\]|_(?=\W|$))")


def process(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Sphinx' hook: replaces the lines of one docstring."""
    lines[:] = list(to_rst(lines))


def to_rst(lines: list[str]) -> Iterator[str]:
    """The lines of a docstring as reStructuredText."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
            continue
        yield from _block(block)
        yield ""
        block = []


def _block(block: list[str]) -> Iterator[str]:
    """One block of lines without an empty line between them."""
    if not block:
        return
    if block[0].lstrip().startswith(">>>"):
        yield from block
    elif block[0].startswith(" "):
        yield from ["::", "", *(f"    {line}" for line in block)]
    else:
        yield from _prose(block)


def _prose(block: list[str]) -> Iterator[str]:
    inside = ""
    for line in block:
        section = SECTION.match(line)
        argument = ARGUMENT.match(line.strip())
        if section:
            inside = section[1]
            yield from ["", f"**{inside}** {_inline(section[2])}".rstrip()]
            if not section[2]:
                yield ""
        elif inside in ("Args", "Attributes") and argument:
            yield from ["", f"- ``{argument[1]}``: {_inline(argument[2])}"]
        elif inside in ("Args", "Attributes"):
            yield f"  {_inline(line.strip())}"
        else:
            yield _inline(line.strip() if inside else line)
    yield ""


def _inline(text: str) -> str:
    """Single backquotes become code; characters that reStructuredText would interpret are escaped."""

    def one(match: re.Match[str]) -> str:
        return f"`{match[1]}`" if match[1] else f"\\{match[2]}"

    return SPECIAL.sub(one, text.replace("``", "`"))
