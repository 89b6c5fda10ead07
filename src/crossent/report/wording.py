"""The words of a report: numbers with the digits they deserve, labels made harmless, and the verdict."""

import math
import unicodedata
from collections.abc import Callable

from crossent.scoring import Score
from crossent.stats import Estimate
from crossent.wording import counted

TOO_FEW = "too few events: the interval may be too short"
__all__ = [
    "TOO_FEW",
    "caveat",
    "clean",
    "clipping_remark",
    "finite",
    "interval",
    "level",
    "number",
    "percent",
    "share",
    "standard_error",
    "told_interval",
    "value",
    "verdict",
]

_HIDDEN = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
}  # controls, direction marks, surrogates, unassigned, line ends


def finite(score: Score) -> str:
    """ "finite " where the loss has infinities, so that shares of it are shares of the rest."""
    return "finite " if score.infinities.rows else ""


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
        return f"interval not estimable: {estimate.why}"
    ends = interval(estimate) if write is None else f"{write(estimate.lower)} to {write(estimate.upper)}"
    return f"{level(estimate.confidence)} interval {ends}"


def caveat(estimate: Estimate) -> str:
    """What to bear in mind with an interval, or "".

    >>> caveat(Estimate(0.5, 0.1, 0.3, 0.7, 0.95, 9, 9.0, mark="too few events: may be too short"))
    'too few events: the interval may be too short'
    """
    return TOO_FEW if estimate.mark else ""


def standard_error(estimate: Estimate) -> str:
    """The standard error to the same digits, or a dash."""
    return _fixed(estimate.se, estimate)


def _fixed(x: float | None, estimate: Estimate) -> str:
    se = estimate.se
    if x is None or se is None or not math.isfinite(x) or not 1e-7 < se < 1e4:
        return number(x)
    return f"{x:.{max(0, 2 - math.floor(math.log10(se)))}f}"


def verdict(score: Score) -> str:
    """What a reader should take away, in one or two sentences that claim no more than the rows show.

    Args:
        score: a Score.
    Returns: plain text in one line.

    >>> from crossent.scoring import Tally
    >>> tally = Tally(["cat", "dog"])
    >>> tally.update([0, 1], [[0.0, 1.0], [0.5, 0.5]])
    >>> verdict(tally.result())
    'Log loss inf: 1 of 2 rows has probability 0 at the true class. The other 1 row has 0.6931 nat.'
    """
    loss = score.log_loss
    if score.infinities.rows:
        return _infinite_verdict(score)
    text = f"Log loss {value(loss)} nat ({told_interval(loss)}) over {counted(score.n)}: {_against_priors(score)}."
    return f"{text} {caveat(loss).capitalize()}." if loss.mark else text


def _against_priors(score: Score) -> str:
    loss, baseline = score.log_loss, score.baseline
    priors = f"{number(baseline)} nat of the class shares alone"
    if score.skill is None:
        return "all rows have one class, so there is no baseline to compare with"
    if loss.lower is None or loss.upper is None:
        return f"beside the {priors}, without an interval to tell them apart"
    if loss.upper < baseline:
        return f"{percent(score.skill)} below the {priors}"
    if loss.lower > baseline:
        return f"worse than the {priors}"
    return f"the interval contains the {priors}, so these rows do not show that the model knows more than that"


def _infinite_verdict(score: Score) -> str:
    zeros = score.infinities.rows
    have = f"{zeros:,} of {counted(score.n)} {'has' if zeros == 1 else 'have'} probability 0 at the true class"
    finite = score.infinities.finite
    if finite.value is None:
        return f"Log loss inf: {have}."
    told = f" ({told_interval(finite)})" if finite.lower is not None else ""
    others = f"The other {counted(finite.n)} {'has' if finite.n == 1 else 'have'} {value(finite)} nat{told}."
    return f"Log loss inf: {have}. {others}"


def clipping_remark(score: Score) -> str | None:
    """What clipping would have said instead of inf; None without infinities."""
    if not score.infinities.rows:
        return None
    said = [f"{number(loss)} at {eps:.2g} ({habit})" for habit, eps, loss in score.infinities.clipped]
    return f"Clipping would have hidden this behind {' or '.join(said)}: the number shows where the clip lies."
