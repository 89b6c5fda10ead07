"""Verdicts: one to three sentences that claim no more than the rows show."""

import math

from crossent.report.wording import (
    caveat,
    caveat_sentences,
    level,
    number,
    percent,
    prior,
    told_interval,
    told_p,
    value,
)
from crossent.scoring import Score
from crossent.scoring.compare import Compare, at_last_look
from crossent.stats.decomposition import Decomposition
from crossent.wording import clean, counted, having

__all__ = ["calibration_verdict", "compare_verdict", "score_verdict"]

_SMALL = 0.01  # a p-value below it is evidence; two tests are looked at
_SIGN = 0.05  # below it a sign, which of two tests up to one in ten calibrated models gives
_CHANCE = "as up to one in ten calibrated models gives such a sign"


def score_verdict(score: Score) -> str:
    """The log loss beside what it should be compared with, and what is known of calibration."""
    loss = score.log_loss
    if score.infinities.rows:
        return _infinite_verdict(score)
    text = f"Log loss {value(loss)} nat ({told_interval(loss)}) over {counted(score.n)}: {_against_prior(score)}."
    return " ".join(part for part in (text, caveat_sentences([loss]), calibration_verdict(score)) if part)


def _against_prior(score: Score) -> str:
    loss, baseline = score.log_loss, score.baseline
    alone = f"{number(baseline)} nat of the {prior(score)}"
    if math.isinf(baseline):
        return f"the {prior(score)} gives no probability to a class that occurs, so it is no baseline to compare with"
    if score.skill is None:
        return "all rows have one class, so there is no baseline to compare with"
    if loss.lower is None or loss.upper is None:
        return f"beside the {alone}, without an interval to tell them apart"
    if loss.upper < baseline:
        return f"{percent(score.skill)} below the {alone}"
    if loss.lower > baseline:
        return f"worse than the {alone}"
    return f"the interval contains the {alone}, so these rows do not show that the model knows more than that"


def _infinite_verdict(score: Score) -> str:
    zeros = score.infinities.rows
    have = f"{zeros:,} of {counted(score.n)} {'has' if zeros == 1 else 'have'} probability 0 at the true class"
    finite = score.infinities.finite
    if finite.value is None:
        return f"Log loss inf: {have}."
    told = f" ({told_interval(finite)})" if finite.lower is not None else ""
    rest = score.n - zeros
    others = f"The other {having(rest)} {value(finite)} nat{told}."
    return f"Log loss inf: {have}. {others}"


def calibration_verdict(score: Score) -> str:
    """A sentence about calibration if a test of it says something, else "": no sentence is no proof of calibration.

    The tests take rows as independent, so nothing is claimed of rows in clusters.
    """
    if score.clustered:
        return ""
    gap = score.entropy_gap
    p_gap = 1.0 if gap.p_value is None or gap.mark is not None or gap.value is None else gap.p_value
    if p_gap < _SMALL:
        return _confidence(score)
    corp = score.decomposition if isinstance(score.decomposition, Decomposition) else score.top
    if corp is not None and not math.isfinite(corp.mcb):
        corp = None
    if corp is not None and corp.p_value < _SMALL:
        what = (
            "Not calibrated" if corp is score.decomposition else "Confidence in the predicted class is not calibrated"
        )
        beyond = number(corp.mcb_debiased, digits=2)
        return f"{what}: miscalibration {beyond} nat beyond what chance gives ({told_p(corp.p_value)})."
    if p_gap < _SIGN:
        way = "over-confidence" if (gap.value or 0.0) > 0 else "under-confidence"
        return f"Some sign of {way} ({told_p(p_gap)}): no proof, {_CHANCE}."
    if corp is not None and corp.p_value < _SIGN:
        return f"Some sign of miscalibration ({told_p(corp.p_value)}): no proof, {_CHANCE}."
    return ""


def _confidence(score: Score) -> str:
    """What a certain entropy gap says."""
    gap, best = score.entropy_gap, score.temperature
    way = "Over-confident" if (gap.value or 0.0) > 0 else "Under-confident"
    told = told_p(gap.p_value or 0.0)
    if best is None:
        return f"{way} (entropy gap {number(gap.value, digits=2)} nat, {told})."
    at = f"T {best.beyond}" if best.beyond else f"T = {number(best.value, digits=3)}"
    return f"{way}: temperature {at} would save {number(best.gain, digits=2)} nat on these rows ({told})."


def compare_verdict(compare: Compare) -> str:
    """Which is better, by how much, and what the rows cannot tell."""
    b = f"B ({clean(compare.names[1], width=40)})"
    a = f"A ({clean(compare.names[0], width=40)})"
    only_a, only_b, _ = compare.infinite
    if only_b:
        return " ".join((_infinite_difference(a, b, only_a, only_b), _finite_difference(compare)))
    ruled_out = f"{a} has an infinite loss in {counted(only_a)} in which B is finite." if only_a else ""
    if compare.finite.value is None:
        none = f"{a} and {b} cannot be compared: there is no row in which both have a finite loss."
        return " ".join(part for part in (ruled_out, none) if part)
    judged = f"{_judged(compare, a, b)}: {_told(compare)}."
    return " ".join(part for part in (ruled_out, judged, _yet(compare), _power(compare)) if part)


def _judged(compare: Compare, a: str, b: str) -> str:
    margin = number(compare.margin)
    return {
        "better": f"{b} is better than {a}",
        "worse": f"{b} is worse than {a}",
        "not worse": f"{b} is not worse than {a} by the margin of {margin} nat",
        "worse than the margin": f"{b} is worse than {a} by more than the margin of {margin} nat",
    }.get(compare.verdict, f"These rows do not tell {a} and {b} apart")


def _told(compare: Compare) -> str:
    gap = compare.finite
    ends = told_interval(gap)
    if compare.sequence:  # its last look is what the judgement rests on
        last = compare.sequence[-1]
        ends = f"{level(last.confidence)} confidence sequence {number(last.lower)} to {number(last.upper)}"
        ends = ends if last.lower is not None else f"no statement yet: {last.why}"
    rows = counted(compare.n - sum(compare.infinite)) + (" finite in both" if compare.infinite[0] else "")
    told = f"loss of B \N{MINUS SIGN} loss of A is {value(gap)} nat ({ends}) over {rows}"
    return f"{told}; {caveat(gap)}" if gap.mark else told


def _yet(compare: Compare) -> str:
    """What most rows say, where the mean says the opposite; rows in clusters are not independent and say nothing."""
    share = compare.better
    if compare.clustered or share.value is None or share.lower is None or share.upper is None:
        return ""
    if compare.verdict.startswith("worse") and share.lower > 0.5:
        return f"Yet B has the smaller loss in {percent(share.value)} of the rows."
    if compare.verdict == "better" and share.upper + (compare.tied or 0.0) < 0.5:
        return f"Yet B has the smaller loss in only {percent(share.value)} of the rows."
    return ""


def _power(compare: Compare) -> str:
    """What an undecided comparison could have found in one look."""
    if compare.verdict != "undecided" or compare.detectable is None or compare.sequence:
        return ""
    return f"They would find a difference of {number(compare.detectable, digits=2)} nat with probability 0.8."


def _infinite_difference(a: str, b: str, only_a: int, only_b: int) -> str:
    if only_a:
        return f"{a} is infinite in {counted(only_a)} in which B is finite, and {b} in {only_b:,} in which A is finite."
    return f"{b} is worse: it has an infinite loss in {counted(only_b)} in which A is finite."


def _finite_difference(compare: Compare) -> str:
    if compare.finite.value is None:
        return "No row is finite in both."
    gap = at_last_look(compare.finite, compare.sequence)
    told = f"loss of B \N{MINUS SIGN} loss of A is {value(gap)} nat ({told_interval(gap)})"
    return f"Over the {counted(compare.n - sum(compare.infinite))} finite in both, {told}."
