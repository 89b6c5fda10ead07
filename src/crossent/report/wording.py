"""The words of a report: numbers with the digits they deserve, intervals, p-values, and names of methods."""

import math
from collections.abc import Callable, Iterable, Sequence

from crossent.scoring import Score
from crossent.scoring.compare import Compare
from crossent.stats import Estimate

_METHODS = {
    "hall": "Hall's t interval for skewed means",
    "bootstrap": "bootstrap of 1,024 groups of {unit}",
    "clusters": "Hall's t interval over clusters",
}
_SHORT = "may be too short"  # the end of the marks of intervals
BIT = math.log(2.0)  # in nats
__all__ = [
    "BIT",
    "alike",
    "caveat",
    "caveat_sentences",
    "caveats",
    "clipping_remark",
    "finite",
    "interval",
    "level",
    "marked",
    "method",
    "number",
    "p_value",
    "percent",
    "prior",
    "share",
    "standard_error",
    "told_interval",
    "told_p",
    "value",
]


def finite(score: Score) -> str:
    """ "finite " where the loss has infinities, so that shares of it are shares of the rest."""
    return "finite " if score.infinities.rows else ""


def prior(score: Score) -> str:
    """What the baseline is the loss of."""
    of = score.baseline_of
    return "class shares alone" if of == "these rows" else f"{of.removeprefix('the ')} alone"


def method(result: Score | Compare) -> str:
    """How the interval of a loss, or of a difference, was found, for people."""
    unit = "clusters" if result.clustered else "rows"
    return _METHODS.get(result.method, result.method).format(unit=unit)


def p_value(p: float | None) -> str:
    """A p-value to two digits; None is a dash.

    >>> [p_value(p) for p in (0.0312, 0.00002, None)]
    ['0.031', '<0.0001', '–']
    """
    return "–" if p is None else "<0.0001" if p < 1e-4 else f"{p:.2g}"


def told_p(p: float) -> str:
    """A p-value in a sentence.

    >>> told_p(0.0312), told_p(0.00002)
    ('p = 0.031', 'p < 0.0001')
    """
    return f"p {p_value(p).replace('<', '< ')}" if p < 1e-4 else f"p = {p_value(p)}"


def number(x: float | None, *, digits: int = 4) -> str:
    """A number to so many significant digits; None is a dash.

    >>> [number(x) for x in (0.089412, 2.302585, 123456.7, 1e-9, 2e300, math.inf, None)]
    ['0.08941', '2.303', '123,457', '1e-09', '2e+300', 'inf', '–']
    """
    if x is None:
        return "–"
    if not math.isfinite(x):
        return str(x)
    return f"{x:,.0f}" if 10**digits <= abs(x) < 1e15 else f"{x:.{digits}g}"


def alike(column: Sequence[float | None], *, digits: int = 4) -> list[str]:
    """Numbers of one column with as many decimals, so many that the largest has `digits` significant ones.

    >>> alike([0.69314, 0.00123, None, math.inf])
    ['0.6931', '0.0012', '–', 'inf']
    """
    largest = max((abs(x) for x in column if x is not None and math.isfinite(x)), default=0.0)
    if not 1e-6 < largest < 10**digits:
        return [number(x, digits=digits) for x in column]
    decimals = max(0, digits - 1 - math.floor(math.log10(largest)))
    return [number(x) if x is None or not math.isfinite(x) else f"{x:.{decimals}f}" for x in column]


def level(confidence: float) -> str:
    """The coverage of an interval, as it was asked for.

    >>> level(0.95)
    '95 %'
    """
    return f"{100 * confidence:g} %"


def percent(x: float) -> str:
    """A share in per cent to three digits; what is not all is never rounded up to 100 %.

    >>> percent(0.9612), percent(0.1), percent(0.99996), percent(1.0), percent(0.0)
    ('96.1 %', '10.0 %', '99.996 %', '100 %', '0 %')
    """
    if x in (0, 1):
        return f"{100 * x:g} %"
    for digits in (3, 4, 5, 6):
        text = f"{100 * x:#.{digits}g}"
        if abs(float(text)) < 100:
            return f"{text} %"
    return "over 99.999 %" if abs(x) < 1 else f"{100 * x:,.0f} %"


def share(x: float | None) -> str:
    """A share between 0 and 1 to three places, or a dash."""
    return "–" if x is None else percent(x) if math.isfinite(x) else str(x)


def value(estimate: Estimate) -> str:
    """The value to the digits that its standard error allows.

    >>> value(Estimate(0.0894123, 0.0160, 0.0621, 0.1253, 0.95, 450, 450.0))
    '0.0894'
    """
    return _fixed(estimate.value, estimate)


def interval(estimate: Estimate) -> str | None:
    """'lower to upper' to the same digits, or None.

    >>> interval(Estimate(0.0894123, 0.0160, 0.062111, 0.12529, 0.95, 450, 450.0))
    '0.0621 to 0.1253'
    """
    if estimate.lower is None or estimate.upper is None:
        return None
    return f"{_fixed(estimate.lower, estimate)} to {_fixed(estimate.upper, estimate)}"


def told_interval(estimate: Estimate, *, write: Callable[[float], str] | None = None) -> str:
    """The interval with its level, or why there is none.

    Args:
        estimate: an Estimate.
        write: writes an end; None takes as many digits as the standard error allows.

    >>> told_interval(Estimate(0.0894123, 0.0160, 0.062111, 0.12529, 0.95, 450, 450.0))
    '95 % interval 0.0621 to 0.1253'
    >>> told_interval(Estimate(0.5, None, None, None, 0.95, 1, 1.0, why="one row"))
    'interval not estimable: one row'
    """
    if estimate.lower is None or estimate.upper is None:
        return f"interval not estimable: {(estimate.why or '').removesuffix(': not estimable')}"
    ends = interval(estimate) if write is None else f"{write(estimate.lower)} to {write(estimate.upper)}"
    return f"{level(estimate.confidence)} interval {ends}"


def caveat(estimate: Estimate) -> str:
    """What to bear in mind with an interval, as its mark says, or "".

    >>> caveat(Estimate(0.5, 0.1, 0.3, 0.7, 0.95, 9, 9.0, mark="too few events: may be too short"))
    'too few events: the interval may be too short'
    """
    reasons = (estimate.mark or "").split("; ")
    short = [reason.removesuffix(f": {_SHORT}") for reason in reasons if reason.endswith(f": {_SHORT}")]
    others = [reason for reason in reasons if reason and not reason.endswith(f": {_SHORT}")]
    told = [f"{' and '.join(short)}: the interval {_SHORT}"] if short else []
    return "; ".join([*told, *others])


def caveat_sentences(estimates: Iterable[Estimate | None]) -> str:
    """The caveats of estimates as sentences, each once; "" without any.

    >>> caveat_sentences([Estimate(0.5, 0.1, 0.3, 0.7, 0.95, 9, 9.0, mark="fewer than 30 clusters: may be too short")])
    'Fewer than 30 clusters: the interval may be too short.'
    """
    found = dict.fromkeys(caveat(estimate) for estimate in estimates if estimate is not None and estimate.mark)
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in found)


def caveats(estimates: Iterable[Estimate | None]) -> list[str]:
    """Remarks below a table: what its exclamation marks stand for, each caveat once.

    >>> caveats([Estimate(0.5, 0.1, 0.3, 0.7, 0.95, 9, 9.0, mark="too few events: may be too short"), None])
    ['! too few events: the interval may be too short']
    """
    found = dict.fromkeys(caveat(estimate) for estimate in estimates if estimate is not None and estimate.mark)
    return [f"! {text}" for text in found]


def standard_error(estimate: Estimate) -> str:
    """The standard error to the same digits, or a dash."""
    return _fixed(estimate.se, estimate)


def marked(estimate: Estimate) -> str:
    """The standard error, with an exclamation mark where its interval has a caveat."""
    return standard_error(estimate) + (" !" if estimate.mark else "")


def _fixed(x: float | None, estimate: Estimate) -> str:
    se = estimate.se
    if x is None or se is None or not math.isfinite(x) or not 1e-7 < se < 1e4:
        return number(x)
    return f"{x:.{max(0, 2 - math.floor(math.log10(se)))}f}"


def clipping_remark(score: Score) -> str | None:
    """What clipping would have said instead of inf; None without infinities."""
    if not score.infinities.rows:
        return None
    said = [f"{number(loss)} at {eps:.2g} ({habit})" for habit, eps, loss in score.infinities.clipped]
    return f"Clipping would have hidden this behind {' or '.join(said)}: the number shows where the clip lies."
