"""What the tables of the page have in common: a row of Markdown, targets, memory."""

from collections.abc import Sequence

from crossent.bench.cases import Case
from crossent.bench.results import Results
from crossent.bench.verdicts import verdicts

__all__ = ["memory", "row", "wanted"]


def row(cells: Sequence[str]) -> str:
    """A line of a table.

    >>> row(["a|b", "c"])
    '| a/b | c |'
    """
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def wanted(results: Results, case: Case, work: str) -> str:
    """The targets, those not reached in bold."""
    told = [v.wanted if v.reached else f"**{v.wanted}**" for v in verdicts(results, case, work)]
    return "; ".join(told)


def memory(results: Results, case: Case, work: str) -> str:
    """Extra MB of ours and of the best peer."""
    shown = []
    for found in (results.ours(case, work), results.best(case, work, "default")):
        extra = found.extra_bytes if found else None
        shown.append("-" if extra is None else f"{extra / 1e6:.0f}")
    return " / ".join(shown)
