"""A Compare as tables: both losses and their difference, what it rests on, segments, looks."""

from crossent.report.tables import ALL, Most, Segment, Table, segment_tables
from crossent.report.wording import (
    BIT,
    caveats,
    interval,
    level,
    marked,
    method,
    number,
    p_value,
    share,
    standard_error,
    told_interval,
    value,
)
from crossent.scoring.compare import Compare, at_last_look
from crossent.stats import Estimate
from crossent.wording import clean, counted

__all__ = ["compare_tables"]

_MOST_LOOKS = 30


def compare_tables(compare: Compare, most: Most = ALL) -> list[Table]:
    """All tables of a Compare, in the order of reading."""
    made = [_numbers(compare), _facts(compare), *_segments(compare, most.segments), _looks(compare)]
    return [table for table in made if table.rows]


def _segments(compare: Compare, most: int) -> list[Table]:
    found = [Segment(s.column, s.value, s.n, s.difference, s.p_value, s.p_adjusted) for s in compare.segments]
    made = segment_tables(found, what="difference", null="is 0", most=most)
    if not compare.sequence:
        return made
    return [table._replace(remarks=(*table.remarks, "Intervals and p of segments are for one look.")) for table in made]


def _numbers(compare: Compare) -> Table:
    a, b = (clean(name, width=32) for name in compare.names)
    gap = at_last_look(compare.difference, compare.sequence)
    named = [(f"A: {a}", compare.losses[0]), (f"B: {b}", compare.losses[1]), ("B \N{MINUS SIGN} A", gap)]
    if sum(compare.infinite):
        named.append(("finite in both", at_last_look(compare.finite, compare.sequence)))
    rows: list[tuple[str, ...]] = [("", "nat", "std error", f"{level(gap.confidence)} interval", "bit")]
    rows += [(name, *_line(estimate)) for name, estimate in named]
    remarks = caveats(e for _, e in named)
    remarks += [f"{name}: {e.why}." for name, e in named if e.lower is None and e.why]
    if compare.sequence:
        remarks.append("The interval of the difference is that of the last look; those of A and B are for one look.")
    return Table("numbers", tuple(rows), remarks=tuple(remarks))


def _line(estimate: Estimate) -> tuple[str, ...]:
    ends = interval(estimate) or "not estimable"
    return value(estimate), marked(estimate), ends, value(estimate.scaled(1 / BIT))


def _facts(compare: Compare) -> Table:
    rows = f"{compare.n:,}"
    if abs(compare.effective_n - compare.n) > 1e-9 * compare.n:
        rows += f" (effective {number(compare.effective_n)})"
    only_a, only_b, both = compare.infinite
    looks = bool(compare.sequence)
    units = f", {compare.finite.n:,} of them" if compare.clustered else ""
    facts = [
        ("rows", rows),
        ("interval", "confidence sequence, last look" if looks else method(compare) + units),
    ]
    if not looks:
        facts.append(("p of no difference", p_value(compare.p_value)))
    if compare.margin is not None:
        facts.append(("margin", f"{number(compare.margin)} nat: {_judged(compare)}"))
    if sum(compare.infinite):
        facts.append(("infinite losses", f"{only_a:,} of A only, {only_b:,} of B only, {both:,} of both (left out)"))
    of = f"of the {counted(compare.better.n)} not left out" if both else "of the rows"
    facts += [
        ("B better in", f"{share(compare.better.value)} {of} ({told_interval(compare.better, write=share)})"),
        ("equal in", f"{share(compare.tied)} {of}"),
        ("correlation of the losses", number(compare.correlation, digits=3)),
        ("standard error, paired", standard_error(compare.finite)),
        ("if not of the same rows", number(compare.unpaired_se, digits=3)),
    ]
    if not looks:
        facts.append(("found with probability 0.8", _nats(compare.detectable)))
    return Table("facts", tuple(facts), left=2)


def _nats(x: float | None) -> str:
    return "not estimable" if x is None else f"a difference of {number(x, digits=3)} nat"


def _judged(compare: Compare) -> str:
    return compare.verdict if compare.verdict == "undecided" else f"B is {compare.verdict}"


def _looks(compare: Compare) -> Table:
    """The last looks of an anytime-valid sequence."""
    looks = compare.sequence[-_MOST_LOOKS:]
    if not looks:
        return Table("looks", ())
    rows = [("looks", "rows", "difference", "lower", "upper")]
    first = len(compare.sequence) - len(looks) + 1
    rows += [
        (str(first + k), f"{look.n:,}", number(look.value), number(look.lower), number(look.upper))
        for k, look in enumerate(looks)
    ]
    last = looks[-1]
    remarks = [
        f"{level(last.confidence)} confidence sequence, asymptotically valid at every look, tightest at "
        f"{last.expect_n:,} rows."
    ]
    remarks += [f"Last look: {last.why}."] if last.why else []
    return Table("looks", tuple(rows), remarks=tuple(remarks))
